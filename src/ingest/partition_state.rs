//! What Kafka and PostgreSQL know of partitions: what their starts are chosen from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Route;
use crate::config::Start;
use crate::kafka::probe::{PerPartition, Probe, Watermarks};
use crate::stop::blocking;
use crate::store::positions::{self, Anchor, Log, Position};
use crate::store::{Fault, Store};
use rules::ids::{Offset, StepNumber};
use rules::ingest::proof::{self, is_broken, unproved_start};
use rules::offsets::{Known, Policy, StartAt, Why};
use rules::problem::Problem;
use rules::record::Record;

/// How far before a start a record is looked for by which the fetch proves the log. The marks of transactions
/// have offsets too; what lies between is read and dropped.
const NEAR: i64 = 3;

/// What Kafka says of the partitions.
#[derive(Clone, Debug)]
pub struct PartitionsSnapshot {
    /// The log they belong to.
    pub log: Log,
    /// Where each begins and ends.
    pub ends: BTreeMap<i32, Watermarks>,
    /// The group's offsets.
    pub committed: BTreeMap<i32, Offset>,
    /// The partitions of which too little is known for a start, and why.
    pub left_out: BTreeMap<i32, Problem>,
}

/// One partition.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// What a start is chosen from.
    pub known: Known,
    /// What the configuration wants where nothing is known.
    pub policy: Policy,
    /// The newest step, if there is one.
    pub position: Option<Position>,
    /// A record before the start, in the log as it was looked at: the one that the position was built on, or another one
    /// where that lies behind the start.
    pub witness: Option<Anchor>,
}

impl Surveyed {
    /// The step that the next one builds on, 0 for none.
    pub fn step(&self) -> StepNumber {
        self.position.as_ref().map(|position| position.step).unwrap_or_default()
    }

    /// The record before a start by which the fetch proves that the log is the one that was looked at.
    pub fn anchor_of(&self, start: &StartAt) -> Option<Anchor> {
        let goes_on = matches!(start.why, Why::Resumed | Why::Rewound);
        let witness = self.witness.as_ref().filter(|_| goes_on)?;
        (start.offset - NEAR..start.offset).contains(&witness.offset).then(|| witness.clone())
    }
}

/// Looks at Kafka and PostgreSQL, and joins what they say of `partitions`.
///
/// Somebody may be reading meanwhile, and then each of these moves: Kafka's offset behind the position, the
/// position behind the log's end. They are asked in this order, so that none is ever seen ahead of what it follows.
pub async fn survey(
    route: &Arc<Route>,
    store: &Store,
    probe: &Arc<Probe>,
    partitions: &[i32],
) -> Result<(PartitionsSnapshot, BTreeMap<i32, Surveyed>), Problem> {
    let failed = |fault: Fault| fault.problem("cannot read positions");
    let (log, PerPartition { records: committed, failed: mut left_out }) = {
        let (route, probe, partitions) = (route.clone(), probe.clone(), partitions.to_vec());
        blocking(move || followers(&route, &probe, &partitions)).await?
    };
    let asked: Vec<i32> =
        partitions.iter().filter(|p| !left_out.contains_key(p)).copied().collect();
    let positions = or_none(positions::read(store, &log, &asked).await).map_err(failed)?;
    let before = or_none(positions::before(store, &log).await).map_err(failed)?;
    let unproved = |(p, position): (&i32, &Position)| {
        let anchor = position.anchor.as_ref().map(|anchor| anchor.offset);
        let start = unproved_start(position.next_offset, committed.get(p).copied(), anchor)?;
        Some((*p, start))
    };
    let mut seen = {
        let (route, probe) = (route.clone(), probe.clone());
        let anchors = positions
            .iter()
            .filter_map(|(p, position)| Some((*p, position.anchor.as_ref()?.offset)))
            .collect();
        let starts = positions.iter().filter_map(unproved).collect();
        blocking(move || Seen::ask(&route, &probe, &asked, &anchors, &starts)).await?
    };
    left_out.append(&mut seen.left_out);
    let anchor_of = |(p, position): (&i32, &Position)| {
        let (anchor, ends) = (position.anchor.as_ref()?, seen.ends.get(p)?);
        let found = match seen.anchors.get(p) {
            Some(record) if is_same(anchor, record) => proof::AnchorState::Same,
            Some(_) => proof::AnchorState::Other,
            None => proof::AnchorState::Gone,
        };
        Some((anchor.offset, (ends.low, ends.high), found))
    };
    let is_broken = |position: (&i32, &Position), is_compacted: bool| {
        anchor_of(position).is_some_and(|(a, ends, found)| is_broken(a, ends, found, is_compacted))
    };
    // Asked for only where it makes a difference.
    let is_doubted = |position: (&i32, &Position)| {
        !left_out.contains_key(position.0)
            && is_broken(position, false) != is_broken(position, true)
    };
    let is_compacted =
        positions.iter().any(is_doubted) && route.topic_settings.is_compacted().await;
    let one = |(partition, ends): (&i32, &Watermarks)| {
        let position = positions.get(partition);
        let policy = match route.settings.start {
            Start::Earliest => Policy::Earliest,
            Start::Latest => Policy::Latest,
            Start::At(_) => Policy::At(seen.at_time.get(partition).copied()),
        };
        let known = Known {
            postgres: position.map(|p| p.next_offset),
            kafka: committed.get(partition).copied(),
            recreated: before.recreated,
            begun: before.begun,
            low: ends.low,
            high: ends.high,
            anchor_broken: position.is_some_and(|p| is_broken((partition, p), is_compacted)),
        };
        let anchor = position.filter(|p| unproved((partition, p)).is_none());
        let anchor = anchor.filter(|_| seen.anchors.contains_key(partition));
        let anchor = anchor.and_then(|p| p.anchor.clone());
        let witness = seen.before.get(partition).map(Anchor::of).or(anchor);
        (*partition, Surveyed { known, policy, position: position.cloned(), witness })
    };
    let known = seen.ends.iter().filter(|(partition, _)| !left_out.contains_key(partition));
    let surveyed = known.map(one).collect();
    Ok((PartitionsSnapshot { log, ends: seen.ends, committed, left_out }, surveyed))
}

