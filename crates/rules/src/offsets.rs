//! Where reading a partition starts, and what that leaves out.

use std::ops::Range;

use crate::ids::Offset;

/// Where every log once began.
const START: Offset = Offset(0);

/// What the configuration wants where no position is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The oldest record there is.
    Earliest,
    /// The end of the log.
    Latest,
    /// The offset a configured time resolves to; `None` when no record is that young: the end.
    At(Option<Offset>),
}

/// What is known of a partition when it is assigned. Offsets are those of the next record to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest position in Postgres for this group, topic id and partition.
    pub postgres: Option<Offset>,
    /// The group's committed offset in Kafka; a negative one counts as none.
    pub kafka: Option<Offset>,
    /// Postgres has positions for this group and topic name under another topic id.
    pub recreated: bool,
    /// Postgres has positions for this group and topic id, if only in other partitions.
    pub begun: bool,
    /// The oldest offset that can be read (low watermark).
    pub low: Offset,
    /// The offset the next record will get (high watermark).
    pub high: Offset,
    /// The record before the position in Postgres is not the one that was applied.
    pub anchor_broken: bool,
}

/// Where to start, why, and what there is to tell about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartAt {
    /// The first offset to read; always within the watermarks.
    pub offset: Offset,
    /// What led there.
    pub why: Why,
    /// Offsets that this group will not read under makegood: for the reconciler.
    pub gap: Option<Range<Offset>>,
    /// Something an operator should hear.
    pub notice: Option<Notice>,
}

/// What led to a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Postgres' position.
    Resumed,
    /// Kafka's offset, lower than Postgres' position: an operator's rewind, or a commit that lagged.
    Rewound,
    /// Nothing was known: the policy.
    FirstStart,
    /// Only Kafka's offset was known: another worker's group is taken over.
    TakenOver,
    /// The topic was deleted and created again: its new log is read from its beginning.
    Recreated,
    /// The log no longer has what was applied: it is read again from its beginning.
    Truncated,
    /// The position's records were deleted by retention: reading goes on at the oldest there is.
    Expired,
}

impl Why {
    /// The stable name stored with the position.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Resumed => "resumed",
            Why::Rewound => "rewound",
            Why::FirstStart => "first_start",
            Why::TakenOver => "taken_over",
            Why::Recreated => "recreated",
            Why::Truncated => "truncated",
            Why::Expired => "expired",
        }
    }
}

/// Something about a start that an operator should hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Kafka's committed offset is ahead of Postgres and ignored, for it would skip payments.
    KafkaAhead {
        /// Kafka's committed offset.
        kafka: Offset,
        /// Postgres' position, which counts.
        postgres: Offset,
    },
    /// Kafka's committed offset belongs to a log that is gone and is ignored.
    KafkaOfOldLog {
        /// Kafka's committed offset.
        kafka: Offset,
    },
    /// The log ends before the position, or has another record there: it was truncated or replaced.
    LogTruncated {
        /// The position that no longer fits.
        position: Offset,
        /// Where the log ends now.
        high: Offset,
    },
}

/// Chooses the start of a partition, so that nothing paid is skipped.
///
/// Postgres is the authority. Kafka's offset counts where it is lower (reading again is safe, the
/// inbox absorbs it) or where Postgres knows nothing at all; it never leads past what Postgres has
/// applied. The start always lies between the watermarks, and what it leaves out is its gap.
pub fn start_at(policy: Policy, known: Known) -> StartAt {
    let log = Log { low: known.low.max(START), high: known.high.max(known.low).max(START) };
    let kafka = known.kafka.filter(|offset| *offset >= START);
    match (known.postgres, kafka) {
        (Some(position), kafka) => log.resume(position, kafka, known.anchor_broken),
        (None, kafka) if known.recreated => log.recreated(kafka),
        (None, Some(offset)) => log.take_over(offset),
        // A partition that was added to a topic that is read already has nothing that anybody wanted left out.
        (None, None) if known.begun => log.first_start(Policy::Earliest),
        (None, None) => log.first_start(policy),
    }
}

/// What a position that a person moves to `to` leaves out: everything before it that was not applied.
pub fn skipped(policy: Policy, known: Known, to: Offset) -> Option<Range<Offset>> {
    // What was applied counts, not what Kafka's offset would have it read again.
    let kafka = known.kafka.filter(|_| known.postgres.is_none());
    let start = start_at(policy, Known { kafka, ..known });
    gap(start.gap.map_or(start.offset, |gap| gap.start), to)
}

/// The first offset that waits for a reader whose next offset is `next`, in a log that begins at `low` and ends before
/// `high`; `None` where it has read all there is.
pub fn first_waiting(next: Offset, low: Offset, high: Offset) -> Option<Offset> {
    Some(next.max(low)).filter(|first| *first < high)
}

