//! Records that are refused and put away: by which mapping, and what is proved of them.

use std::collections::BTreeSet;

use rules::ids::Offset;
use rules::replay::State;
use uuid::Uuid;

use super::database::{Batch, Database};
use super::world::World;

/// How many records may be suspects of one mapping before it holds.
const SUSPECTS: usize = 5;

/// Log, partition and offset of a record; what the reconciler put away has no log.
pub type Place = (Uuid, i32, Offset);

/// What a daemon's mapping takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mapping {
    /// All but what is broken.
    #[default]
    New,
    /// Not yet what a newer producer sends.
    Old,
    /// Nothing: a deployment gone wrong.
    Broken,
}

/// What a payment's event is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Newer,
    Bad,
}

impl Mapping {
    pub fn takes(self, shape: Option<&Shape>) -> bool {
        match (self, shape) {
            (Mapping::Broken, _) | (_, Some(Shape::Bad)) => false,
            (Mapping::Old, shape) => shape.is_none(),
            (Mapping::New, _) => true,
        }
    }
}

/// A record that was put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub payment: u64,
    /// The mapping that refused it last.
    pub mapping: Mapping,
    pub state: State,
    /// Something was applied by that mapping since.
    pub is_proven: bool,
    /// A person asked for it.
    pub is_asked: bool,
    /// A person gave it up.
    pub is_discarded: bool,
}

impl Case {
    pub fn new(payment: u64, mapping: Mapping) -> Case {
        Case {
            payment,
            mapping,
            state: State::Suspect,
            is_proven: false,
            is_asked: false,
            is_discarded: false,
        }
    }

    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }
}

impl World {
    pub fn mapping_of(&self, daemon: usize) -> Mapping {
        self.mappings.get(daemon).copied().unwrap_or_default()
    }

    /// The payments of a batch that its mapping refuses.
    pub fn refused(&self, batch: &Batch) -> BTreeSet<u64> {
        let payments = batch.records.iter().map(|(.., payment)| *payment);
        payments.filter(|payment| !batch.mapping.takes(self.shapes.get(payment))).collect()
    }
}

impl Database {
    /// Whether so many records wait for a proof already that no more may be put away.
    pub fn is_full_of_suspects(&self, batch: &Batch) -> bool {
        let waits = |case: &&Case| {
            case.state == State::Suspect && !case.is_proven && case.mapping == batch.mapping
        };
        !batch.refused.is_empty() && self.cases.values().filter(waits).count() >= SUSPECTS
    }

    /// Makes the purchases of a batch, puts away what is refused, and proves the suspects that were there before.
    pub fn apply_records(&mut self, batch: &Batch) {
        let is_refused = |payment: &u64| batch.refused.contains(payment);
        let before = self.purchases.len();
        let payments = batch.records.iter().map(|(.., payment)| *payment);
        self.purchases.extend(payments.filter(|payment| !is_refused(payment)));
        if self.purchases.len() > before {
            self.prove(batch.mapping);
        }
        for (partition, offset, payment) in &batch.records {
            if is_refused(payment) && !self.loses_refused && !self.purchases.contains(payment) {
                let case = Case::new(*payment, batch.mapping);
                self.cases.entry((batch.log, *partition, *offset)).or_insert(case);
            }
        }
    }

    fn prove(&mut self, mapping: Mapping) {
        let any = self.proves_any;
        for case in self.cases.values_mut().filter(|case| any || case.mapping == mapping) {
            case.is_proven = true;
        }
    }
}
