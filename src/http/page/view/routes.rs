//! Partitions, daemons and quarantine of a route; the outbox.

use std::time::Duration;

use jiff::Timestamp;

use super::verdict::without;
use super::words::{length, millis, number, or_dash, plain, size, tone};
use super::{MomentView, verdict};
use crate::overview::{Outbox, RouteOverview, age};
use crate::store::report::{PositionStatus, Worker};
use rules::health::Verdict;
use rules::outcome::Counter;
use rules::states::WorkerState;

/// Partitions that are shown; of more, those with the most waiting.
const PARTITIONS: usize = 48;

/// One route.
pub struct RouteView<'a> {
    pub name: &'a str,
    pub topic: &'a str,
    pub group: &'a str,
    pub tone: &'static str,
    pub word: String,
    pub partitions: Vec<PartitionView>,
    /// How many partitions are not shown.
    pub hidden: usize,
    pub daemons: Vec<DaemonView<'a>>,
    /// What records came to.
    pub counts: Vec<(Counter, String)>,
    /// Open quarantine by reason.
    pub reasons: Vec<(&'a str, String)>,
    pub quarantined: String,
    pub newest: Option<MomentView>,
    /// Ranges that were never read.
    pub gaps: Vec<String>,
    /// Why Kafka could not be asked.
    pub blind: Option<&'a str>,
    /// Whether all this was read before the database went away.
    pub is_stale: bool,
}

/// One partition.
pub struct PartitionView {
    pub number: i32,
    pub owner: String,
    pub position: String,
    pub end: String,
    pub lag: String,
    pub waiting: Option<MomentView>,
    pub moved: Option<MomentView>,
    pub state: &'static str,
    pub tone: &'static str,
}

/// One daemon.
pub struct DaemonView<'a> {
    pub place: String,
    pub version: &'a str,
    pub state: &'a str,
    pub tone: &'static str,
    pub since: MomentView,
    pub seen: MomentView,
    pub partitions: String,
    pub reason: &'a str,
}

/// The outbox.
pub struct OutboxView {
    pub place: String,
    pub tone: &'static str,
    pub word: String,
    pub sentence: String,
    /// Names and values; none while its database is away.
    pub facts: Vec<(&'static str, String)>,
    pub seen: Option<MomentView>,
    pub parked: bool,
}

impl<'a> RouteView<'a> {
    pub(super) fn new(
        route: &'a RouteOverview,
        (now, is_stale): (Timestamp, bool),
        told: &str,
    ) -> RouteView<'a> {
        let mut shown: Vec<&PositionStatus> = route.partitions.iter().collect();
        if shown.len() > PARTITIONS {
            shown.sort_by_key(|p| (std::cmp::Reverse(p.lag), p.partition));
            shown.truncate(PARTITIONS);
        }
        let hidden = route.partitions.len() - shown.len();
        let reason = |(reason, n): &'a (String, i64)| (reason.as_str(), number(*n));
        let gap = |gap: &crate::store::gaps::Gap| {
            let (from, to) = (number(gap.from.0), number((gap.to - 1).0));
            format!("partition {}, offsets {from} to {to}: {}", gap.partition, gap.reason)
        };
        RouteView {
            name: &route.name,
            topic: &route.topic,
            group: &route.group,
            tone: tone(route.health.verdict),
            word: plain(route.health.verdict),
            partitions: shown.into_iter().map(|p| partition(route, p, now)).collect(),
            hidden,
            daemons: route
                .workers
                .iter()
                .map(|worker| daemon(worker, (now, is_stale), told))
                .collect(),
            is_stale,
            counts: route.counted().map(|(name, n)| (name, number(n))).collect(),
            reasons: route.quarantine.iter().map(reason).collect(),
            quarantined: number(route.quarantine.iter().map(|q| q.1).sum()),
            newest: route.quarantined_at.map(|at| MomentView::new(at, now)),
            gaps: route.gaps.iter().map(gap).collect(),
            blind: route.look.as_ref().err().map(|problem| {
                if problem.reason == told { "as said above" } else { problem.reason.as_str() }
            }),
        }
    }
}