/// How many offsets wait for that reader. `is_all_read`: none of them holds anything that a consumer is given, only marks
/// of transactions and records that were aborted. `makegood.consumer_positions` counts in the same way.
pub fn lag(next: Offset, low: Offset, high: Offset, is_all_read: bool) -> i64 {
    first_waiting(next, low, high).filter(|_| !is_all_read).map_or(0, |first| high - first)
}

/// What Kafka has of the partition; `0 <= low <= high`.
#[derive(Clone, Copy)]
struct Log {
    low: Offset,
    high: Offset,
}

impl Log {
    fn resume(self, position: Offset, kafka: Option<Offset>, anchor_broken: bool) -> StartAt {
        let Log { low, high } = self;
        if position > high || anchor_broken {
            return self.truncated(position, gap(position, low));
        }
        let notice = kafka
            .filter(|kafka| *kafka > position)
            .map(|kafka| Notice::KafkaAhead { kafka, postgres: position });
        if position < low {
            return StartAt { offset: low, why: Why::Expired, gap: gap(position, low), notice };
        }
        match kafka {
            Some(kafka) if kafka < position => {
                StartAt { offset: kafka.max(low), why: Why::Rewound, gap: None, notice }
            }
            _ => StartAt { offset: position, why: Why::Resumed, gap: None, notice },
        }
    }

    fn take_over(self, offset: Offset) -> StartAt {
        let Log { low, high } = self;
        if offset > high {
            return self.truncated(offset, gap(START, low));
        }
        // Whether the old worker made purchases of what lies before is not known.
        match offset < low {
            true => StartAt { offset: low, why: Why::Expired, gap: gap(offset, low), notice: None },
            false => StartAt { offset, why: Why::TakenOver, gap: gap(low, offset), notice: None },
        }
    }

    fn recreated(self, kafka: Option<Offset>) -> StartAt {
        let notice = kafka.map(|kafka| Notice::KafkaOfOldLog { kafka });
        StartAt { offset: self.low, why: Why::Recreated, gap: gap(START, self.low), notice }
    }

    fn first_start(self, policy: Policy) -> StartAt {
        let Log { low, high } = self;
        let (offset, gap) = match policy {
            Policy::Earliest => (low, gap(START, low)),
            Policy::Latest | Policy::At(None) => (high, gap(low, high)),
            Policy::At(Some(offset)) => {
                let offset = offset.clamp(low, high);
                (offset, gap(low, offset))
            }
        };
        StartAt { offset, why: Why::FirstStart, gap, notice: None }
    }

    fn truncated(self, position: Offset, gap: Option<Range<Offset>>) -> StartAt {
        let notice = Some(Notice::LogTruncated { position, high: self.high });
        StartAt { offset: self.low, why: Why::Truncated, gap, notice }
    }
}

