//! PostgreSQL, as far as it matters: what is committed together, compare-and-set, and a copy of the past.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rules::ids::{Offset, StepNumber};
use rules::offsets::{StartAt, Why};
use uuid::Uuid;

use super::cases::{Case, Mapping, Place};

/// The newest step of a partition.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub number: StepNumber,
    pub next: Offset,
    /// Who wrote it.
    pub writer: u64,
    /// The offset and the payment of the last record that was applied.
    pub anchor: Option<(Offset, u64)>,
}

/// A batch as its transaction writes it.
#[derive(Clone, Debug)]
pub struct Batch {
    pub log: Uuid,
    pub writer: u64,
    /// Partition, offset and payment of each record, in order.
    pub records: Vec<(i32, Offset, u64)>,
    /// The step that each partition's next one builds on.
    pub steps: BTreeMap<i32, StepNumber>,
    /// The mapping that it goes through, and the payments that this one refuses.
    pub mapping: Mapping,
    pub refused: BTreeSet<u64>,
}

impl Batch {
    /// What it did, in words.
    pub fn told(&self, daemon: usize) -> String {
        let payments: Vec<u64> = self.records.iter().map(|(.., payment)| *payment).collect();
        let refused = &self.refused;
        format!("daemon {daemon} commits the events of payments {payments:?}, refused: {refused:?}")
    }
}

#[derive(Clone, Debug, Default)]
pub struct Database {
    pub positions: BTreeMap<(Uuid, i32), Step>,
    pub purchases: BTreeSet<u64>,
    pub gaps: Vec<(Uuid, i32, Range<Offset>)>,
    /// Records that were put away.
    pub cases: BTreeMap<Place, Case>,
    /// The rule that a suspect is proven by its own mapping alone is taken back.
    pub proves_any: bool,
    /// The rule that what is refused is put away is taken back.
    pub loses_refused: bool,
}

impl Database {
    /// Applies a batch, or nothing of it where another owner moved a partition.
    pub fn apply(&mut self, batch: &Batch, is_fenced: bool) -> bool {
        let mut last: BTreeMap<i32, (Offset, u64)> = BTreeMap::new();
        for (partition, offset, payment) in &batch.records {
            last.insert(*partition, (*offset, *payment));
        }
        if is_fenced && last.keys().any(|p| batch.steps.get(p) != Some(&self.newest(batch, *p))) {
            return false;
        }
        for (partition, (offset, payment)) in last {
            let number = self.newest(batch, partition);
            let anchor = Some((offset, payment));
            let (next, writer) = (offset.next(), batch.writer);
            let step = Step { number: number.next(), next, writer, anchor };
            self.positions.insert((batch.log, partition), step);
        }
        self.apply_records(batch);
        true
    }

    fn newest(&self, batch: &Batch, partition: i32) -> StepNumber {
        self.positions.get(&(batch.log, partition)).map(|step| step.number).unwrap_or_default()
    }

    /// Claims a partition on top of the step that was read, unless somebody else moved it.
    pub fn claim(
        &mut self,
        log: Uuid,
        partition: i32,
        seen: StepNumber,
        start: &StartAt,
    ) -> Option<StepNumber> {
        let before = self.positions.get(&(log, partition)).copied();
        if before.map(|step| step.number).unwrap_or_default() != seen {
            return None;
        }
        let anchor = before.filter(|_| start.why != Why::Truncated).and_then(|step| step.anchor);
        let step = Step { number: seen.next(), next: start.offset, writer: 0, anchor };
        self.positions.insert((log, partition), step);
        Some(seen.next())
    }

    /// Whether a batch whose commit was not answered is here.
    pub fn landed(&self, batch: &Batch) -> bool {
        let Some((partition, ..)) = batch.records.first() else { return false };
        let step = self.positions.get(&(batch.log, *partition));
        step.is_some_and(|step| step.writer == batch.writer)
    }

    pub fn knows_topic(&self, log: Uuid) -> bool {
        self.positions.keys().any(|(known, _)| *known == log)
    }

    pub fn knows_another(&self, log: Uuid) -> bool {
        self.positions.keys().any(|(known, _)| *known != log)
    }

    pub fn has_gap(&self, log: Uuid, partition: i32, offset: Offset) -> bool {
        self.gaps.iter().any(|(l, p, gap)| *l == log && *p == partition && gap.contains(&offset))
    }
}
