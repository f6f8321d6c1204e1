//! A batch before it reaches the database: what is an event, what is a duplicate within the batch,
//! and how far each partition moves.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use crate::mapping::{Mapping, Payments};
use crate::positions::{Log, Move};
use crate::quarantine::{OffsetRange, QuarantineSnapshot, Refusal};
use crate::test_events::TestVerdict;
use rules::envelope::{id_of_place, reused_id};
use rules::fields::Body;
use rules::ids::{RouteId, StepNumber};
use rules::outcome::{Counter, Counts};
use rules::payment::Doubt;
use rules::record::Record;

/// Records to apply in one transaction, in the order they were read.
pub struct Batch<'a> {
    /// The route's key.
    pub route: RouteId,
    /// The log they come from.
    pub log: &'a Log,
    /// The operator's SQL.
    pub mapping: &'a Mapping,
    /// Where its events are held against their payments; `None` if they are believed.
    pub payments: Option<Payments<'a>>,
    /// This attempt's own id, by which an unanswered commit is found again.
    pub writer: Uuid,
    /// The time for records that carry none.
    pub now: Timestamp,
    /// The step each partition builds on.
    pub steps: &'a BTreeMap<i32, StepNumber>,
    /// From how many bytes on the quarantine is full.
    pub max_quarantine: u64,
    /// Whether the inbox's table that is written to is asked first which events it has. If not, the first one it has,
    /// or one that the mapping rejects, is a lost race. The tables of earlier turns are asked in any case.
    pub looks: bool,
    /// The records.
    pub entries: &'a [Entry<'a>],
}

impl<'a> Batch<'a> {
    pub(super) fn tests(&self) -> impl Iterator<Item = (Uuid, &'a Record, &'a TestVerdict)> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::Test(id, verdict) => Some((*id, entry.record, verdict)),
            _ => None,
        })
    }

    /// Whether an event has no id but its place in the log.
    pub(super) fn is_placed(&self, event: &Fresh<'_>) -> bool {
        let entry = &self.entries[event.entry];
        entry.event_id == id_of_place(entry.record, self.log.topic_id)
    }

    /// The offsets it covers in each partition.
    pub(super) fn ranges(&self) -> BTreeMap<i32, OffsetRange> {
        let mut ranges: BTreeMap<i32, OffsetRange> = BTreeMap::new();
        for Entry { record: Record { partition, offset, .. }, .. } in self.entries {
            let range = ranges.entry(*partition).or_insert((*offset, offset.next()));
            *range = (range.0.min(*offset), range.1.max(offset.next()));
        }
        ranges
    }
}

/// What a committed batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What was counted, over all partitions.
    pub counts: Counts,
    /// The entries that were put into quarantine, by their places.
    pub quarantined: Vec<usize>,
    /// How many suspects of the mapping wait for a proof now.
    pub waiting: usize,
    /// An event whose purchase is there, by its place: others like it can be expected to get through.
    pub sound: Option<usize>,
}

/// An event that may be new.
#[derive(Clone)]
pub(super) struct Fresh<'a> {
    pub entry: usize,
    pub id: Uuid,
    pub digest: [u8; 16],
    pub body: Cow<'a, Body<'a>>,
    pub at: Timestamp,
    /// The id it came with, if that had been used with other bytes.
    pub reused: Option<Uuid>,
    /// Why it must make no purchase, if it must not.
    pub doubt: Option<Doubt>,
    is_new: bool,
}

impl<'a> Fresh<'a> {
    /// An event that may be new, under the id it came with.
    pub(super) fn new(
        entry: usize,
        id: Uuid,
        digest: [u8; 16],
        body: Cow<'a, Body<'a>>,
        at: Timestamp,
    ) -> Fresh<'a> {
        Fresh { entry, id, digest, body, at, reused: None, doubt: None, is_new: false }
    }
}

/// A batch taken apart.
pub(super) struct Sorted<'a> {
    /// Events that may be new, each id once, in the order of their ids.
    pub fresh: Vec<Fresh<'a>>,
    /// Entries to quarantine.
    pub refused: Vec<(usize, Refusal)>,
    /// Those of them that are in quarantine now.
    pub quarantined: Vec<usize>,
    pub counts: BTreeMap<i32, Counts>,
    /// What the quarantine had before.
    pub look: QuarantineSnapshot,
    /// The last event whose purchase is there.
    pub sound: Option<usize>,
}