fn gap(from: Offset, to: Offset) -> Option<Range<Offset>> {
    (from < to).then_some(from..to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Known = Known {
        postgres: None,
        kafka: None,
        recreated: false,
        begun: false,
        low: Offset(10),
        high: Offset(100),
        anchor_broken: false,
    };

    fn at(offset: i64) -> Option<Offset> {
        Some(Offset(offset))
    }

    fn left_out(from: i64, to: i64) -> Option<Range<Offset>> {
        Some(Offset(from)..Offset(to))
    }

    fn start(known: Known) -> (i64, &'static str, Option<Range<Offset>>, Option<Notice>) {
        let start = start_at(Policy::Earliest, known);
        (start.offset.0, start.why.as_str(), start.gap, start.notice)
    }

    #[test]
    fn the_position_in_postgres_counts() {
        let known = Known { postgres: at(50), ..LOG };
        assert_eq!(start(known), (50, "resumed", None, None));
        assert_eq!(start(Known { kafka: at(50), ..known }), (50, "resumed", None, None));
        assert_eq!(start(Known { recreated: true, ..known }), (50, "resumed", None, None));
    }

    #[test]
    fn a_rewind_in_kafka_is_followed_and_a_jump_ahead_is_ignored_and_told() {
        let known = Known { postgres: at(50), ..LOG };
        assert_eq!(start(Known { kafka: at(20), ..known }), (20, "rewound", None, None));
        assert_eq!(start(Known { kafka: at(3), ..known }), (10, "rewound", None, None));
        for kafka in [51, 100, 5000] {
            let notice = Some(Notice::KafkaAhead { kafka: Offset(kafka), postgres: Offset(50) });
            let known = Known { kafka: at(kafka), ..known };
            assert_eq!(start(known), (50, "resumed", None, notice));
        }
    }

    #[test]
    fn another_workers_group_is_taken_over_where_it_stood() {
        assert_eq!(
            start(Known { kafka: at(40), ..LOG }),
            (40, "taken_over", left_out(10, 40), None)
        );
        assert_eq!(start(Known { kafka: at(10), ..LOG }), (10, "taken_over", None, None));
        assert_eq!(start(Known { kafka: at(4), ..LOG }), (10, "expired", left_out(4, 10), None));
        let beyond = Some(Notice::LogTruncated { position: Offset(101), high: Offset(100) });
        let known = Known { kafka: at(101), ..LOG };
        assert_eq!(start(known), (10, "truncated", left_out(0, 10), beyond));
    }

    #[test]
    fn no_position_anywhere_means_the_policy_and_kafkas_minus_one_is_none() {
        let known = Known { kafka: at(-1001), ..LOG };
        assert_eq!(start(known), (10, "first_start", left_out(0, 10), None));
        let first = |policy| start_at(policy, LOG);
        assert_eq!(
            (first(Policy::Latest).offset.0, first(Policy::Latest).gap),
            (100, left_out(10, 100))
        );
        assert_eq!(first(Policy::At(None)), first(Policy::Latest));
        assert_eq!(first(Policy::At(at(30))).gap, left_out(10, 30));
        assert_eq!(first(Policy::At(at(3))).offset, Offset(10));
        assert_eq!(first(Policy::At(at(300))).offset, Offset(100));
    }

    #[test]
    fn a_partition_added_to_a_topic_that_is_read_begins_at_its_beginning_whatever_the_policy() {
        let known = Known { begun: true, ..LOG };
        for policy in [Policy::Latest, Policy::At(None), Policy::At(at(50)), Policy::Earliest] {
            let start = start_at(policy, known);
            assert_eq!((start.offset.0, start.gap), (10, left_out(0, 10)), "{policy:?}");
        }
        assert_eq!(start(Known { kafka: at(40), ..known }).1, "taken_over");
    }

    #[test]
    fn a_topic_created_again_is_read_from_its_beginning_whatever_kafka_says() {
        let known = Known { recreated: true, kafka: at(70), low: Offset(0), ..LOG };
        let notice = Some(Notice::KafkaOfOldLog { kafka: Offset(70) });
        assert_eq!(start(known), (0, "recreated", None, notice));
        assert_eq!(start_at(Policy::Latest, known).offset, Offset(0));
    }

    #[test]
    fn what_retention_deleted_is_a_gap() {
        let known = Known { postgres: at(4), ..LOG };
        assert_eq!(start(known), (10, "expired", left_out(4, 10), None));
        assert_eq!(start(Known { postgres: at(9), ..LOG }), (10, "expired", left_out(9, 10), None));
        assert_eq!(start(Known { postgres: at(10), ..LOG }), (10, "resumed", None, None));
        assert_eq!(start(Known { postgres: at(100), ..LOG }), (100, "resumed", None, None));
        assert_eq!(start(Known { kafka: at(2), ..known }), (10, "expired", left_out(4, 10), None));
    }

    #[test]
    fn a_move_by_a_person_skips_what_was_not_applied() {
        let skipped = |known, to| skipped(Policy::Earliest, known, Offset(to));
        let known = Known { postgres: at(50), kafka: at(20), ..LOG };
        assert_eq!(skipped(known, 100), left_out(50, 100));
        assert_eq!(skipped(known, 50), None);
        assert_eq!(skipped(known, 10), None, "reading again skips nothing");
        assert_eq!(skipped(Known { postgres: at(4), ..known }, 10), left_out(4, 10));
        assert_eq!(
            skipped(Known { postgres: at(101), ..known }, 30),
            left_out(10, 30),
            "replaced log"
        );
        let taken_over = Known { kafka: at(40), ..LOG };
        assert_eq!(skipped(taken_over, 40), left_out(10, 40));
        assert_eq!(skipped(taken_over, 10), None, "what the old worker did is read again");
        assert_eq!(skipped(LOG, 30), left_out(0, 30));
    }

    #[test]
    fn a_log_that_lost_what_was_applied_is_read_again_from_its_beginning() {
        let notice =
            |position| Some(Notice::LogTruncated { position: Offset(position), high: Offset(100) });
        let known = Known { postgres: at(101), ..LOG };
        assert_eq!(start(known), (10, "truncated", None, notice(101)));
        let known = Known { postgres: at(60), anchor_broken: true, kafka: at(60), ..LOG };
        assert_eq!(start(known), (10, "truncated", None, notice(60)));
    }
}
