//! The overview on a screen, or as JSON.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::gather::{Overview, Route, age, made_anew};
use super::outbox::Outbox;
use crate::cli::print::{self, Format, or_dash};
use crate::pure::problem::Problem;
use crate::pure::standing::{self, Standing};
use crate::store::gaps::Gap;
use crate::store::report::{Position, Worker};

pub fn print(overview: &Overview, format: Format) -> Result<(), Problem> {
    match format {
        Format::Table => print::data(&screen(overview)),
        Format::Json => print::document(json!({
            "sentence": headline(overview),
            "ok": overview.is_fine(),
            "at": overview.now,
            "routes": overview.routes.iter().map(object).collect::<Vec<_>>(),
            "outbox": overview.outbox.as_ref().map(Outbox::object),
        })),
        Format::Jsonl => {
            let outbox = overview.outbox.iter().map(|o| json!({ "outbox": o.object() }));
            print::lines(overview.routes.iter().map(object).chain(outbox))
        }
    }
}

fn headline(overview: &Overview) -> String {
    let routes: Vec<(&str, &Standing)> =
        overview.routes.iter().map(|r| (r.name.as_str(), &r.standing)).collect();
    standing::headline(&routes, overview.outbox.as_ref().map(|outbox| &outbox.standing))
}

fn screen(overview: &Overview) -> String {
    let mut text = print::visible(&headline(overview), true) + "\n";
    for route in &overview.routes {
        text += &format!("\nroute {} (topic {}, group {})\n", route.name, route.topic, route.group);
        if overview.routes.len() > 1 {
            text += &format!("{}\n", print::visible(&route.standing.sentence, true));
        }
        if let Err(problem) = &route.look {
            let seen = route.partitions.iter().filter_map(|p| p.log_seen_at).min();
            let seen = match seen {
                Some(at) => format!("what a daemon saw {} is shown", ago(overview.now, at)),
                None => "no daemon has seen the log's ends".to_owned(),
            };
            let (brokers, cause) = (&overview.brokers, &problem.cause);
            text += &format!("Kafka at {brokers} is out of reach from here, {cause}; {seen}\n");
        }
        if made_anew(route) {
            text += "The positions below are of the topic as it was before it was made anew.\n";
        }
        if !route.partitions.is_empty() {
            text += &format!("\n{}", partitions(&route.partitions, overview.now));
        }
        if !route.counts.is_empty() {
            text += &format!("\n{}", counts(route));
        }
        if !route.workers.is_empty() {
            text += &format!("\n{}", workers(&route.workers, overview.now));
        }
    }
    text += &overview.outbox.as_ref().map(Outbox::screen).unwrap_or_default();
    text
}

fn partitions(positions: &[Position], now: Timestamp) -> String {
    let headings =
        ["PARTITION", "POSITION", "LOG-START", "LOG-END", "LAG", "LAST PROGRESS", "EPOCH"];
    let number = |n: Option<i64>| or_dash(n.map(|n| n.to_string()));
    let rows = positions.iter().map(|p| {
        vec![
            p.partition.to_string(),
            p.next_offset.to_string(),
            number(p.log_start),
            number(p.log_end),
            number(p.lag),
            p.progress_at.map_or_else(|| "never".to_owned(), |at| ago(now, at)),
            p.epoch.to_string(),
        ]
    });
    print::table_text(&headings, rows)
}

fn counts(route: &Route) -> String {
    let list = |pairs: &mut dyn Iterator<Item = (String, i64)>| {
        pairs.map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
    };
    let counted = list(&mut counted(route).map(|(name, n)| (name.to_owned(), n)));
    let open = match route.quarantine.as_slice() {
        [] => "none".to_owned(),
        reasons => list(&mut reasons.iter().cloned()),
    };
    let unpurchased = match route.unpurchased.0 {
        0 => "none".to_owned(),
        n => n.to_string(),
    };
    let gaps: Vec<String> = (route.gaps.iter())
        .map(|gap| {
            format!("partition {}: {}-{}, {}", gap.partition, gap.from, gap.to - 1, gap.reason)
        })
        .collect();
    print::sheet(&[
        ("records", counted),
        ("never read", if gaps.is_empty() { "none".to_owned() } else { gaps.join("; ") }),
        ("open quarantine", open),
        ("paid, not purchased", unpurchased),
    ])
}

/// What records came to. How many were ever put into quarantine is left out beside how many are
/// there: two numbers of one name are one too many.
fn counted(route: &Route) -> impl Iterator<Item = (&'static str, i64)> {
    route.counts.iter().filter(|count| count.0 != "quarantined").copied()
}

fn workers(workers: &[Worker], now: Timestamp) -> String {
    let headings = ["DAEMON", "PID", "VERSION", "STATE", "SINCE", "SEEN", "PARTITIONS", "REASON"];
    let rows = workers.iter().map(|w| {
        let partitions: Vec<String> = w.partitions.iter().map(ToString::to_string).collect();
        vec![
            w.host.clone(),
            w.pid.to_string(),
            w.version.clone(),
            if w.alive { w.state.clone() } else { "gone".to_owned() },
            standing::age(age(now, if w.alive { w.state_since } else { w.seen_at })),
            ago(now, w.seen_at),
            or_dash((!partitions.is_empty()).then(|| partitions.join(","))),
            w.reason.clone().unwrap_or_default(),
        ]
    });
    print::table_text(&headings, rows)
}

fn ago(now: Timestamp, at: Timestamp) -> String {
    format!("{} ago", standing::age(age(now, at)))
}

fn object(route: &Route) -> Value {
    let look = route.look.as_ref();
    let counts: Map<String, Value> =
        counted(route).map(|(name, n)| (name.to_owned(), json!(n))).collect();
    let reasons: Map<String, Value> =
        route.quarantine.iter().map(|(reason, n)| (reason.clone(), json!(n))).collect();
    json!({
        "route": route.name, "topic": route.topic, "group": route.group,
        "verdict": route.standing.word.as_str(), "ok": route.standing.word.is_fine(),
        "sentence": route.standing.sentence,
        "topic_id": route.partitions.first().map(|p| p.topic_id),
        "kafka": {
            "reachable": look.is_ok(),
            "error": look.err().map(|problem| &problem.cause),
            "topic_id": look.ok().and_then(|look| look.topic_id),
        },
        "counts": counts,
        "quarantine": {
            "open": route.quarantine.iter().map(|q| q.1).sum::<i64>(), "by_reason": reasons,
        },
        "gaps": route.gaps.iter().map(gap).collect::<Vec<_>>(),
        "paid_not_purchased": {
            "payments": route.unpurchased.0, "oldest_paid_at": route.unpurchased.1,
        },
        "partitions": route.partitions.iter().map(position).collect::<Vec<_>>(),
        "workers": route.workers.iter().map(worker).collect::<Vec<_>>(),
    })
}

fn position(p: &Position) -> Value {
    json!({
        "partition": p.partition, "position": p.next_offset, "log_start": p.log_start,
        "log_end": p.log_end, "lag": p.lag, "log_seen_at": p.log_seen_at,
        "progress_at": p.progress_at, "epoch": p.epoch,
    })
}

fn gap(gap: &Gap) -> Value {
    json!({ "partition": gap.partition, "from": gap.from, "to": gap.to, "reason": gap.reason })
}

fn worker(w: &Worker) -> Value {
    json!({
        "host": w.host, "pid": w.pid, "version": w.version, "state": w.state, "alive": w.alive,
        "state_since": w.state_since, "started_at": w.started_at, "seen_at": w.seen_at,
        "reason": w.reason, "advice": w.advice, "partitions": w.partitions,
    })
}
