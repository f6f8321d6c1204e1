//! What a transaction must know of the quarantine before its mapping runs.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::suspects;
use crate::{Fault, Tx};
use rules::ids::{CaseId, Offset, RouteId};

/// The offsets of a partition from one on, up to another.
pub type OffsetRange = (Offset, Offset);

/// What was there before the mapping ran. The order matters: only what is applied after a suspect was refused
/// proves anything about it.
#[derive(Clone, Debug, Default)]
pub struct QuarantineSnapshot {
    /// Records of the batch that were put away before: partition, offset and digest.
    known: HashSet<(i32, Offset, Vec<u8>)>,
    /// Suspects of the same mapping, oldest first.
    unproven: Vec<CaseId>,
    /// How many suspects of the same mapping were never judged.
    pub waiting: usize,
    /// Whether any open case names its payment.
    pub keyed: bool,
}

impl QuarantineSnapshot {
    /// Looks, for a route and a mapping; `ranges` are the batch's partitions in the log of `topic_id`.
    pub async fn take(
        tx: &Tx,
        route: RouteId,
        topic_id: Uuid,
        ranges: &BTreeMap<i32, OffsetRange>,
        fingerprint: &str,
    ) -> Result<QuarantineSnapshot, Fault> {
        let partitions: Vec<i32> = ranges.keys().copied().collect();
        let (since, until): (Vec<Offset>, Vec<Offset>) = ranges.values().copied().unzip();
        let sql = include_str!("../../../../sql/core/quarantine_look.sql");
        let rows =
            tx.query(sql, &[&route, &topic_id, &partitions, &since, &until, &fingerprint]).await?;
        let Some(row) = rows.first() else { return Ok(QuarantineSnapshot::default()) };
        let (partitions, offsets): (Vec<i32>, Vec<Offset>) = (row.get(0), row.get(1));
        let places = partitions.into_iter().zip(offsets).zip(row.get::<_, Vec<Vec<u8>>>(2));
        Ok(QuarantineSnapshot {
            known: places
                .map(|((partition, offset), digest)| (partition, offset, digest))
                .collect(),
            unproven: row.get(3),
            waiting: usize::try_from(row.get::<_, i64>(4)).unwrap_or_default(),
            keyed: row.get(5),
        })
    }

    /// Whether a record was put away before, whatever became of it since.
    pub fn knows(&self, partition: i32, offset: Offset, digest: &[u8]) -> bool {
        !self.known.is_empty() && self.known.contains(&(partition, offset, digest.to_vec()))
    }

    /// Whether there is any record that was put away before.
    pub fn knows_any(&self) -> bool {
        !self.known.is_empty()
    }

    /// Notes that something was applied, which proves every suspect but those at hand; nobody of the same
    /// mapping waits any more.
    pub async fn prove(&mut self, tx: &Tx, at_hand: &[CaseId]) -> Result<(), Fault> {
        self.unproven.retain(|id| !at_hand.contains(id));
        suspects::prove(tx, &self.unproven).await?;
        self.waiting = 0;
        Ok(())
    }
}