fn partition(route: &RouteOverview, p: &PositionStatus, now: Timestamp) -> PartitionView {
    let owner = route.workers.iter().find(|w| w.alive && w.partitions.contains(&p.partition));
    let waiting = route.look.as_ref().ok().and_then(|look| look.waiting_since.get(&p.partition));
    let (state, tone) = match (p.lag, route.health.verdict) {
        (_, Verdict::Unreachable | Verdict::Unknown) => ("not known", "idle"),
        _ if owner.is_none() => ("unread", "bad"),
        (None, _) => ("not known", "idle"),
        (Some(0), _) => ("up to date", "ok"),
        (_, Verdict::Held) => ("held", "bad"),
        (_, Verdict::Stalled) => ("stalled", "bad"),
        _ => ("moving", "ok"),
    };
    PartitionView {
        number: p.partition,
        owner: or_dash(owner, place),
        position: number(p.next_offset.0),
        end: end(p, now),
        lag: or_dash(p.lag, number),
        waiting: waiting.map(|at| MomentView::new(*at, now)),
        moved: p.progress_at.map(|at| MomentView::new(at, now)),
        state,
        tone,
    }
}

/// Where the log ends. It was looked at before the position moved past that, unless records were lost.
fn end(p: &PositionStatus, now: Timestamp) -> String {
    let Some(end) = p.log_end else { return "–".to_owned() };
    match (p.next_offset > end, p.log_seen_at) {
        (true, Some(at)) => {
            format!("{} as of {} ago", number(end.0), length(age(now, at).as_secs_f64()))
        }
        (true, None) => format!("{} when last seen", number(end.0)),
        (false, _) => number(end.0),
    }
}

fn place(worker: &Worker) -> String {
    format!("{}:{}", worker.host, worker.pid)
}

fn daemon<'a>(
    worker: &'a Worker,
    (now, is_stale): (Timestamp, bool),
    told: &str,
) -> DaemonView<'a> {
    let (state, tone) = match (worker.alive, worker.state) {
        (false, _) => ("gone", "idle"),
        (true, state) if is_stale => (state.as_str(), "idle"),
        (true, state @ (WorkerState::Held | WorkerState::Stalled)) => (state.as_str(), "bad"),
        (true, state @ WorkerState::Joining) => (state.as_str(), "warn"),
        (true, state @ WorkerState::Running) => (state.as_str(), "ok"),
    };
    let partitions: Vec<String> = worker.partitions.iter().map(ToString::to_string).collect();
    DaemonView {
        place: place(worker),
        version: &worker.version,
        state,
        tone,
        since: MomentView::new(if worker.alive { worker.state_since } else { worker.seen_at }, now),
        seen: MomentView::new(worker.seen_at, now),
        partitions: if partitions.is_empty() { "–".to_owned() } else { partitions.join(", ") },
        // What the verdict says is said once.
        reason: worker.reason.as_deref().filter(|reason| *reason != told).unwrap_or_default(),
    }
}

impl OutboxView {
    pub(super) fn new(outbox: &Outbox, now: Timestamp, told: &str) -> OutboxView {
        let status = outbox.status.as_ref().ok();
        let relays = |status: &crate::store::outbox::report::Status| {
            let place =
                |r: &crate::store::outbox::report::RelayStatus| format!("{}:{}", r.host, r.pid);
            let relays: Vec<String> = status.relays.iter().map(place).collect();
            if relays.is_empty() { "nobody".to_owned() } else { relays.join(", ") }
        };
        let soon =
            |(half, most): (Duration, Duration)| format!("{} · {}", millis(half), millis(most));
        OutboxView {
            place: outbox.place.clone(),
            tone: tone(outbox.health.verdict),
            word: plain(outbox.health.verdict),
            sentence: match verdict::is_same(told, &outbox.health.cause) {
                true => "As said above.".to_owned(),
                false => without(outbox.health.verdict, &outbox.health.sentence),
            },
            facts: status.map_or_else(Vec::new, |s| {
                vec![
                    ("pending", format!("{} ({})", number(s.pending), size(s.pending_bytes))),
                    ("oldest", or_dash(s.oldest_age, length)),
                    ("in flight", number(s.in_flight)),
                    ("parked", number(s.parked)),
                    ("refused by Kafka", number(s.refused)),
                    ("held topics", number(s.held.len() as i64)),
                    ("published", number(s.published)),
                    ("sent in p50 · p99", or_dash(outbox.acknowledging, soon)),
                    ("relayed by", relays(s)),
                ]
            }),
            seen: status.and_then(|s| s.seen_at).map(|at| MomentView::new(at, now)),
            parked: status.is_some_and(|s| s.parked > 0),
        }
    }
}
