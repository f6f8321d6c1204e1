//! What comes of events and records, and how that is counted.

use std::ops::{AddAssign, Index, IndexMut};

use crate::payment::Doubt;
use crate::words::words;

words! {
    /// What the mapping answers for an event. The inbox keeps it, but for [`Outcome::Rejected`].
    Outcome {
        /// Made the purchase
        Applied = "applied",
        /// The purchase existed
        Already = "already",
        /// The purchase exists and differs
        Conflict = "conflict",
        /// There was nothing to do
        Ignored = "ignored",
        /// It goes to quarantine
        Rejected = "rejected",
    }
}

impl Outcome {
    /// As what it is counted, if the inbox keeps it; a rejected event is counted when it is put away.
    pub const fn counter(self) -> Option<Counter> {
        Some(match self {
            Outcome::Applied => Counter::Applied,
            Outcome::Already => Counter::Already,
            Outcome::Conflict => Counter::Conflict,
            Outcome::Ignored => Counter::Ignored,
            Outcome::Rejected => return None,
        })
    }

    /// Those that the inbox keeps.
    pub fn kept() -> impl Iterator<Item = Outcome> {
        Outcome::ALL.into_iter().filter(|outcome| outcome.counter().is_some())
    }

    /// Whether the purchase is there as it should be.
    pub const fn has_purchase(self) -> bool {
        matches!(self, Outcome::Applied | Outcome::Already)
    }
}

words! {
    /// What is counted of the records of a partition. `makegood.positions` has the counters as an array in this order,
    /// so a new one comes last.
    Counter {
        /// Events that made a purchase.
        Applied = "applied",
        /// Events whose purchase existed.
        Already = "already",
        /// Events whose purchase exists and differs.
        Conflict = "conflict",
        /// Events the mapping had nothing to do for.
        Ignored = "ignored",
        /// Records of an event already in the inbox.
        Duplicate = "duplicate",
        /// Records put into quarantine.
        Quarantined = "quarantined",
        /// Records of another event type.
        OtherType = "other_type",
        /// Records without a value in a topic that is compacted.
        Tombstone = "tombstone",
        /// Events whose id had been used with other bytes.
        IdReused = "id_reused",
        /// Records of send-test.
        Tested = "tested",
    }
}

impl Counter {
    /// Those that `makegood.status`, the commands and the metrics show of a route.
    pub fn shown() -> impl Iterator<Item = Counter> {
        let rare = [Counter::Tombstone, Counter::IdReused, Counter::Tested];
        Counter::ALL.into_iter().filter(move |counter| !rare.contains(counter))
    }
}

/// A number for each counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([i64; Counter::ALL.len()]);

impl Counts {
    /// What each counter has, in their order.
    pub fn each(&self) -> impl Iterator<Item = (Counter, i64)> {
        Counter::ALL.into_iter().zip(self.0)
    }
}

impl Index<Counter> for Counts {
    type Output = i64;

    fn index(&self, counter: Counter) -> &i64 {
        &self.0[counter as usize]
    }
}

impl IndexMut<Counter> for Counts {
    fn index_mut(&mut self, counter: Counter) -> &mut i64 {
        &mut self.0[counter as usize]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        for (counter, more) in other.each() {
            self[counter] += more;
        }
    }
}

words! {
    /// What came, or would come, of one record that was tried or replayed: the mapping's outcome, or why there is none.
    Attempted {
        /// See [`Outcome::Applied`].
        Applied = "applied",
        /// See [`Outcome::Already`].
        Already = "already",
        /// See [`Outcome::Conflict`].
        Conflict = "conflict",
        /// See [`Outcome::Ignored`].
        Ignored = "ignored",
        /// See [`Outcome::Rejected`].
        Rejected = "rejected",
        /// There is no payment that it could be of.
        NoPayment = "no_payment",
        /// Its payment says something else.
        Mismatch = "mismatch",
        /// It is of another type.
        OtherType = "other_type",
        /// It has no value.
        Tombstone = "tombstone",
        /// It cannot be read.
        Undecodable = "undecodable",
        /// Another record of the batch is the same event.
        Duplicate = "duplicate",
        /// It is one of send-test.
        Test = "test",
        /// Its payment is missing no purchase.
        Healed = "healed",
        /// It was dealt with before.
        Settled = "settled",
        /// PostgreSQL refused it.
        Refused = "refused",
        /// It could not be tried.
        Failed = "failed",
    }
}

impl From<Outcome> for Attempted {
    fn from(outcome: Outcome) -> Attempted {
        match outcome {
            Outcome::Applied => Attempted::Applied,
            Outcome::Already => Attempted::Already,
            Outcome::Conflict => Attempted::Conflict,
            Outcome::Ignored => Attempted::Ignored,
            Outcome::Rejected => Attempted::Rejected,
        }
    }
}

impl Attempted {
    /// Of an event: why its payment does not bear it out, or else what the mapping answered.
    pub fn of(doubt: Option<&Doubt>, outcome: Outcome) -> Attempted {
        match doubt {
            Some(Doubt::Mismatch(_)) => Attempted::Mismatch,
            Some(_) => Attempted::NoPayment,
            None => outcome.into(),
        }
    }

    /// Whether a record goes to quarantine, or stays there, for this.
    pub const fn is_put_away(self) -> bool {
        use Attempted::{Mismatch, NoPayment, Refused, Rejected, Undecodable};
        matches!(self, Rejected | NoPayment | Mismatch | Undecodable | Refused)
    }

    /// Whether it tells that its payment is missing no purchase.
    pub const fn is_purchased(self) -> bool {
        use Attempted::{Already, Applied, Conflict, Healed};
        matches!(self, Applied | Already | Conflict | Healed)
    }
}
