//! Whole lives of a route and of an outbox on one thread, from a seed and without servers (the outbox's are told in `relay.rs`, the
//! reconciler's in `reconcile.rs`).
//! The machines of the rules act on a log, a group and a database that are simulated, while daemons freeze and die, partitions lose their leader or their last records, the topic is
//! made anew, the database refuses, answers nothing or goes back in time, and operators move offsets.
//!
//! After the faults there is a quiet time, in which everything has to become well without help: every payment in the log
//! has its purchase, or is in a recorded gap if the log lost it, and every position is at the log's end.
//!
//! `MAKEGOOD_SIM_SEED=N` replays one life and tells it; `MAKEGOOD_SIM_SEEDS=N` sets how many are tried (10,000),
//! `MAKEGOOD_SIM_FROM=N` from which seed on.

mod daemon;
mod database;
mod faults;
mod kafka;
mod reconcile;
mod relay;
mod world;

use world::{Mutant, World};

/// Lives one life from its seed and tells it.
fn replay(seed: u64, live: impl FnOnce(u64) -> (Vec<String>, Result<(), String>)) {
    let (story, end) = live(seed);
    println!("{}", story.join("\n"));
    end.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
}

/// Lives many lives, or the one that is asked for.
fn live_all(live: impl Fn(u64, bool) -> (Vec<String>, Result<(), String>)) {
    if let Some(seed) = number("MAKEGOOD_SIM_SEED") {
        return replay(seed, |seed| live(seed, true));
    }
    let (from, count) = (number("MAKEGOOD_SIM_FROM").unwrap_or(0), number("MAKEGOOD_SIM_SEEDS"));
    for seed in from..from + count.unwrap_or(10_000) {
        if let (_, Err(violation)) = live(seed, false) {
            panic!("MAKEGOOD_SIM_SEED={seed}: {violation}");
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

#[test]
fn every_payment_in_the_log_gets_its_purchase_whatever_happens() {
    live_all(|seed, tells| {
        let mut world = World::new(seed, Mutant::None);
        world.tells = tells;
        let end = world.live();
        (world.story, end)
    });
}

#[test]
fn every_row_of_the_outbox_reaches_its_topic_in_order_whatever_happens() {
    live_all(|seed, tells| {
        let mut world = relay::World::new(seed, relay::Mutant::None);
        world.tells = tells;
        let end = world.live();
        (world.story, end)
    });
}

#[test]
fn every_paid_payment_is_made_good_whatever_happens_to_the_runs() {
    live_all(|seed, tells| {
        let mut world = reconcile::World::new(seed, reconcile::Mutant::None);
        world.tells = tells;
        let end = world.live();
        (world.story, end)
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
