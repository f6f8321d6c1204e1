//! Finds where each partition starts, and claims it there.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{info, warn};

use super::Route;
use crate::config::Start;
use crate::kafka::probe::{Probe, Watermarks};
use crate::pure::envelope::digest;
use crate::pure::offsets::{self, Known, Notice, Policy, StartAt, Why};
use crate::pure::problem::{Code, Problem};
use crate::pure::record::Record;
use crate::store::Store;
use crate::store::positions::{self, Anchor, Claim, Gap, Log, Position};

/// How often a claim is tried again at once when somebody else's step came between.
const ATTEMPTS: u32 = 5;

/// Claimed partitions.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    /// The log they belong to.
    pub log: Log,
    /// Where each starts, and the step that its next one builds on.
    pub starts: BTreeMap<i32, Begin>,
}

/// The start of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub offset: i64,
    pub step: i64,
}

/// What Kafka says of the partitions.
pub(super) struct Look {
    pub log: Log,
    pub ends: BTreeMap<i32, Watermarks>,
    pub committed: BTreeMap<i32, i64>,
    at_time: BTreeMap<i32, i64>,
}

/// Claims `partitions`: looks at Kafka and PostgreSQL, resolves each start, writes the claims.
pub(super) async fn claim(
    route: &Arc<Route>,
    store: &Store,
    probe: &Arc<Probe>,
    partitions: &[i32],
) -> Result<Claimed, Problem> {
    let look = {
        let (route, probe, partitions) = (route.clone(), probe.clone(), partitions.to_vec());
        blocking(move || look(&route, &probe, &partitions)).await?
    };
    let failed = |fault: crate::store::Fault| fault.problem("cannot claim positions");
    for _ in 0..ATTEMPTS {
        let known = positions::read(store, &look.log, partitions).await.map_err(failed)?;
        let recreated = positions::recreated(store, &look.log).await.map_err(failed)?;
        let anchors = anchors(probe, &look, &known).await?;
        let starts = resolve(route, &look, &known, recreated, &anchors);
        let (claims, gaps) = rows(&starts, &known);
        let steps =
            positions::claim(store, route.id, &look.log, &claims, &gaps).await.map_err(failed)?;
        if steps.len() == claims.len() {
            report(route, &starts);
            let starts = starts
                .iter()
                .filter_map(|(p, start)| {
                    Some((*p, Begin { offset: start.offset, step: *steps.get(p)? }))
                })
                .collect();
            return Ok(Claimed { log: look.log, starts });
        }
    }
    Err(Problem::new(Code::Postgres, "another daemon keeps moving these partitions").hint(
        "two daemons both believe to own them; the group settles that within its session time-out",
    ))
}

pub(super) fn look(route: &Route, probe: &Probe, partitions: &[i32]) -> Result<Look, Problem> {
    let log = Log {
        group: route.settings.group.clone(),
        topic: route.settings.topic.clone(),
        topic_id: probe.topic_id()?,
    };
    let ends = partitions
        .iter()
        .map(|p| Ok((*p, probe.watermarks(*p)?)))
        .collect::<Result<_, Problem>>()?;
    let at_time = match route.settings.start {
        Start::At(time) => probe.at_time(partitions, time.as_millisecond())?,
        Start::Earliest | Start::Latest => BTreeMap::new(),
    };
    Ok(Look { log, ends, committed: probe.committed(partitions)?, at_time })
}

/// Reads back the record each position was built on, where it should still be there.
pub(super) async fn anchors(
    probe: &Arc<Probe>,
    look: &Look,
    known: &BTreeMap<i32, Position>,
) -> Result<BTreeMap<i32, Record>, Problem> {
    let wanted: BTreeMap<i32, i64> = known
        .iter()
        .filter_map(|(p, position)| Some((*p, position.anchor.as_ref()?.offset)))
        .filter(|(p, offset)| look.ends.get(p).is_some_and(|e| (e.low..e.high).contains(offset)))
        .collect();
    let probe = probe.clone();
    blocking(move || probe.records_at(&wanted)).await
}

pub(super) fn resolve(
    route: &Route,
    look: &Look,
    known: &BTreeMap<i32, Position>,
    recreated: bool,
    anchors: &BTreeMap<i32, Record>,
) -> BTreeMap<i32, StartAt> {
    let start = |(partition, ends): (&i32, &Watermarks)| {
        let position = known.get(partition);
        let policy = match route.settings.start {
            Start::Earliest => Policy::Earliest,
            Start::Latest => Policy::Latest,
            Start::At(_) => Policy::At(look.at_time.get(partition).copied()),
        };
        let anchor = position.and_then(|p| p.anchor.as_ref());
        let found = anchors.get(partition);
        let facts = Known {
            postgres: position.map(|p| p.next_offset),
            kafka: look.committed.get(partition).copied(),
            recreated,
            low: ends.low,
            high: ends.high,
            anchor_broken: anchor.zip(found).is_some_and(|(a, r)| !is_same(a, r)),
        };
        (*partition, offsets::start_at(policy, facts))
    };
    look.ends.iter().map(start).collect()
}

fn is_same(anchor: &Anchor, record: &Record) -> bool {
    anchor.timestamp_ms == record.timestamp_ms
        && anchor.digest == digest(record.value.as_deref().unwrap_or_default())
}

fn rows(
    starts: &BTreeMap<i32, StartAt>,
    known: &BTreeMap<i32, Position>,
) -> (Vec<Claim>, Vec<Gap>) {
    let claim = |(partition, start): (&i32, &StartAt)| Claim {
        partition: *partition,
        step: known.get(partition).map_or(0, |p| p.step),
        next_offset: start.offset,
        why: start.why.as_str(),
    };
    let gap = |(partition, start): (&i32, &StartAt)| {
        let range = start.gap.clone()?;
        Some(Gap {
            partition: *partition,
            from: range.start,
            to: range.end,
            reason: start.why.as_str(),
        })
    };
    (starts.iter().map(claim).collect(), starts.iter().filter_map(gap).collect())
}

/// Says what is out of the ordinary about the starts.
fn report(route: &Route, starts: &BTreeMap<i32, StartAt>) {
    let route = &route.settings.name;
    for (partition, start) in starts {
        let (offset, why) = (start.offset, start.why.as_str());
        info!(route, partition, offset, why, "partition claimed");
        if start.why == Why::Rewound {
            info!(
                route,
                partition,
                offset,
                "Kafka's offset is lower: reading again from there; the inbox absorbs what was applied"
            );
        }
        match &start.notice {
            Some(Notice::KafkaAhead { kafka, postgres }) => warn!(
                route,
                partition,
                kafka,
                postgres,
                "the group's offset in Kafka is ahead of the position; following it would skip payments, so it is ignored"
            ),
            Some(Notice::KafkaOfOldLog { kafka }) => warn!(
                route,
                partition,
                kafka,
                "the topic was made anew; the group's offset belongs to the old log and is ignored"
            ),
            Some(Notice::LogTruncated { position, high }) => warn!(
                route,
                partition,
                position,
                high,
                "the log lost records that were applied; reading it again from its start, the inbox absorbs the rest"
            ),
            None => {}
        }
        if let Some(gap) = &start.gap {
            warn!(
                route,
                partition,
                from = gap.start,
                to = gap.end,
                "records before the start are not read; recorded in makegood.gaps"
            );
        }
    }
}

/// Runs a call that waits for Kafka where waiting is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|e| {
        Err(Problem::new(Code::System, format!("a look at Kafka ended early: {e}")))
    })
}
