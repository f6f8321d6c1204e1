//! The way of a payment, hop by hop: how fast it goes, what waits and for how long, what went wrong last.

use std::time::Duration;

use jiff::Timestamp;
use tracing::Level;

use super::When;
use super::words::{about, length, number, or_dash, rate, tone};
use crate::feed::Line;
use crate::overview::{Outbox, Overview, Route, Sample, Snapshot, age};
use crate::pure::standing::Word;

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
    pub called: &'static str,
    pub oldest: Option<String>,
    /// What is wrong now.
    pub wrong: Option<String>,
    /// What went wrong last, and when.
    pub last: Option<(String, When)>,
}

pub(super) fn hops(overview: &Overview, snapshot: &Snapshot, lines: &[Line]) -> Vec<Hop> {
    let speed = |number: fn(&Sample) -> Option<f64>| or_dash(snapshot.history.rate(number), rate);
    let newest = snapshot.history.newest();
    let count = |number: Option<f64>| or_dash(number, about);
    let mut hops = Vec::new();
    if let Some(outbox) = &overview.outbox {
        hops.push(Hop {
            name: "Payments",
            tone: if outbox.status.is_ok() { "ok" } else { "idle" },
            rate: speed(|s| s.accepted),
            doing: "published",
            waiting: String::new(),
            called: "each event in its payment’s own transaction",
            oldest: None,
            wrong: None,
            last: None,
        });
        hops.push(Hop {
            name: "Outbox",
            tone: tone(outbox.standing.word),
            rate: speed(|s| s.published),
            doing: "sent",
            waiting: count(newest.pending),
            called: "pending",
            oldest: oldest_pending(outbox),
            wrong: outbox_wrong(outbox),
            last: last(lines, &["relay"]),
        });
    }
    let now = overview.present();
    let away = overview.routes.iter().find_map(|route| route.look.as_ref().err());
    hops.push(Hop {
        name: "Kafka",
        tone: if away.is_some() { "bad" } else { "ok" },
        rate: speed(|s| s.produced),
        doing: "written",
        waiting: count(newest.lag),
        called: "behind",
        oldest: newest.wait.filter(|wait| *wait > 0.0).map(length),
        wrong: away.map(|problem| problem.cause.clone()),
        last: last(lines, &["kafka"]),
    });
    let worst = overview.routes.iter().max_by_key(|route| route.standing.word);
    hops.push(Hop {
        name: "Inbox",
        tone: worst.map_or("idle", |route| tone(route.standing.word)),
        rate: speed(|s| s.taken),
        doing: "taken in",
        waiting: count(newest.quarantine),
        called: "in quarantine",
        oldest: overview
            .routes
            .iter()
            .filter_map(|r| r.quarantined_at)
            .max()
            .map(|at| newest_since(now, at)),
        wrong: worst.and_then(inbox_wrong),
        last: last(lines, &["ingest", "watchdog"]),
    });
    let waiting: i64 = overview.routes.iter().map(|route| route.unpurchased.0).sum();
    let first = overview.routes.iter().filter_map(|route| route.unpurchased.1).min();
    hops.push(Hop {
        name: "Purchases",
        tone: match overview.trouble {
            Some(_) => "idle",
            None if waiting > 0 => "warn",
            None => "ok",
        },
        rate: speed(|s| s.applied),
        doing: "made",
        waiting: number(waiting),
        called: "paid, not purchased",
        oldest: first.map(|at| length(age(now, at).as_secs_f64())),
        wrong: None,
        last: last(lines, &["reconcile", "replay"]),
    });
    hops
}

fn newest_since(now: Timestamp, at: Timestamp) -> String {
    format!("newest {} ago", length(age(now, at).as_secs_f64()))
}

fn oldest_pending(outbox: &Outbox) -> Option<String> {
    outbox.status.as_ref().ok()?.oldest_age.map(length)
}

fn outbox_wrong(outbox: &Outbox) -> Option<String> {
    match &outbox.status {
        Err(problem) => Some(problem.cause.clone()),
        Ok(status) => match &status.trouble {
            Some((reason, _)) => Some(reason.clone()),
            None if !status.held.is_empty() => {
                let topics: Vec<&str> =
                    status.held.iter().map(|held| held.topic.as_str()).collect();
                Some(format!("takes nothing: {}", topics.join(", ")))
            }
            None if status.set_aside > 0 => Some(format!("{} set aside", number(status.set_aside))),
            None => None,
        },
    }
}

fn inbox_wrong(route: &Route) -> Option<String> {
    let worth = route.standing.word >= Word::Ignoring;
    worth.then(|| super::verdict::without(route.standing.word, &route.standing.sentence))
}

/// The last thing that these parts warned of.
fn last(lines: &[Line], parts: &[&str]) -> Option<(String, When)> {
    let now = Timestamp::now();
    let line = lines.iter().find(|line| {
        line.level <= Level::WARN && parts.contains(&line.part.as_str()) && age(now, line.at) < NEWS
    })?;
    let text = match (line.text.as_str(), line.details.as_str()) {
        (text, "") => text.to_owned(),
        (text, details) => format!("{text} ({details})"),
    };
    Some((text, When::new(line.at, now)))
}
