//! What befalls a cluster of three brokers.

use std::time::Duration;

use tokio::task::block_in_place;

use super::super::environment::Environment;
use super::{Fault, Need, Strike, Truth};
use rules::problem::Problem;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "broker-killed",
        number: "F26, F29",
        what: "kill -9 of a broker that leads partitions or coordinates the group, one after the other; started again",
        needs: &[Need::ThreeBrokers],
        pause: Duration::from_secs(6),
        alone: "kafka cluster kafka-wire",
        act: |environment, strike| Box::pin(kill(environment, strike)),
    },
    Fault {
        name: "broker-frozen",
        number: "F27",
        what: "SIGSTOP of one of three brokers for longer than the controller waits; SIGCONT",
        needs: &[Need::ThreeBrokers],
        pause: Duration::from_secs(6),
        alone: "kafka cluster kafka-wire",
        act: |environment, strike| Box::pin(freeze(environment, strike)),
    },
    Fault {
        name: "unclean-election",
        number: "F26",
        what: "the broker that alone has the newest records is killed, and the one that lacks them leads; both started again",
        needs: &[Need::ThreeBrokers, Need::UncleanElections],
        pause: Duration::from_secs(10),
        alone: "kafka cluster kafka-wire topic",
        act: |environment, strike| Box::pin(elect(environment, strike)),
    },
];

async fn kill(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut brokers = environment.brokers.lock().await;
    let one = strike.rng.usize(0..brokers.len().max(1));
    let Some(broker) = brokers.get_mut(one) else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    block_in_place(|| broker.stop_hard())?;
    strike.hold(500..10_000).await;
    strike.end(environment)?;
    block_in_place(|| broker.start_again())
}

async fn freeze(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let brokers = environment.brokers.lock().await;
    let one = strike.rng.usize(0..brokers.len().max(1));
    let Some(broker) = brokers.get(one) else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    block_in_place(|| broker.pause())?;
    strike.hold(2000..20_000).await;
    strike.end(environment)?;
    broker.resume()
}

/// One goes, the other goes on alone and goes too, and the first one comes back to lead without what it missed.
async fn elect(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut brokers = environment.brokers.lock().await;
    let lacks = strike.rng.usize(0..2);
    if brokers.len() < 2 {
        return Ok(());
    }
    strike.begin(environment, Truth::Open)?;
    block_in_place(|| brokers[lacks].stop_hard())?;
    // Longer than the controller waits for it, so that the other one leads alone.
    strike.hold(12_000..16_000).await;
    block_in_place(|| brokers[1 - lacks].stop_hard())?;
    block_in_place(|| brokers[lacks].start_again())?;
    strike.hold(10_000..14_000).await;
    strike.end(environment)?;
    block_in_place(|| brokers[1 - lacks].start_again())
}
