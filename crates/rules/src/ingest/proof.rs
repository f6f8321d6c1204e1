//! Whether the log that is read is the one that a position was written for, told by single records of it. Offsets are of
//! one partition.

use crate::ids::Offset;

/// The last record that was applied, as the log shows it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorState {
    /// It is there.
    Same,
    /// Another record is there.
    Other,
    /// No record is there.
    Gone,
}

/// Whether the log is another one than the anchor at `anchor` was applied from. `low` and `high` are its ends, asked for
/// after the position was read: what was applied was in it by then, and goes from its beginning only, unless it is
/// compacted.
pub fn is_broken(
    anchor: Offset,
    (low, high): (Offset, Offset),
    seen: AnchorState,
    is_compacted: bool,
) -> bool {
    let is_in = (low..high).contains(&anchor);
    let is_other = match seen {
        AnchorState::Same => false,
        AnchorState::Other => true,
        AnchorState::Gone => is_in && !is_compacted,
    };
    is_other || anchor >= high
}

/// Where reading will go on from a position, if the anchor is not the record right before that: another one has to prove
/// the log then. `kafka` is the group's offset; a negative one counts as none.
pub fn unproved_start(
    position: Offset,
    kafka: Option<Offset>,
    anchor: Option<Offset>,
) -> Option<Offset> {
    let kafka = kafka.filter(|kafka| *kafka >= Offset(0));
    let start = kafka.map_or(position, |kafka| kafka.min(position));
    (anchor != Some(start - 1)).then_some(start)
}

/// What a delivery at `offset`, behind what ended at `follows`, says of the log, if it is read to prove that: the fetch
/// begins at `witness`, the last record before `start` when the log was looked at, and `is_same` compares the two.
/// `None` for a record that is to be applied.
pub fn proves(
    witness: Offset,
    start: Offset,
    follows: Offset,
    offset: Offset,
    is_same: impl FnOnce() -> bool,
) -> Option<bool> {
    let is_first = follows == witness;
    (is_first || offset < start).then(|| is_first && offset == witness && is_same())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(anchor: i64, (low, high): (i64, i64), seen: AnchorState, is_compacted: bool) -> bool {
        is_broken(Offset(anchor), (Offset(low), Offset(high)), seen, is_compacted)
    }

    fn start(position: i64, kafka: Option<i64>, anchor: Option<i64>) -> Option<i64> {
        let start = unproved_start(Offset(position), kafka.map(Offset), anchor.map(Offset));
        start.map(|start| start.0)
    }

    fn proved(offsets: [i64; 4], is_same: bool) -> Option<bool> {
        let [witness, start, follows, offset] = offsets.map(Offset);
        proves(witness, start, follows, offset, || is_same)
    }

    #[test]
    fn a_record_that_was_applied_goes_from_the_beginning_of_a_log_only() {
        assert!(!broken(5, (0, 9), AnchorState::Same, false));
        assert!(broken(5, (0, 9), AnchorState::Other, true));
        assert!(broken(5, (0, 9), AnchorState::Gone, false));
        assert!(!broken(5, (0, 9), AnchorState::Gone, true));
        assert!(!broken(5, (6, 9), AnchorState::Gone, false), "it expired");
        assert!(broken(9, (0, 9), AnchorState::Gone, true), "the log ends before it");
    }

    #[test]
    fn another_record_proves_the_log_where_the_anchor_is_not_the_one_before_the_start() {
        assert_eq!(start(10, None, Some(9)), None);
        assert_eq!(start(10, Some(12), Some(9)), None);
        assert_eq!(start(10, Some(-1001), Some(9)), None);
        assert_eq!(start(10, Some(7), Some(9)), Some(7));
        assert_eq!(start(10, None, Some(3)), Some(10));
        assert_eq!(start(10, None, None), Some(10));
    }

    #[test]
    fn what_is_delivered_before_the_start_is_the_witness_or_of_another_log() {
        assert_eq!(proved([8, 10, 8, 8], true), Some(true));
        assert_eq!(proved([8, 10, 8, 8], false), Some(false));
        assert_eq!(proved([8, 10, 9, 9], true), Some(false));
        assert_eq!(proved([8, 10, 8, 10], true), Some(false), "the witness is gone");
        assert_eq!(proved([8, 10, 9, 10], false), None);
    }
}
