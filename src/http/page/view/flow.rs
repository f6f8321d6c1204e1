//! The way of a payment, hop by hop: how fast it goes, what waits and for how long, what went wrong last.

use std::time::Duration;

use jiff::Timestamp;
use tracing::Level;

use super::words::{about, length, number, or_dash, rate, tone};
use super::{MomentView, verdict, waiting};
use crate::log_tail::Line;
use crate::overview::{Outbox, Overview, RouteOverview, Sample, Snapshot, age};
use rules::health::Verdict;

/// What went wrong longer ago than this is no news.
const NEWS: Duration = Duration::from_secs(3600);

/// One hop.
pub struct Hop {
    pub name: &'static str,
    pub tone: &'static str,
    /// How fast, and what that is called.
    pub rate: String,
    pub doing: &'static str,
    /// How many wait, what that is called, and the longest for how long.
    pub waiting: String,
    pub called: String,
    pub oldest: Option<String>,
    /// When that was counted, where it is not counted all the time.
    pub counted: Option<MomentView>,
    /// What is wrong now.
    pub wrong: Option<String>,
    /// What went wrong last, and when.
    pub last: Option<(String, MomentView)>,
}

pub(super) fn hops(overview: &Overview, snapshot: &Snapshot, lines: &[Line]) -> Vec<Hop> {
    let speed = |number: fn(&Sample) -> Option<f64>| or_dash(snapshot.history.rate(number), rate);
    let newest = snapshot.history.newest();
    let count = |number: Option<f64>| or_dash(number, about);
    let (now, told, waits) =
        (overview.present(), verdict::told(overview), waiting::in_kafka(overview));
    let once = |text: String| {
        let is_told = verdict::is_same(told, &text) || !told.is_empty() && text.contains(told);
        if is_told { "as said above".to_owned() } else { text }
    };
    // While something is wrong now, what went wrong last is no help.
    let last = |parts: &[&str]| if overview.is_fine() { last(lines, parts) } else { None };
    let mut hops = Vec::new();
    if let Some(outbox) = &overview.outbox {
        hops.push(Hop {
            name: "Payments",
            tone: if outbox.status.is_ok() { "ok" } else { "idle" },
            rate: speed(|s| s.accepted),
            doing: "published",
            waiting: String::new(),
            called: "each event in its payment’s own transaction".to_owned(),
            oldest: None,
            counted: None,
            wrong: None,
            last: None,
        });
        hops.push(Hop {
            name: "Outbox",
            tone: tone(outbox.health.verdict),
            rate: speed(|s| s.published),
            doing: "sent",
            waiting: count(newest.pending),
            called: "pending".to_owned(),
            oldest: oldest_pending(outbox),
            counted: None,
            wrong: outbox_wrong(outbox).map(once),
            last: last(&["relay"]),
        });
    }
    let away = overview.routes.iter().find_map(|route| route.look.as_ref().err());
    hops.push(Hop {
        name: "Kafka",
        tone: match (away, waits) {
            (Some(_), _) => "bad",
            (None, None) => "idle",
            (None, Some(_)) => "ok",
        },
        rate: speed(|s| s.produced),
        doing: "written",
        waiting: count(newest.lag),
        called: "behind".to_owned(),
        oldest: newest.wait.filter(|wait| *wait > 0.0).map(length),
        counted: None,
        wrong: away.map(|problem| once(problem.reason.clone())),
        last: last(&["kafka"]),
    });
    let worst = overview.routes.iter().max_by_key(|route| route.health.verdict);
    hops.push(Hop {
        name: "Inbox",
        tone: worst.map_or("idle", |route| tone(route.health.verdict)),
        rate: speed(|s| s.taken),
        doing: "taken in",
        waiting: count(newest.quarantine),
        called: "in quarantine".to_owned(),
        oldest: overview
            .routes
            .iter()
            .filter_map(|r| r.quarantined_at)
            .max()
            .map(|at| newest_since(now, at)),
        counted: None,
        wrong: worst.and_then(|route| inbox_wrong(route, told)),
        last: last(&["ingest", "watchdog"]),
    });
    let unpurchased: i64 = overview.routes.iter().map(|route| route.unpurchased.0).sum();
    let first = overview.routes.iter().filter_map(|route| route.unpurchased.1).min();
    let counted = counted_at(overview);
    let uncounted = match counted {
        Some(_) => "",
        None if overview.routes.iter().any(|route| route.uncovered.is_some()) => {
            ": no job counts them"
        }
        None => ": not counted yet",
    };
    hops.push(Hop {
        name: "Purchases",
        tone: match counted {
            None if unpurchased == 0 => "idle",
            _ => purchases_tone(overview, unpurchased, waits),
        },
        rate: speed(|s| s.applied),
        doing: "made",
        waiting: match overview.trouble {
            None if counted.is_some() || unpurchased > 0 => number(unpurchased),
            _ => "–".to_owned(),
        },
        called: match waits {
            Some(0) => format!("paid, not purchased{uncounted}"),
            Some(1) => format!("paid, not purchased{uncounted}, and 1 record waits in Kafka"),
            Some(n) => {
                format!("paid, not purchased{uncounted}, and {} records wait in Kafka", number(n))
            }
            None => format!("paid, not purchased{uncounted}; what waits in Kafka is not known"),
        },
        oldest: first.map(|at| length(age(now, at).as_secs_f64())),
        counted: counted.map(|at| MomentView::new(at, now)),
        wrong: None,
        last: last(&["reconcile", "replay"]),
    });
    hops
}

