//! The overview on a screen, or as JSON.

use jiff::Timestamp;
use serde_json::json;

use crate::cli::print::{self, Format, or_dash};
use crate::overview::{Outbox, Overview, Route, age, made_anew};
use crate::pure::problem::Problem;
use crate::pure::standing;
use crate::store::outbox::report::Relay;
use crate::store::report::{Position, Worker};

pub fn print(overview: &Overview, format: Format) -> Result<(), Problem> {
    match format {
        Format::Table => print::data(&screen(overview)),
        Format::Json => print::document(overview.document()),
        Format::Jsonl => {
            let outbox = overview.outbox.iter().map(|o| json!({ "outbox": o.object() }));
            print::lines(overview.routes.iter().map(Route::object).chain(outbox))
        }
    }
}

/// For a screen.
pub fn screen(overview: &Overview) -> String {
    let mut text = print::visible(&overview.headline(), true) + "\n";
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
            text +=
                &problem.hint.lines().map(|line| format!("  hint: {line}\n")).collect::<String>();
        }
        if made_anew(route) {
            text += "The positions below are of the topic as it was before it was made anew.\n";
        }
        if !route.partitions.is_empty() {
            text += &format!("\n{}", partitions(&route.partitions, overview.now));
        }
        if !route.counts.is_empty() {
            text += &format!("\n{}", counts(route, overview.now));
        }
        if !route.workers.is_empty() {
            text += &format!("\n{}", workers(&route.workers, overview.now));
        }
    }
    text += &overview.outbox.as_ref().map(outbox).unwrap_or_default();
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

fn counts(route: &Route, now: Timestamp) -> String {
    let list = |pairs: &mut dyn Iterator<Item = (String, i64)>| {
        pairs.map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
    };
    let counted = list(&mut route.counted().map(|(name, n)| (name.to_owned(), n)));
    let open = match route.quarantine.as_slice() {
        [] => "none".to_owned(),
        reasons => list(&mut reasons.iter().cloned()),
    };
    let ignored: Vec<String> = (route.ignored.iter().take(5))
        .map(|of| format!("{} {}", of.event_type, of.records))
        .collect();
    let unpurchased = match route.unpurchased.0 {
        0 => "none".to_owned(),
        n => n.to_string(),
    };
    let counted_at = match route.counted_at {
        Some(at) => format!("counted {}", ago(now, at)),
        None => "not counted yet".to_owned(),
    };
    let gaps: Vec<String> = (route.gaps.iter())
        .map(|gap| {
            format!("partition {}: {}-{}, {}", gap.partition, gap.from, gap.to - 1, gap.reason)
        })
        .collect();
    let verified = match &route.believes {
        None => "held against their payments".to_owned(),
        Some(why) => format!("believed without their payments: {why}"),
    };
    print::sheet(&[
        ("events", verified),
        ("records", counted),
        ("ignored types", if ignored.is_empty() { "none".to_owned() } else { ignored.join(", ") }),
        ("never read", if gaps.is_empty() { "none".to_owned() } else { gaps.join("; ") }),
        ("suspects", route.suspects.as_ref().map_or("none".to_owned(), |s| s.records.to_string())),
        ("open quarantine", open),
        ("paid, not purchased", format!("{unpurchased} ({counted_at})")),
        (
            "contradictions",
            match route.mismatches {
                0 => "none".to_owned(),
                n => format!("{n} (makegood reconcile show)"),
            },
        ),
    ])
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
            or_dash((w.alive && !partitions.is_empty()).then(|| partitions.join(","))),
            w.reason.clone().filter(|_| w.alive).unwrap_or_default(),
        ]
    });
    print::table_text(&headings, rows)
}

fn ago(now: Timestamp, at: Timestamp) -> String {
    format!("{} ago", standing::age(age(now, at)))
}

fn outbox(outbox: &Outbox) -> String {
    let head = format!("\noutbox (in {})\n{}\n", outbox.place, outbox.standing.sentence);
    let mut text = print::visible(&head, true);
    let Ok(status) = &outbox.status else { return text };
    let relay = |r: &Relay| {
        let shard = match status.shards {
            1 => String::new(),
            _ => format!("shard {}: ", r.shard),
        };
        format!("{shard}{}, process {}, epoch {}", r.host, r.pid, r.epoch)
    };
    let relays: Vec<String> = status.relays.iter().map(relay).collect();
    let pending = match status.pending {
        0 => "0".to_owned(),
        n => format!("{n} ({} bytes)", status.pending_bytes),
    };
    let aside = match status.set_aside {
        0 => "0".to_owned(),
        n => format!("{n}, of which Kafka refused {}", status.refused),
    };
    let held = status.held.iter().map(|h| format!("{} ({})", h.topic, h.events));
    let held = held.collect::<Vec<_>>().join(", ");
    text.push('\n');
    text += &print::sheet(&[
        ("pending", pending),
        ("oldest", print::or_dash(status.oldest_age.map(print::seconds))),
        ("in flight", status.in_flight.to_string()),
        ("set aside", aside),
        ("held", print::or_dash((!held.is_empty()).then_some(held))),
        ("published", status.published.to_string()),
        ("relayed by", print::or_dash((!relays.is_empty()).then(|| relays.join("; ")))),
    ]);
    text
}
