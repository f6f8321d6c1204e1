//! Whether the database still has the steps that were committed.

use std::collections::BTreeMap;

use crate::ids::{Offset, StepNumber};

/// So many looks in a row may find Kafka's offset ahead: in the moments after a claim Kafka has not heard of it yet.
const AHEAD: u32 = 2;

/// The newest step of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its number.
    pub step: StepNumber,
    /// The next offset to read.
    pub next_offset: Offset,
}

/// What is known of the steps of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The step of each partition that was claimed or seen committed since.
    floor: BTreeMap<i32, StepNumber>,
    /// How many looks in a row have found Kafka's offset ahead.
    ahead: u32,
}

impl Steps {
    /// Those of a claim.
    pub fn of(claimed: BTreeMap<i32, StepNumber>) -> Steps {
        Steps { floor: claimed, ahead: 0 }
    }

    /// Whether the database went back in time, as after a failover that lost the last commits: what it lost must be
    /// read again even if no new record comes. `committed`, the group's offsets, were asked for before `found`: Kafka
    /// hears of a step only after PostgreSQL has it, so an offset of Kafka's that is ahead was lost here.
    pub fn went_back(
        &mut self,
        found: &BTreeMap<i32, Newest>,
        committed: &BTreeMap<i32, Offset>,
    ) -> bool {
        let is_lost =
            |(p, floor): (&i32, &StepNumber)| found.get(p).is_none_or(|f| f.step < *floor);
        let lost = self.floor.iter().any(is_lost);
        let is_ahead =
            |(p, kafka): (&i32, &Offset)| found.get(p).is_some_and(|f| f.next_offset < *kafka);
        self.ahead = if committed.iter().any(is_ahead) { self.ahead + 1 } else { 0 };
        for (partition, floor) in &mut self.floor {
            if let Some(found) = found.get(partition) {
                *floor = found.step.max(*floor);
            }
        }
        lost || self.ahead > AHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_are_gone_are_missed_and_kafka_may_lag_but_not_lead() {
        let found = |step, next_offset| {
            let next_offset = Offset(next_offset);
            BTreeMap::from([(0, Newest { step: StepNumber(step), next_offset })])
        };
        let none = BTreeMap::new();
        let mut steps = Steps::of(BTreeMap::from([(0, StepNumber(5))]));
        assert!(!steps.went_back(&found(7, 70), &none));
        assert!(steps.clone().went_back(&found(6, 60), &none), "7 was seen");
        assert!(steps.clone().went_back(&BTreeMap::new(), &none));
        let ahead = BTreeMap::from([(0, Offset(71))]);
        assert!(!steps.went_back(&found(7, 70), &ahead));
        assert!(!steps.went_back(&found(7, 70), &ahead));
        assert!(steps.clone().went_back(&found(7, 70), &ahead));
        assert!(!steps.went_back(&found(8, 71), &ahead));
        assert!(
            !steps.went_back(&found(8, 71), &BTreeMap::from([(0, Offset(72))])),
            "counted anew"
        );
    }
}