/// When the payments without a purchase were last counted on every route; `None` if some never were.
fn counted_at(overview: &Overview) -> Option<Timestamp> {
    overview.routes.iter().map(|route| route.counted_at).min()?
}

/// Green only where it is known that nobody waits for a purchase.
fn purchases_tone(overview: &Overview, unpurchased: i64, waits: Option<i64>) -> &'static str {
    let is_fine = overview.routes.iter().all(|route| route.health.verdict.is_fine());
    match (&overview.trouble, waits) {
        (Some(_), _) | (_, None) => "idle",
        _ if unpurchased > 0 || waiting::refused(overview) > 0 => "warn",
        (_, Some(0)) => "ok",
        _ if is_fine => "idle",
        _ => "warn",
    }
}

fn newest_since(now: Timestamp, at: Timestamp) -> String {
    format!("newest {} ago", length(age(now, at).as_secs_f64()))
}

fn oldest_pending(outbox: &Outbox) -> Option<String> {
    outbox.status.as_ref().ok()?.oldest_age.map(length)
}

fn outbox_wrong(outbox: &Outbox) -> Option<String> {
    match &outbox.status {
        Err(problem) => Some(problem.reason.clone()),
        Ok(status) => match &status.trouble {
            Some((reason, _)) => Some(reason.clone()),
            None if !status.held.is_empty() => {
                let topics: Vec<&str> =
                    status.held.iter().map(|held| held.topic.as_str()).collect();
                Some(format!("takes nothing: {}", topics.join(", ")))
            }
            None if status.parked > 0 => Some(format!("{} parked", number(status.parked))),
            None => None,
        },
    }
}

/// What keeps the route; the worst one is what the verdict is about, unless the outbox is.
fn inbox_wrong(route: &RouteOverview, told: &str) -> Option<String> {
    let is_told = route.health.cause == told || route.health.verdict == Verdict::Unknown;
    match route.health.verdict >= Verdict::Ignoring {
        true if is_told => Some("as said above".to_owned()),
        true => Some(verdict::without(route.health.verdict, &route.health.sentence)),
        false => None,
    }
}

/// The last thing that these parts warned of.
fn last(lines: &[Line], parts: &[&str]) -> Option<(String, MomentView)> {
    let now = Timestamp::now();
    let line = lines.iter().find(|line| {
        line.level <= Level::WARN && parts.contains(&line.part.as_str()) && age(now, line.at) < NEWS
    })?;
    let text = match (line.text.as_str(), line.details.as_str()) {
        (text, "") => text.to_owned(),
        (text, details) => format!("{text} ({details})"),
    };
    Some((text, MomentView::new(line.at, now)))
}
