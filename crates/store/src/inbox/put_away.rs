//! Puts records of a batch into quarantine, or notes them as a gap where that is full.

use std::collections::BTreeMap;

use tracing::debug;

use super::batch::{Batch, Sorted};
use super::entry::{Entry, Kind};
use super::fault::ApplyFault;
use crate::gaps::{self, Gap};
use crate::quarantine::{self, Put, Refusal};
use crate::{Fault, Tx};
use rules::ids::Offset;
use rules::outcome::Counter;

/// Why a record is in no quarantine.
pub(super) const FULL: &str = "quarantine_full";

/// How many events that their payments do not bear out a route keeps.
const DOUBTED: i64 = 10_000;

/// Puts away what could not be decoded, what the mapping rejected, and what was refused alone.
pub(super) async fn put_away(
    tx: &Tx,
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
) -> Result<(), ApplyFault> {
    if sorted.refused.is_empty() {
        return Ok(());
    }
    sorted.refused.sort_by_key(|(entry, _)| *entry);
    let refused = std::mem::take(&mut sorted.refused);
    if quarantine::bytes(tx).await.map_err(ApplyFault::Engine)? > batch.max_quarantine {
        return leave_a_gap(tx, batch, sorted, refused).await;
    }
    let mut room = Room::of(tx, batch, &refused).await.map_err(ApplyFault::Engine)?;
    let (refused, beyond): (Vec<_>, Vec<_>) =
        refused.into_iter().partition(|(at, refusal)| room.takes(&batch.entries[*at], refusal));
    leave_a_gap(tx, batch, sorted, beyond).await?;
    let fingerprint = batch.mapping.fingerprint();
    for (at, mut refusal) in refused {
        let entry = &batch.entries[at];
        refusal.business_key = refusal.business_key.or_else(|| entry.business_key(batch.mapping));
        let by_mapping = !matches!(entry.kind, Kind::Undecodable(_));
        let put = Put {
            record: entry.record,
            event_id: entry.event_id,
            digest: &entry.digest,
            refusal: &refusal,
            fingerprint: by_mapping.then_some(fingerprint.as_str()),
        };
        let is_new = quarantine::put(tx, batch.route, batch.log, put).await;
        note(batch, sorted, (at, &refusal), is_new.map_err(ApplyFault::Engine)?);
    }
    Ok(())
}

/// What a route still keeps of events that their payments do not bear out. Anybody who writes to the topic can make
/// them, so they must not take the place of others.
struct Room {
    records: i64,
    bytes: i64,
}

impl Room {
    async fn of(tx: &Tx, batch: &Batch<'_>, refused: &[(usize, Refusal)]) -> Result<Room, Fault> {
        let half = i64::try_from(batch.max_quarantine / 2).unwrap_or(i64::MAX);
        let mut room = Room { records: DOUBTED, bytes: half };
        if refused.iter().any(|(_, refusal)| refusal.is_doubted()) {
            let kept = quarantine::doubted::room(tx, batch.route, DOUBTED).await?;
            room = Room { records: DOUBTED - kept.0, bytes: half - kept.1 };
        }
        Ok(room)
    }

    fn takes(&mut self, entry: &Entry<'_>, refusal: &Refusal) -> bool {
        if !refusal.is_doubted() {
            return true;
        }
        let bytes = i64::try_from(entry.record.size()).unwrap_or(i64::MAX);
        if self.records < 1 || bytes > self.bytes {
            return false;
        }
        self.records -= 1;
        self.bytes -= bytes;
        true
    }
}

fn note(
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
    (at, refusal): (usize, &Refusal),
    is_new: bool,
) {
    let Entry { record, .. } = &batch.entries[at];
    if is_new {
        sorted.counts.entry(record.partition).or_default()[Counter::Quarantined] += 1;
        sorted.quarantined.push(at);
        sorted.look.waiting += usize::from(refusal.is_suspect);
    } else {
        sorted.counts.entry(record.partition).or_default()[Counter::Duplicate] += 1;
        debug!(partition = record.partition, offset = record.offset.0, "already in quarantine");
    }
}

/// Whoever can write to the topic must not be able to fill the disk. What is left out is a gap, which the reconciler
/// covers from the payments.
async fn leave_a_gap(
    tx: &Tx,
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
    refused: Vec<(usize, Refusal)>,
) -> Result<(), ApplyFault> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut gaps: BTreeMap<(i32, Offset), Gap> = BTreeMap::new();
    for (at, _) in refused {
        let (partition, offset) =
            (batch.entries[at].record.partition, batch.entries[at].record.offset);
        let before = gaps.range_mut(..=(partition, offset)).next_back();
        match before {
            Some((_, gap)) if gap.partition == partition && gap.to == offset => gap.to = offset + 1,
            _ => {
                let gap = Gap { partition, from: offset, to: offset + 1, reason: FULL.to_owned() };
                gaps.insert((partition, offset), gap);
            }
        }
        sorted.counts.entry(partition).or_default()[Counter::Quarantined] += 1;
    }
    let gaps: Vec<Gap> = gaps.into_values().collect();
    gaps::extend(tx, batch.route, batch.log, &gaps).await.map_err(ApplyFault::Engine)
}
