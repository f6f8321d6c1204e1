//! Finds where each partition starts, and claims it there.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{info, warn};
use uuid::Uuid;

use super::Route;
use super::partition_state::{self, PartitionsSnapshot, Surveyed};
use super::unreadable;
use crate::config::Start;
use crate::kafka::probe::Probe;
use crate::stop::blocking;
use crate::store::Store;
use crate::store::gaps::Gap;
use crate::store::positions::{self, Anchor, Claim, Log};
use rules::ids::{Offset, StepNumber};
use rules::offsets::{self, Notice, StartAt, Why};
use rules::problem::{Code, Problem};

/// How often a claim is tried again at once when somebody else's step came between.
const ATTEMPTS: u32 = 5;

/// Claimed partitions.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    /// The claim's own number.
    pub number: Uuid,
    /// The log they belong to.
    pub log: Log,
    /// Where each starts, and the step that its next one builds on.
    pub starts: BTreeMap<i32, Begin>,
    /// The partitions that could not be claimed, and why. They keep nobody else waiting.
    pub left_out: BTreeMap<i32, Problem>,
    /// Whether the log is another one than it was.
    pub replaced: bool,
}

/// The start of one partition.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    pub offset: Offset,
    pub step: StepNumber,
    /// The record that the position was built on. It is read again, before the first new one: only the fetch itself can
    /// prove that the log is the one that was looked at.
    pub anchor: Option<Anchor>,
}

impl Begin {
    /// Where to read from.
    pub(super) fn read_from(&self) -> Offset {
        self.anchor.as_ref().map_or(self.offset, |anchor| anchor.offset)
    }
}

/// Claims `partitions`: looks at Kafka and PostgreSQL, resolves each start, writes the claims. Dropped midway, it
/// claims nothing, or what the next claim finds as the newest step. `careful`: a partition whose next record
/// cannot be read is not claimed, or behind it if nobody ever can.
pub(super) async fn claim(
    route: &Arc<Route>,
    store: &Store,
    probe: &Arc<Probe>,
    partitions: &[i32],
    careful: bool,
) -> Result<Claimed, Problem> {
    for _ in 0..ATTEMPTS {
        // Who moved the positions moved on in the log too: what was seen of it before is as outdated.
        let (mut look, survey) = look(route, store, probe, partitions).await?;
        let mut starts: BTreeMap<i32, StartAt> =
            survey.iter().map(|(p, s)| (*p, offsets::start_at(s.policy, s.known))).collect();
        let mut passed = Vec::new();
        if careful {
            passed = unreadable::go_past(route, probe, &mut look, &mut starts).await?;
        }
        let (claims, mut gaps) = rows(&starts, &survey);
        gaps.extend(passed.iter().cloned());
        let replaced = starts.values().any(|s| matches!(s.why, Why::Recreated | Why::Truncated));
        let (mut steps, deleted) =
            positions::claim(store, route.id, &look.log, &claims, &gaps, replaced)
                .await
                .map_err(|fault| fault.problem("cannot claim positions"))?;
        // Others' partitions are only pinned, unless they were quicker.
        starts.retain(|partition, _| partitions.contains(partition));
        steps.retain(|partition, _| partitions.contains(partition));
        if steps.len() == starts.len() {
            report(route, &starts);
            unreadable::report(route, &passed);
            for Gap { partition, from, to, .. } in deleted {
                warn!(
                    route = route.settings.name,
                    partition,
                    from = from.0,
                    to = to.0,
                    "the topic was deleted before these records were read; makegood.gaps has them, and the reconciler covers them with a sweep"
                );
            }
            // The lanes do it after their batches, and there may be none between claims.
            positions::trim(store, &look.log, &steps).await;
            let starts = starts
                .iter()
                .filter_map(|(p, start)| {
                    // Between it and the start may be the record that cannot be read.
                    let seen = survey.get(p).filter(|_| !careful);
                    let anchor = seen.and_then(|seen| seen.anchor_of(start));
                    Some((*p, Begin { offset: start.offset, step: *steps.get(p)?, anchor }))
                })
                .collect();
            let PartitionsSnapshot { log, mut left_out, .. } = look;
            left_out.retain(|partition, _| partitions.contains(partition));
            return Ok(Claimed { number: Uuid::new_v4(), log, starts, left_out, replaced });
        }
    }
    Err(Problem::new(Code::Postgres, "another daemon keeps moving these partitions").advice(
        "two daemons both believe to own them; the group settles that within its session time-out",
    ))
}

