//! Whether the brokers can be reached, asked until they can.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config;
use crate::kafka::connectivity;
use crate::stop::blocking;
use rules::backoff::Backoff;

/// How long a broker may take to answer or to be connected to.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between looks.
const PAUSE: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(30) };

/// Says early and by name what keeps Kafka out of reach, each cause once. The clients of the loops go on
/// trying in any case, and the watchdog speaks of brokers that are lost later; so this ends with the first
/// success.
pub(super) async fn watch(kafka: config::Kafka, stop: CancellationToken) {
    let mut said = None;
    for attempt in 0.. {
        let settings = kafka.clone();
        match blocking(move || connectivity::check(&settings, PATIENCE)).await {
            Ok(()) if said.is_some() => return info!("the Kafka brokers can be reached"),
            Ok(()) => return,
            Err(problem) if said.as_ref() == Some(&problem.reason) => {}
            Err(problem) => {
                error!(code = problem.code.as_str(), hint = problem.advice, "{}", problem.reason);
                said = Some(problem.reason);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE.delay(attempt, fastrand::f64())) => {}
            () = stop.cancelled() => return,
        }
    }
}
