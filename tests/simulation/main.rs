//! Whole lives of a route and of an outbox on one thread, from a seed and without servers (the outbox's are told in `relay.rs`, the
//! reconciler's in `reconcile.rs`).
//! The machines of the rules act on a log, a group and a database that are simulated, while daemons freeze and die, partitions lose their leader or their last records, the topic is
//! made anew, the database refuses, answers nothing or goes back in time, and operators move offsets.
//!
//! After the faults there is a quiet time, in which everything has to become well without help: every payment in the log
//! has its purchase, or is in a recorded gap if the log lost it, and every position is at the log's end.
//!
//! `day.rs` puts them together. A day that goes wrong is told as its smallest history.
//!
//! `MAKEGOOD_SIM_SEED=N` replays one life and tells it; `MAKEGOOD_SIM_SEEDS=N` sets how many are tried (10,000, and 2,000 days),
//! `MAKEGOOD_SIM_FROM=N` from which seed on, `MAKEGOOD_SIM_WORKERS=N` on how many threads. `bin/simulate` does that for many.

mod agenda;
mod cases;
mod daemon;
mod database;
mod day;
mod faults;
mod history;
mod kafka;
mod reconcile;
mod relay;
mod world;

use std::time::Instant;

use history::{Limits, Lived};
use world::{Mutant, World};

/// Lives one life from its seed and tells it.
fn replay(seed: u64, live: impl FnOnce(u64) -> (Vec<String>, Result<(), String>)) {
    let (story, end) = live(seed);
    println!("{}", story.join("\n"));
    end.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
}

/// Lives many lives, or the one that is asked for, on as many threads as are asked for.
fn live_all(usual: u64, live: impl Fn(u64, bool) -> (Vec<String>, Result<(), String>) + Sync) {
    if let Some(seed) = number("MAKEGOOD_SIM_SEED") {
        return replay(seed, |seed| live(seed, true));
    }
    let (from, count) = (number("MAKEGOOD_SIM_FROM").unwrap_or(0), number("MAKEGOOD_SIM_SEEDS"));
    let workers = number("MAKEGOOD_SIM_WORKERS").unwrap_or(1);
    let begun = Instant::now();
    let seeds = from..from + count.unwrap_or(usual);
    let live_some = |first: u64| {
        for seed in seeds.clone().skip(first as usize).step_by(workers as usize) {
            if let (_, Err(violation)) = live(seed, false) {
                panic!("MAKEGOOD_SIM_SEED={seed}: {violation}");
            }
        }
    };
    let live_some = &live_some;
    std::thread::scope(|scope| {
        (0..workers).for_each(|first| drop(scope.spawn(move || live_some(first))));
    });
    println!("{} lives in {:.1} s", seeds.end - seeds.start, begun.elapsed().as_secs_f64());
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

#[test]
fn every_payment_in_the_log_gets_its_purchase_whatever_happens() {
    live_all(10_000, |seed, tells| {
        let mut world = World::new(seed, Mutant::None);
        world.tells = tells;
        let end = world.live();
        (world.story, end)
    });
}

#[test]
fn every_row_of_the_outbox_reaches_its_topic_in_order_whatever_happens() {
    live_all(10_000, |seed, tells| {
        let mut world = relay::World::new(seed, relay::Mutant::None);
        world.tells = tells;
        let end = world.live();
        (world.story, end)
    });
}

#[test]
fn every_paid_payment_is_made_good_whatever_happens_to_the_runs() {
    live_all(10_000, |seed, tells| {
        let mut world = reconcile::World::new(seed, reconcile::Mutant::None);
        world.tells = tells;
        let end = world.live();
        (world.story, end)
    });
}

fn live_day(seed: u64, mutant: day::Mutant, limits: &Limits, tells: bool) -> Lived {
    let mut day = day::Day::new(seed, mutant, limits.clone());
    day.tells = tells;
    let end = day.live();
    let held = if tells { day.held() } else { Vec::new() };
    Lived { faults: day.faults(), story: day.story, held, end }
}

/// The smallest history of a day that goes wrong, as a story: who did what and when, what was held then, and what broke.
fn smallest_history(seed: u64, mutant: day::Mutant) -> String {
    let smallest = history::shrink(|limits| live_day(seed, mutant, limits, false));
    let lived = live_day(seed, mutant, &smallest, true);
    let violation = lived.end.err().unwrap_or_default();
    let story = history::told(&lived.story, &violation);
    format!("{}\n{}", story.join("\n"), lived.held.join("\n"))
}

#[test]
fn a_day_that_goes_wrong_is_told_as_its_smallest_history() {
    let mutant = day::Mutant::ReplaysBlindly;
    let fails = |seed| live_day(seed, mutant, &Limits::default(), false).end.err();
    let (seed, whole) = (0..10_000).find_map(|seed| Some((seed, fails(seed)?))).unwrap();
    println!("seed {seed}, {whole}");
    let story = smallest_history(seed, mutant);
    println!("{story}");
    let lines: Vec<&str> = story.lines().collect();
    assert!(lines.len() < 60, "{} lines", lines.len());
    for part in ["was given up, and bought after that", "is paid", "a person gives up", "purchases"]
    {
        assert!(story.contains(part), "{part}");
    }
}

#[test]
fn every_payment_of_a_day_gets_its_purchase_or_is_on_a_list() {
    live_all(2_000, |seed, tells| {
        let lived = live_day(seed, day::Mutant::None, &Limits::default(), tells);
        match lived.end {
            Err(_) if !tells => (Vec::new(), Err(smallest_history(seed, day::Mutant::None))),
            end => (lived.story, end),
        }
    });
}

/// A test is not to be trusted only because it passes: each rule, taken back, is missed by some life.
fn assert_missed<M: Copy + std::fmt::Debug>(
    mutants: &[M],
    live: impl Fn(u64, M) -> Result<(), String>,
) {
    for mutant in mutants {
        let caught = (0..10_000).find_map(|seed| Some((seed, live(seed, *mutant).err()?)));
        let (seed, violation) = caught.unwrap_or_else(|| panic!("nobody misses {mutant:?}"));
        println!("{mutant:?}: seed {seed}: {violation}");
    }
}

#[test]
fn each_rule_that_is_taken_back_is_missed() {
    assert_missed(&Mutant::ALL, |seed, mutant| World::new(seed, mutant).live());
}

#[test]
fn each_rule_of_the_relay_that_is_taken_back_is_missed() {
    assert_missed(&relay::Mutant::ALL, |seed, mutant| relay::World::new(seed, mutant).live());
}

#[test]
fn each_rule_of_the_reconciler_that_is_taken_back_is_missed() {
    let live = |seed, mutant| reconcile::World::new(seed, mutant).live();
    assert_missed(&reconcile::Mutant::ALL, live);
}

#[test]
fn each_rule_of_a_day_that_is_taken_back_is_missed() {
    assert_missed(&day::Mutant::ALL, |seed, mutant| {
        live_day(seed, mutant, &Limits::default(), false).end
    });
}
