//! Whole lives of a route on one thread, from a seed and without servers: the machines of the rules act on a log, a group and a
//! database that are simulated, while daemons freeze and die, partitions lose their leader or their last records, the topic is
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
mod world;

use world::{Mutant, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

#[test]
fn every_payment_in_the_log_gets_its_purchase_whatever_happens() {
    if let Some(seed) = number("MAKEGOOD_SIM_SEED") {
        let mut world = World::new(seed, Mutant::None);
        world.tells = true;
        let end = world.live();
        println!("{}", world.story.join("\n"));
        end.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        return;
    }
    let (from, count) = (number("MAKEGOOD_SIM_FROM").unwrap_or(0), number("MAKEGOOD_SIM_SEEDS"));
    for seed in from..from + count.unwrap_or(10_000) {
        if let Err(violation) = World::new(seed, Mutant::None).live() {
            panic!("MAKEGOOD_SIM_SEED={seed}: {violation}");
        }
    }
}

/// What must not be trusted to be tested only because it passes: each rule, taken back, is missed by some life.
#[test]
fn each_rule_that_is_taken_back_is_missed() {
    for mutant in Mutant::ALL {
        let caught = (0..10_000).find_map(|seed| {
            World::new(seed, mutant).live().err().map(|violation| (seed, violation))
        });
        let (seed, violation) = caught.unwrap_or_else(|| panic!("nobody misses {mutant:?}"));
        println!("{mutant:?}: seed {seed}: {violation}");
    }
}
