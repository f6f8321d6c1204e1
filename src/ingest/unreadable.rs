//! Partitions whose next record cannot be read. One that is damaged on the broker's disk may be mended there, and is
//! waited for. A batch that cannot be unpacked stays what it is: the claim goes past it, and a gap says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::warn;

use super::Route;
use super::partition_state::PartitionsSnapshot;
use crate::kafka::probe::{PerPartition, Probe};
use crate::stop::blocking;
use crate::store::gaps::Gap;
use rules::error_policy::kafka::OLD_FORMAT;
use rules::ids::Offset;
use rules::offsets::StartAt;
use rules::problem::Problem;

/// The reason of a gap of records that cannot be unpacked.
const UNREADABLE: &str = "unreadable";
/// Past so many batches in a row one claim goes; the next one goes on from there.
const ROUNDS: usize = 16;

/// Leaves out the starts of partitions whose next record cannot be read, or leads them past it. Returns what is not
/// read for that.
pub(super) async fn go_past(
    route: &Route,
    probe: &Arc<Probe>,
    look: &mut PartitionsSnapshot,
    starts: &mut BTreeMap<i32, StartAt>,
) -> Result<Vec<Gap>, Problem> {
    let mut gaps: BTreeMap<i32, Gap> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let illegible = illegible(route, probe, look, starts).await?;
        if illegible.is_empty() {
            break;
        }
        for (partition, problem) in illegible {
            let Some(start) = starts.get_mut(&partition) else { continue };
            if problem.reason.contains(OLD_FORMAT) {
                starts.remove(&partition);
                look.left_out.insert(partition, problem);
                continue;
            }
            match behind(probe, look, partition, start.offset).await {
                Ok(Some(to)) => {
                    let from = std::mem::replace(&mut start.offset, to);
                    let new = Gap { partition, from, to, reason: UNREADABLE.to_owned() };
                    gaps.entry(partition).or_insert(new).to = to;
                }
                Ok(None) | Err(_) => {
                    starts.remove(&partition);
                    look.left_out.insert(partition, problem);
                }
            }
        }
    }
    Ok(gaps.into_values().collect())
}

/// Where the next record is that can be unpacked, if the one at `offset` cannot.
async fn behind(
    probe: &Arc<Probe>,
    look: &PartitionsSnapshot,
    partition: i32,
    offset: Offset,
) -> Result<Option<Offset>, Problem> {
    let high = look.ends.get(&partition).map_or(offset, |ends| ends.high);
    let probe = probe.clone();
    let range = blocking(move || probe.packed_for_good(partition, offset, high)).await?;
    Ok(range.map(|range| range.end))
}

/// The partitions whose next record cannot be read, and why.
pub(super) async fn illegible(
    route: &Route,
    probe: &Arc<Probe>,
    look: &PartitionsSnapshot,
    starts: &BTreeMap<i32, StartAt>,
) -> Result<BTreeMap<i32, Problem>, Problem> {
    let next: Vec<(i32, Offset)> = starts.iter().map(|(p, start)| (*p, start.offset)).collect();
    let (probe, ends) = (probe.clone(), look.ends.clone());
    let first = blocking(move || probe.first_waiting(&ends, next.into_iter()));
    let PerPartition { failed, .. } = first.await?;
    let mut explained = BTreeMap::new();
    for (partition, problem) in failed {
        explained.insert(partition, route.topic_settings.explain(problem).await);
    }
    Ok(explained)
}

/// Says what is left out.
pub(super) fn report(route: &Route, gaps: &[Gap]) {
    for Gap { partition, from, to, .. } in gaps {
        warn!(
            route = route.settings.name,
            partition,
            from = from.0,
            to = to.0,
            "these records unpack to too much, or to nothing; makegood.gaps has them, and the reconciler covers them with a sweep"
        );
    }
}
