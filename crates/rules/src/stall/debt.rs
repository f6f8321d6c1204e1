//! Since when records wait. Only a clock for each partition can tell: an idle partition's position is
//! old too, and of a busy one the end moves all the time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::Offset;

/// One look at a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSeen {
    /// Its number.
    pub partition: i32,
    /// Everything before it needs nothing more from us: the position, or the end that the client came
    /// to with nothing left in hand. Behind the last record there may be marks that no consumer is
    /// given, so that a position can stay below the end for good.
    pub covered: Offset,
    /// Whether records were handed over that are not applied yet.
    pub in_hand: bool,
    /// Where what may be read ends (the last stable offset); `None` when Kafka did not answer.
    pub end: Option<Offset>,
    /// Where the log ends, open transactions included; `None` when Kafka did not answer.
    pub high: Option<Offset>,
}

/// A partition where records wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Its number.
    pub partition: i32,
    /// For how long nothing has moved there.
    pub age: Duration,
    /// How many records, at most.
    pub records: i64,
    /// Whether some are in hand.
    pub in_hand: bool,
}

/// The clocks.
#[derive(Clone, Debug, Default)]
pub struct Debts(BTreeMap<i32, Clock>);

#[derive(Clone, Copy, Debug)]
struct Clock {
    covered: Offset,
    /// Since when something has been waiting and nothing moved.
    owed: Option<Duration>,
    /// How many records that was, when last seen.
    records: i64,
    /// The end below which an open transaction keeps what follows, and since when.
    open: Option<(Offset, Duration)>,
    in_hand: bool,
}

impl Debts {
    /// Notes a look at `now`. A partition that is not in it keeps its clock while it is `ours`: it is
    /// being claimed.
    pub fn look(&mut self, now: Duration, ours: &[i32], seen: &[PartitionSeen]) {
        self.0.retain(|partition, _| ours.contains(partition));
        for one in seen {
            let clock = self.0.entry(one.partition).or_insert(Clock {
                covered: one.covered,
                owed: None,
                records: 0,
                open: None,
                in_hand: false,
            });
            clock.look(now, one);
        }
    }

    /// The partitions where something waits, with ages at `now`; none reaches back beyond `awake`.
    pub fn owed(&self, now: Duration, awake: Duration) -> Vec<Owed> {
        let owed = |(partition, clock): (&i32, &Clock)| {
            let since = clock.owed?.max(awake);
            Some(Owed {
                partition: *partition,
                age: now.saturating_sub(since),
                records: clock.records,
                in_hand: clock.in_hand,
            })
        };
        self.0.iter().filter_map(owed).collect()
    }

    /// The partitions that wait for nothing but the end of a transaction, and the longest age.
    pub fn open(&self, now: Duration, awake: Duration) -> Option<(Vec<i32>, Duration)> {
        let open = |(partition, clock): (&i32, &Clock)| Some((*partition, clock.open?.1));
        let (partitions, since): (Vec<i32>, Vec<Duration>) = self.0.iter().filter_map(open).unzip();
        let since = since.into_iter().min()?.max(awake);
        Some((partitions, now.saturating_sub(since)))
    }
}

impl Clock {
    fn look(&mut self, now: Duration, seen: &PartitionSeen) {
        let moved = seen.covered > self.covered;
        self.covered = seen.covered;
        self.in_hand = seen.in_hand;
        let Some(end) = seen.end else {
            if moved {
                self.owed = None;
            }
            return;
        };
        self.records = (end - seen.covered).max(0);
        self.owed = match self.owed {
            _ if end <= seen.covered => None,
            Some(since) if !moved => Some(since),
            _ => Some(now),
        };
        let waits = self.owed.is_none() && seen.high.is_some_and(|high| high > end);
        self.open = match self.open {
            _ if !waits => None,
            Some((at, since)) if at == end => Some((at, since)),
            _ => Some((end, now)),
        };
    }
}
