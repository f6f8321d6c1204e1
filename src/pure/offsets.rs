//! Where reading a partition starts, and what that leaves out.

use std::ops::Range;

/// What the configuration wants where no position is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The oldest record there is.
    Earliest,
    /// The end of the log.
    Latest,
    /// The offset a configured time resolves to; `None` when no record is that young: the end.
    At(Option<i64>),
}

/// What is known of a partition when it is assigned. Offsets are those of the next record to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest position in Postgres for this group, topic id and partition.
    pub postgres: Option<i64>,
    /// The group's committed offset in Kafka; a negative one counts as none.
    pub kafka: Option<i64>,
    /// Postgres has positions for this group and topic name, but none under this topic id.
    pub recreated: bool,
    /// The oldest offset that can be read (low watermark).
    pub low: i64,
    /// The offset the next record will get (high watermark).
    pub high: i64,
    /// The record before the position in Postgres is not the one that was applied.
    pub anchor_broken: bool,
}

/// Where to start, why, and what there is to tell about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartAt {
    /// The first offset to read; always within the watermarks.
    pub offset: i64,
    /// What led there.
    pub why: Why,
    /// Offsets that this group will not read under makegood: for the reconciler.
    pub gap: Option<Range<i64>>,
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
        kafka: i64,
        /// Postgres' position, which counts.
        postgres: i64,
    },
    /// Kafka's committed offset belongs to a log that is gone and is ignored.
    KafkaOfOldLog {
        /// Kafka's committed offset.
        kafka: i64,
    },
    /// The log ends before the position, or has another record there: it was truncated or replaced.
    LogTruncated {
        /// The position that no longer fits.
        position: i64,
        /// Where the log ends now.
        high: i64,
    },
}

/// Chooses the start of a partition.
pub fn start_at(policy: Policy, known: Known) -> StartAt {
    let _ = policy;
    StartAt { offset: known.low, why: Why::FirstStart, gap: None, notice: None }
}