/// Which log it is, and the group's offsets in it.
fn followers(
    route: &Route,
    probe: &Probe,
    partitions: &[i32],
) -> Result<(Log, PerPartition<Offset>), Problem> {
    let log = Log {
        group: route.settings.group.clone(),
        topic: route.settings.topic.clone(),
        topic_id: probe.topic_id()?,
    };
    Ok((log, probe.committed(partitions)?))
}

/// What is in the log.
struct Seen {
    ends: BTreeMap<i32, Watermarks>,
    /// Where a configured time is.
    at_time: BTreeMap<i32, Offset>,
    /// The record each position was built on, where it is still there.
    anchors: BTreeMap<i32, Record>,
    /// A record shortly before a start, where the other lies behind it.
    before: BTreeMap<i32, Record>,
    /// Where one of these is not known, and why: silence proves nothing. A log that lost records would look like
    /// one that did not, and a time that was not found like one that is still to come.
    left_out: BTreeMap<i32, Problem>,
}

impl Seen {
    fn ask(
        route: &Route,
        probe: &Probe,
        partitions: &[i32],
        anchors: &BTreeMap<i32, Offset>,
        starts: &BTreeMap<i32, Offset>,
    ) -> Result<Seen, Problem> {
        let PerPartition { records: ends, failed: mut left_out } = probe.ends(partitions)?;
        let there: Vec<i32> = ends.keys().copied().collect();
        let mut times = match route.settings.start {
            Start::At(time) => probe.at_time(&there, time.as_millisecond())?,
            Start::Earliest | Start::Latest => PerPartition::default(),
        };
        let is_in = |p: &i32, offset: &Offset| {
            ends.get(p).is_some_and(|ends| (ends.low..ends.high).contains(offset))
        };
        let wanted =
            anchors.iter().filter(|(p, offset)| is_in(p, offset)).map(|(p, o)| (*p, *o)).collect();
        // In this order: the anchor then tells that these were of the same log.
        let is_open = |(p, start): (&i32, &Offset)| is_in(p, &(*start - 1)).then_some((*p, *start));
        let mut open: BTreeMap<i32, Offset> = starts.iter().filter_map(is_open).collect();
        let mut before = BTreeMap::new();
        for back in 1..=NEAR {
            let from = |(p, start): (&i32, &Offset)| {
                is_in(p, &(*start - back)).then(|| (*p, *start - back))
            };
            let mut found = probe.first_from(&open.iter().filter_map(from).collect())?;
            left_out.append(&mut found.failed);
            for (p, record) in found.records {
                if let Some(record) = record.filter(|record| record.offset < starts[&p]) {
                    open.remove(&p);
                    before.insert(p, record);
                }
            }
        }
        let mut anchors = probe.records_at(&wanted)?;
        left_out.append(&mut times.failed);
        left_out.append(&mut anchors.failed);
        let (at_time, anchors) = (times.records, anchors.records);
        Ok(Seen { ends, at_time, anchors, before, left_out })
    }
}

/// A database without makegood's schema knows nothing yet.
fn or_none<T: Default>(read: Result<T, Fault>) -> Result<T, Fault> {
    match read {
        Err(fault) if matches!(fault.sqlstate(), Some("42P01" | "3F000")) => Ok(T::default()),
        read => read,
    }
}

/// Whether a record is the one that a position was built on.
pub(super) fn is_same(anchor: &Anchor, record: &Record) -> bool {
    anchor.timestamp_ms == record.timestamp_ms && anchor.digest == record.digest()
}
