//! What the watchdog asks: where the logs end, and whether the database is the cause. Every question is
//! bounded, and no handle is shared with the loops.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::config;
use crate::kafka::probe::Probe;
use crate::pure::problem::Problem;
use crate::pure::stall;
use crate::store::{Fault, Store, connect, lock_holder};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at the ends of a topic's logs. Each question takes at most the probe's five seconds.
pub(super) struct Ends {
    /// Sees the end of what may be read.
    committed: Probe,
    /// Sees the end of the log.
    all: Probe,
}

impl Ends {
    pub(super) fn new(kafka: &config::Kafka, topic: &str, group: &str) -> Result<Ends, Problem> {
        Ok(Ends {
            committed: Probe::new(kafka, topic, group)?,
            all: Probe::of_uncommitted(kafka, topic, group)?,
        })
    }

    /// Where what may be read ends, and where the log does.
    pub(super) fn of(&self, partition: i32) -> Result<(Option<i64>, Option<i64>), String> {
        let end = self.committed.watermarks(partition).map_err(|problem| problem.cause)?.high;
        // A moment later, so that it is never the smaller one by chance.
        let high = self.all.watermarks(partition).map_err(|problem| problem.cause)?.high;
        Ok((Some(end), Some(high)))
    }

    /// Whether a broker answers at all.
    pub(super) fn reach(&self) -> Result<(), String> {
        self.committed.partitions().map(drop).map_err(|problem| problem.cause)
    }
}

/// A connection of the watchdog's own, opened when it is first needed. It goes the way that the batches
/// go, through a pooler if there is one, for that may be what is down.
pub(super) struct Database<'a> {
    postgres: &'a config::Postgres,
    runtime: &'a Runtime,
    store: Option<Store>,
}

impl Database<'_> {
    pub(super) fn new<'a>(postgres: &'a config::Postgres, runtime: &'a Runtime) -> Database<'a> {
        Database { postgres, runtime, store: None }
    }

    /// Whether it answers, and whose lock our statements wait for, if any does.
    pub(super) fn ask(&mut self) -> stall::Database {
        let store = self.store.take();
        let asking = async {
            let store = match store {
                Some(store) => store,
                None => Store::open(self.postgres, "makegood watchdog", 1)
                    .map_err(|problem| problem.cause)?,
            };
            let pool = self.postgres.application_name.as_deref().unwrap_or(connect::POOL_NAME);
            let holder = lock_holder::find(&store, pool).await;
            Ok((store, holder.map_err(|fault: Fault| fault.to_string())?))
        };
        match self.runtime.block_on(async { tokio::time::timeout(PATIENCE, asking).await }) {
            Ok(Ok((store, holder))) => {
                self.store = Some(store);
                holder.map_or(stall::Database::Up, |h| stall::Database::Locked(h.who, h.pid))
            }
            Ok(Err(why)) => stall::Database::Away(why),
            Err(_) => stall::Database::Away(format!("no answer for {} s", PATIENCE.as_secs())),
        }
    }
}
