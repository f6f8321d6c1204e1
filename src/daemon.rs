//! Starts, supervises and stops the loops.

mod await_kafka;
mod await_schema;
mod first_start;
mod mapping;
mod outbox;
mod purchases;
mod shadow;
mod signals;
mod status_thread;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::Config;
use crate::heartbeats::Heartbeats;
use crate::kafka::login;
use crate::log_tail::Feed;
use rules::problem::{Code, Problem};
pub use shadow::{Telling, shadow};
use signals::Signals;
use status_thread::Observer;

/// Runs until SIGTERM or SIGINT, then drains. Ends early with a problem that only a person (bad
/// configuration or mapping) or a new process can mend. `confirmed` names routes whose first start is wanted
/// although it may double purchases made by hand; `log_tail` has what the log said last.
pub async fn run(config: Config, confirmed: Vec<String>, feed: Feed) -> Result<(), Problem> {
    let stop = CancellationToken::new();
    let signals = Signals::listen(&stop)?;
    info!(version = env!("CARGO_PKG_VERSION"), routes = config.inbox.len(), "makegood starts");
    if let Some(again) = &config.postgres.again {
        login::watch(&config.kafka, again);
    }
    tokio::spawn(await_kafka::watch(config.kafka.clone(), stop.clone()));
    let config = Arc::new(config);
    let liveness = Heartbeats::default();
    let _observer = Observer::start(&config, &liveness, feed)?;
    tokio::spawn(tell_drain(liveness.clone(), stop.clone()));
    // Neither part waits for the other: payments go to Kafka while the purchases' database is away.
    let mut parts = JoinSet::new();
    if config.outbox.enabled {
        parts.spawn(outbox::run(config.clone(), liveness.clone(), stop.clone()));
    }
    parts.spawn(purchases::run(config, confirmed, liveness, signals, stop.clone()));
    let outcome = supervise(parts, stop).await;
    #[cfg(feature = "failpoints")]
    if failpoints::reached("shutdown.drained").await.is_some() {
        return Err(Problem::new(Code::GaveUp, "failpoint shutdown.drained"));
    }
    info!("stopped");
    outcome
}

/// Waits for the loops. One that ends by itself takes the others with it: a new process is the cure.
async fn supervise(
    mut loops: JoinSet<Result<(), Problem>>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let mut outcome = Ok(());
    while let Some(ended) = loops.join_next().await {
        let ended = ended
            .unwrap_or_else(|e| Err(Problem::new(Code::GaveUp, format!("a loop failed: {e}"))));
        if outcome.is_ok() {
            outcome = ended;
        }
        stop.cancel();
    }
    outcome
}

/// From the moment of the stop on the probes say so.
async fn tell_drain(liveness: Heartbeats, stop: CancellationToken) {
    stop.cancelled().await;
    #[cfg(feature = "failpoints")]
    let _ = failpoints::reached("shutdown.begun").await;
    liveness.drain();
}