/// Which of the partitions could still not be claimed, and why.
pub(super) async fn still_left_out(
    route: &Arc<Route>,
    store: &Store,
    probe: &Arc<Probe>,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Problem>, Problem> {
    let (mut look, survey) = partition_state::survey(route, store, probe, partitions).await?;
    let starts = survey.iter().map(|(p, s)| (*p, offsets::start_at(s.policy, s.known))).collect();
    let mut illegible = unreadable::illegible(route, probe, &look, &starts).await?;
    look.left_out.append(&mut illegible);
    Ok(look.left_out)
}

/// Surveys the partitions; all of the topic where it is read for the first time and not from its beginning. For
/// whoever comes to a partition later cannot know whether its records were to be left out or came since.
async fn look(
    route: &Arc<Route>,
    store: &Store,
    probe: &Arc<Probe>,
    partitions: &[i32],
) -> Result<(PartitionsSnapshot, BTreeMap<i32, Surveyed>), Problem> {
    let seen = partition_state::survey(route, store, probe, partitions).await?;
    let is_first = |one: &Surveyed| !one.known.begun && !one.known.recreated;
    if route.settings.start == Start::Earliest || !seen.1.values().any(is_first) {
        return Ok(seen);
    }
    let asked = probe.clone();
    let mut all = blocking(move || asked.partitions()).await?;
    all.extend(partitions);
    all.sort_unstable();
    all.dedup();
    partition_state::survey(route, store, probe, &all).await
}

fn rows(
    starts: &BTreeMap<i32, StartAt>,
    survey: &BTreeMap<i32, Surveyed>,
) -> (Vec<Claim>, Vec<Gap>) {
    let claim = |(partition, start): (&i32, &StartAt)| Claim {
        partition: *partition,
        step: survey.get(partition).map(Surveyed::step).unwrap_or_default(),
        next_offset: start.offset,
        why: start.why.as_str().to_owned(),
    };
    let gap = |(partition, start): (&i32, &StartAt)| {
        let range = start.gap.clone()?;
        Some(Gap {
            partition: *partition,
            from: range.start,
            to: range.end,
            reason: start.why.as_str().to_owned(),
        })
    };
    (starts.iter().map(claim).collect(), starts.iter().filter_map(gap).collect())
}

/// Says what is out of the ordinary about the starts.
fn report(route: &Route, starts: &BTreeMap<i32, StartAt>) {
    let route = &route.settings.name;
    for (partition, start) in starts {
        let (offset, why) = (start.offset.0, start.why.as_str());
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
                kafka = kafka.0,
                postgres = postgres.0,
                "the group's offset in Kafka is ahead of the position; following it would skip payments, so it is ignored"
            ),
            Some(Notice::KafkaOfOldLog { kafka }) => warn!(
                route,
                partition,
                kafka = kafka.0,
                "the topic was made anew; the group's offset belongs to the old log and is ignored"
            ),
            Some(Notice::LogTruncated { position, high }) => warn!(
                route,
                partition,
                position = position.0,
                high = high.0,
                "the log lost records that were applied; reading it again from its start, the inbox absorbs the rest"
            ),
            None => {}
        }
        if let Some(gap) = &start.gap {
            warn!(
                route,
                partition,
                from = gap.start.0,
                to = gap.end.0,
                "these records are not read; makegood.gaps has them, and the reconciler covers them with a sweep"
            );
        }
    }
}
