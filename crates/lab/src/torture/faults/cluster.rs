//! What befalls a cluster of three brokers.

use std::time::Duration;

use tokio::task::block_in_place;

use super::super::ground::Ground;
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
        act: |ground, strike| Box::pin(kill(ground, strike)),
    },
    Fault {
        name: "broker-frozen",
        number: "F27",
        what: "SIGSTOP of one of three brokers for longer than the controller waits; SIGCONT",
        needs: &[Need::ThreeBrokers],
        pause: Duration::from_secs(6),
        alone: "kafka cluster kafka-wire",
        act: |ground, strike| Box::pin(freeze(ground, strike)),
    },
];

async fn kill(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut brokers = ground.brokers.lock().await;
    let one = strike.rng.usize(0..brokers.len().max(1));
    let Some(broker) = brokers.get_mut(one) else { return Ok(()) };
    strike.begin(ground, Truth::Open)?;
    block_in_place(|| broker.stop_hard())?;
    strike.hold(500..10_000).await;
    strike.end(ground)?;
    block_in_place(|| broker.start_again())
}

async fn freeze(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let brokers = ground.brokers.lock().await;
    let one = strike.rng.usize(0..brokers.len().max(1));
    let Some(broker) = brokers.get(one) else { return Ok(()) };
    strike.begin(ground, Truth::Open)?;
    block_in_place(|| broker.pause())?;
    strike.hold(2000..20_000).await;
    strike.end(ground)?;
    broker.resume()
}