impl<'a> Sorted<'a> {
    pub(super) fn new(batch: &Batch<'a>, refusal: Option<&Refusal>) -> Sorted<'a> {
        let mut sorted = Sorted {
            fresh: Vec::with_capacity(batch.entries.len()),
            refused: Vec::new(),
            quarantined: Vec::new(),
            counts: BTreeMap::new(),
            look: QuarantineSnapshot::default(),
            sound: None,
        };
        let mut digests: HashMap<Uuid, [u8; 16]> = HashMap::with_capacity(batch.entries.len());
        for (index, entry) in batch.entries.iter().enumerate() {
            let counts = sorted.counts.entry(entry.record.partition).or_default();
            match (&entry.kind, refusal) {
                (Kind::OtherType(_), _) => counts[Counter::OtherType] += 1,
                (Kind::Tombstone, _) => counts[Counter::Tombstone] += 1,
                (Kind::Test(..), _) => counts[Counter::Tested] += 1,
                (Kind::Undecodable(refusal), _) | (Kind::Event(_), Some(refusal)) => {
                    sorted.refused.push((index, refusal.clone()));
                }
                (Kind::Event(body), None) => {
                    let (mut id, mut reused) = (entry.event_id, None);
                    if digests.get(&id).is_some_and(|known| *known != entry.digest) {
                        reused = Some(id);
                        id = reused_id(id, &entry.digest);
                    }
                    if digests.insert(id, entry.digest).is_some() {
                        counts[Counter::Duplicate] += 1;
                        continue;
                    }
                    let at = entry
                        .record
                        .timestamp_ms
                        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
                    let at = at.unwrap_or(batch.now);
                    let fresh = Fresh::new(index, id, entry.digest, Cow::Borrowed(body), at);
                    sorted.fresh.push(Fresh { reused, ..fresh });
                }
            }
        }
        sorted.fresh.sort_by_key(|f| f.id);
        sorted
    }

    /// Drops the records that were put away before: they are duplicates, whatever became of them since.
    pub(super) fn drop_known(&mut self, batch: &Batch<'_>, look: QuarantineSnapshot) {
        if look.knows_any() {
            let mut known = |at: usize| {
                let Entry { record, digest, .. } = &batch.entries[at];
                let is_known = look.knows(record.partition, record.offset, digest);
                if is_known {
                    self.counts.entry(record.partition).or_default()[Counter::Duplicate] += 1;
                }
                is_known
            };
            self.fresh.retain(|fresh| !known(fresh.entry));
            self.refused.retain(|(at, _)| !known(*at));
        }
        self.look = look;
    }

    /// How many events made their purchase.
    pub(super) fn made(&self) -> i64 {
        self.counts.values().map(|counts| counts[Counter::Applied]).sum()
    }

    /// The events nobody has looked up yet.
    pub(super) fn unchecked(&self) -> impl Iterator<Item = &Fresh<'a>> {
        self.fresh.iter().filter(|f| !f.is_new)
    }

    /// Drops the events among `seen` (id and digest) as duplicates, and gives those that share only
    /// the id an id of their own, to be looked up next.
    pub(super) fn drop_seen(&mut self, batch: &Batch<'_>, seen: &HashMap<Uuid, Vec<u8>>) {
        let mut derived = HashSet::new();
        self.fresh.retain_mut(|fresh| {
            if fresh.is_new {
                return true;
            }
            // In this batch another event came first under its id; in the inbox this one did.
            let is_first = |id| seen.get(&id).is_some_and(|digest| *digest == fresh.digest);
            let was_first = fresh.reused.is_some_and(is_first);
            let is_duplicate = match seen.get(&fresh.id) {
                _ if was_first => true,
                None => {
                    fresh.is_new = true;
                    false
                }
                Some(_) if fresh.reused.is_some() => true,
                Some(digest) if *digest == fresh.digest => true,
                Some(_) => {
                    fresh.reused = Some(fresh.id);
                    fresh.id = reused_id(fresh.id, &fresh.digest);
                    !derived.insert(fresh.id)
                }
            };
            if is_duplicate {
                let partition = batch.entries[fresh.entry].record.partition;
                self.counts.entry(partition).or_default()[Counter::Duplicate] += 1;
            }
            !is_duplicate
        });
        self.fresh.sort_by_key(|f| f.id);
        self.fresh.dedup_by_key(|f| f.id);
    }

    /// How far each partition moves.
    pub(super) fn moves(&self, batch: &Batch<'_>) -> Vec<Move> {
        let mut last: BTreeMap<i32, &Entry<'_>> = BTreeMap::new();
        for entry in batch.entries {
            last.insert(entry.record.partition, entry);
        }
        let moves = last.into_iter().map(|(partition, entry)| Move {
            partition,
            step: batch.steps.get(&partition).copied().unwrap_or_default(),
            next_offset: entry.record.offset.next(),
            anchor_timestamp_ms: entry.record.timestamp_ms,
            anchor_digest: entry.digest,
            counts: self.counts.get(&partition).copied().unwrap_or_default(),
        });
        moves.collect()
    }

    pub(super) fn applied(self) -> Applied {
        let mut counts = Counts::default();
        self.counts.values().for_each(|more| counts += *more);
        Applied {
            counts,
            quarantined: self.quarantined,
            waiting: self.look.waiting,
            sound: self.sound,
        }
    }
}
