//! What a start would do, without doing it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Route;
use super::claim::{anchors, blocking, look, resolve};
use crate::kafka::probe::{Probe, Watermarks};
use crate::pure::offsets::StartAt;
use crate::pure::problem::Problem;
use crate::store::positions::{self, Log};
use crate::store::{Fault, Store};

/// Where the partitions of a route stand and would start.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The log.
    pub log: Log,
    /// The ends of each partition.
    pub ends: BTreeMap<i32, Watermarks>,
    /// What the group has committed in Kafka.
    pub committed: BTreeMap<i32, i64>,
    /// Where each partition would start if it were claimed now.
    pub starts: BTreeMap<i32, StartAt>,
}

/// Looks where each partition would start. A database without makegood's schema has no positions.
pub async fn preview(
    route: &Arc<Route>,
    store: &Store,
    probe: &Arc<Probe>,
) -> Result<Preview, Problem> {
    let look = {
        let (route, probe) = (route.clone(), probe.clone());
        blocking(move || look(&route, &probe, &probe.partitions()?)).await?
    };
    let partitions: Vec<i32> = look.ends.keys().copied().collect();
    let failed = |fault: Fault| fault.problem("cannot read positions");
    let known = known(positions::read(store, &look.log, &partitions).await).map_err(failed)?;
    let recreated = self::known(positions::recreated(store, &look.log).await).map_err(failed)?;
    let anchors = anchors(probe, &look, &known).await?;
    let starts = resolve(route, &look, &known, recreated, &anchors);
    Ok(Preview { log: look.log, ends: look.ends, committed: look.committed, starts })
}

/// What is known; nothing where the tables are not there yet.
fn known<T: Default>(read: Result<T, Fault>) -> Result<T, Fault> {
    match read {
        Err(fault) if matches!(fault.sqlstate(), Some("42P01" | "3F000")) => Ok(T::default()),
        read => read,
    }
}
