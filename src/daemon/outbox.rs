//! The part of the daemon that stands beside the payments: the relays of the outbox.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{await_schema, supervise};
use crate::config::Config;
use crate::heartbeats::Heartbeats;
use crate::overview::relay_name;
use crate::relay::{self, Relay};
use crate::store::migrate::Set;
use crate::store::outbox::Shard;
use rules::problem::Problem;

/// Waits for the outbox's database, then relays until `stop`.
pub(super) async fn run(
    config: Arc<Config>,
    liveness: Heartbeats,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let prepared = await_schema::schema(config.outbox_database(), Set::Outbox, config.migrate.mode);
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        prepared = prepared => prepared?,
    }
    let mut loops = JoinSet::new();
    for relay in relays(&config, &liveness) {
        loops.spawn(relay::run(Arc::new(relay), stop.clone()));
    }
    supervise(loops, stop).await
}

/// A relay for each shard of the outbox.
fn relays(config: &Config, liveness: &Heartbeats) -> Vec<Relay> {
    let shards = config.outbox.shards;
    let relay = |number| Relay {
        postgres: config.outbox_database().clone(),
        kafka: config.kafka.clone(),
        retention: config.retention.outbox,
        shard: Shard { number, of: shards },
        sign: liveness.expect(relay_name(number)),
    };
    (0..shards).map(relay).collect()
}
