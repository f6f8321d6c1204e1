//! What the watchdog asks: where the logs end, and whether the database is the cause. Every question is
//! bounded, and no handle is shared with the loops.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::config;
use crate::kafka::probe::Probe;
use crate::store::lock_holder::{self, Holder};
use crate::store::{Fault, Store, connect};
use rules::ids::Offset;
use rules::problem::Problem;
use rules::stall;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the logs of some partitions end.
#[derive(Default)]
pub(super) struct EndsSeen {
    /// What may be read, and the log.
    pub ends: BTreeMap<i32, (Offset, Offset)>,
    /// Where nobody tells, and why.
    pub silent: BTreeMap<i32, String>,
}

/// Looks at the ends of a topic's logs. Each question takes at most the probe's five seconds.
pub(super) struct EndsProbe {
    /// Sees the end of what may be read.
    committed: Probe,
    /// Sees the end of the log.
    all: Probe,
}

impl EndsProbe {
    pub(super) fn new(
        kafka: &config::Kafka,
        topic: &str,
        group: &str,
    ) -> Result<EndsProbe, Problem> {
        Ok(EndsProbe {
            committed: Probe::new(kafka, topic, group)?,
            all: Probe::of_uncommitted(kafka, topic, group)?,
        })
    }

    /// Where what may be read ends, and where the log does, of each partition that tells; and why the others do not.
    pub(super) fn of(&self, partitions: &[i32]) -> Result<EndsSeen, String> {
        let ends = self.committed.ends(partitions).map_err(|problem| problem.reason)?;
        // A moment later, so that it is never the smaller one by chance.
        let all = self.all.ends(partitions).map_err(|problem| problem.reason)?;
        let high = |partition: &i32| all.records.get(partition).map(|ends| ends.high);
        let failed = ends.failed.into_iter().chain(all.failed);
        Ok(EndsSeen {
            ends: (ends.records.iter())
                .filter_map(|(partition, ends)| Some((*partition, (ends.high, high(partition)?))))
                .collect(),
            silent: failed.map(|(partition, problem)| (partition, problem.reason)).collect(),
        })
    }

    /// Whether a broker answers at all.
    pub(super) fn reach(&self) -> Result<(), String> {
        self.committed.partitions().map(drop).map_err(|problem| problem.reason)
    }
}

/// A connection of the watchdog's own, opened when it is first needed. It goes the way that the batches
/// go, through a pooler if there is one, for that may be what is down.
pub(super) struct WatchdogConnection<'a> {
    postgres: &'a config::Postgres,
    runtime: &'a Runtime,
    store: Option<Store>,
    /// Who was last found to be in the way.
    holder: Option<Holder>,
}

impl WatchdogConnection<'_> {
    pub(super) fn new<'a>(
        postgres: &'a config::Postgres,
        runtime: &'a Runtime,
    ) -> WatchdogConnection<'a> {
        WatchdogConnection { postgres, runtime, store: None, holder: None }
    }

    /// Whether it answers, and whose lock our statements wait for, if any does.
    pub(super) fn ask(&mut self) -> stall::Database {
        let store = self.store.take();
        let asking = async {
            let store = match store {
                Some(store) => store,
                None => Store::open(self.postgres, "makegood watchdog", 1)
                    .map_err(|problem| problem.reason)?,
            };
            let pool = self.postgres.application_name.as_deref().unwrap_or(connect::POOL_NAME);
            let holder = lock_holder::find(&store, pool, self.holder.as_ref()).await;
            Ok((store, holder.map_err(|fault: Fault| fault.to_string())?))
        };
        match self.runtime.block_on(async { tokio::time::timeout(PATIENCE, asking).await }) {
            Ok(Ok((store, holder))) => {
                self.store = Some(store);
                self.holder = holder.clone();
                holder.map_or(stall::Database::Up, |h| stall::Database::Locked(h.who, h.pid))
            }
            Ok(Err(why)) => stall::Database::Away(why),
            Err(_) => stall::Database::Away(format!("no answer for {} s", PATIENCE.as_secs())),
        }
    }
}
