//! What the group's member reads, and where each partition's last delivery ended.

use std::collections::BTreeMap;

use crate::ids::Offset;

/// Where records go. `L` is the way to a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlets<L> {
    generation: u64,
    lanes: BTreeMap<i32, Outlet<L>>,
}

/// Where a partition's records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlet<L> {
    /// The way to its lane.
    pub lane: L,
    /// Where its last delivery ended, at first where it begins.
    pub next: Offset,
}

impl<L> Default for Outlets<L> {
    fn default() -> Self {
        Outlets { generation: 0, lanes: BTreeMap::new() }
    }
}

impl<L> Outlets<L> {
    /// Reads these partitions and no others from now on, as ordered for `assignment`. An order for another assignment
    /// than the `present` one was given before the loop heard of a rebalance: the partitions may be somebody else's
    /// by now, and it is not obeyed. Returns whether it was.
    pub fn fetch(
        &mut self,
        (assignment, present): (u64, u64),
        generation: u64,
        lanes: BTreeMap<i32, Outlet<L>>,
    ) -> bool {
        let is_present = assignment == present;
        if is_present {
            (self.generation, self.lanes) = (generation, lanes);
        }
        is_present
    }

    /// Reads nothing.
    pub fn unfetch(&mut self) {
        self.lanes.clear();
    }

    /// Whether nothing is read.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The newest fetch that was obeyed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Where a partition's records go, if it is read.
    pub fn of(&self, partition: i32) -> Option<&Outlet<L>> {
        self.lanes.get(&partition)
    }

    /// A record was handed over, and its partition's next one begins at `end` or behind it.
    pub fn delivered(&mut self, partition: i32, end: Offset) {
        if let Some(outlet) = self.lanes.get_mut(&partition) {
            outlet.next = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_order_for_the_present_assignment_is_obeyed() {
        let lanes = |next| BTreeMap::from([(0, Outlet { lane: (), next: Offset(next) })]);
        let mut outlets = Outlets::default();
        assert!(outlets.fetch((2, 2), 1, lanes(5)));
        // Given before the loop heard of a rebalance, or for one that the member has not heard of.
        for given in [1, 3] {
            assert!(!outlets.fetch((given, 2), 2, lanes(9)));
        }
        assert_eq!((outlets.generation(), outlets.of(0).map(|o| o.next)), (1, Some(Offset(5))));
    }
}
