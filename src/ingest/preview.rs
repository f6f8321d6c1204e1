//! What a start would do, without doing it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Route;
use super::partition_state::{self, PartitionsSnapshot, Surveyed};
use crate::kafka::probe::{Probe, Watermarks};
use crate::stop::blocking;
use crate::store::Store;
use crate::store::positions::Log;
use rules::ids::Offset;
use rules::offsets::{self, StartAt};
use rules::problem::Problem;

/// Where the partitions of a route stand and would start.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The log.
    pub log: Log,
    /// The ends of each partition.
    pub ends: BTreeMap<i32, Watermarks>,
    /// What the group has committed in Kafka.
    pub committed: BTreeMap<i32, Offset>,
    /// The partitions that could not be claimed now, and why.
    pub left_out: BTreeMap<i32, Problem>,
    /// Where each partition would start if it were claimed now.
    pub starts: BTreeMap<i32, StartAt>,
}

/// Looks where each partition would start. A database without makegood's schema has no positions.
pub async fn preview(
    route: &Arc<Route>,
    store: &Store,
    probe: &Arc<Probe>,
) -> Result<Preview, Problem> {
    let partitions = {
        let probe = probe.clone();
        blocking(move || probe.partitions()).await?
    };
    let (look, surveyed) = partition_state::survey(route, store, probe, &partitions).await?;
    let start = |(p, s): (&i32, &Surveyed)| (*p, offsets::start_at(s.policy, s.known));
    let starts = surveyed.iter().map(start).collect();
    let PartitionsSnapshot { log, ends, committed, left_out } = look;
    Ok(Preview { log, ends, committed, left_out, starts })
}
