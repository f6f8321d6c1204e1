//! The overview on a screen, or as JSON.

use jiff::Timestamp;
use serde_json::json;

use crate::cli::print::{self, Format, Tone, or_dash};
use crate::overview::{Outbox, Overview, RouteOverview, age, made_anew};
use crate::store::outbox::report::RelayStatus;
use crate::store::report::{PositionStatus, Worker};
use rules::health::{self, Verdict};
use rules::ids::Offset;
use rules::problem::Problem;

/// Partitions that are shown; of more, those with the most waiting.
const PARTITIONS: usize = 6;

pub fn print(overview: &Overview, format: Format) -> Result<(), Problem> {
    match format {
        Format::Table => {
            let screen = screen(overview);
            print::toned(tone(overview), &screen)?;
            // The verdict stays in sight where its beginning has scrolled away.
            match print::terminal() {
                Some((columns, rows)) if print::height(&screen, columns) >= rows => {
                    print::toned(tone(overview), &format!("\n{}\n", overview.headline()))
                }
                _ => Ok(()),
            }
        }
        Format::Json => print::document(overview.document()),
        Format::Jsonl => {
            let outbox = overview.outbox.iter().map(|o| json!({ "outbox": o.object() }));
            print::lines(overview.routes.iter().map(RouteOverview::object).chain(outbox))
        }
    }
}

/// How bad the worst is.
pub fn tone(overview: &Overview) -> Tone {
    match overview.worst() {
        Some(verdict) if verdict.is_fine() => Tone::Good,
        Some(verdict) if verdict < Verdict::Unknown => Tone::Warning,
        _ => Tone::Bad,
    }
}

/// For a screen.
pub fn screen(overview: &Overview) -> String {
    let mut text = print::visible(&overview.headline(), true) + "\n";
    for route in &overview.routes {
        text += &format!("\nroute {} (topic {}, group {})\n", route.name, route.topic, route.group);
        if overview.routes.len() > 1 {
            text += &format!("{}\n", print::visible(&route.health.sentence, true));
        }
        if let Err(problem) = &route.look {
            let seen = route.partitions.iter().filter_map(|p| p.log_seen_at).min();
            let seen = match seen {
                Some(at) => format!("what a daemon saw {} is shown", ago(overview.now, at)),
                None => "no daemon has seen the log's ends".to_owned(),
            };
            let (brokers, cause) = (&overview.brokers, &problem.reason);
            text += &format!("Kafka at {brokers} is out of reach from here, {cause}; {seen}\n");
            text +=
                &problem.advice.lines().map(|line| format!("  hint: {line}\n")).collect::<String>();
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

fn partitions(positions: &[PositionStatus], now: Timestamp) -> String {
    let headings =
        ["PARTITION", "POSITION", "LOG-START", "LOG-END", "LAG", "LAST PROGRESS", "EPOCH"];
    let offset = |offset: Option<Offset>| or_dash(offset.map(|offset| offset.to_string()));
    let mut shown: Vec<&PositionStatus> = positions.iter().collect();
    if shown.len() > PARTITIONS {
        shown.sort_by_key(|p| (p.lag.is_some(), std::cmp::Reverse(p.lag), p.partition));
        shown.truncate(PARTITIONS);
    }
    let (hidden, lag) =
        (positions.len() - shown.len(), positions.iter().map(|p| p.lag.unwrap_or(0)).sum::<i64>());
    let rows = shown.iter().map(|p| {
        vec![
            p.partition.to_string(),
            p.next_offset.to_string(),
            offset(p.log_start),
            offset(p.log_end),
            or_dash(p.lag.map(|lag| lag.to_string())),
            p.progress_at.map_or_else(|| "never".to_owned(), |at| ago(now, at)),
            p.epoch.to_string(),
        ]
    });
    let mut text = print::table_text(&headings, rows);
    if hidden > 0 {
        text += &format!(
            "and {hidden} partitions with less waiting; lag {lag} in all, -o json has each\n"
        );
    }
    text
}

fn counts(route: &RouteOverview, now: Timestamp) -> String {
    let list = |pairs: &mut dyn Iterator<Item = (String, i64)>| {
        pairs.map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
    };
    let counted = list(&mut route.counted().map(|(name, n)| (name.to_string(), n)));
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
    let lines = [
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
    ];
    // What there is none of is told where a person looks for it: what waits for one.
    let always = ["events", "records", "open quarantine", "paid, not purchased"];
    let told = lines.into_iter().filter(|(name, value)| value != "none" || always.contains(name));
    print::sheet(&told.collect::<Vec<_>>())
}

/// Those that live, a line each, and one line for all that are gone.
fn workers(workers: &[Worker], now: Timestamp) -> String {
    let headings = ["DAEMON", "PID", "VERSION", "STATE", "SINCE", "SEEN", "PARTITIONS"];
    let (alive, gone): (Vec<&Worker>, Vec<&Worker>) = workers.iter().partition(|w| w.alive);
    let rows = alive.iter().map(|w| {
        let partitions: Vec<String> = w.partitions.iter().map(ToString::to_string).collect();
        let listed = match partitions.len() {
            0 => None,
            n if n > PARTITIONS => Some(format!("{n} of them")),
            _ => Some(partitions.join(",")),
        };
        vec![
            w.host.clone(),
            w.pid.to_string(),
            w.version.clone(),
            w.state.to_string(),
            health::age(age(now, w.state_since)),
            ago(now, w.seen_at),
            or_dash(listed),
        ]
    });
    let mut text =
        if alive.is_empty() { String::new() } else { print::table_text(&headings, rows) };
    for (worker, reason) in alive.iter().filter_map(|w| Some((w, w.reason.as_ref()?))) {
        text += &format!("{}, {}: {}\n", worker.host, worker.pid, print::visible(reason, false));
    }
    if let Some(last) = gone.iter().max_by_key(|w| w.seen_at) {
        let count = match gone.len() {
            1 => "1 daemon is gone".to_owned(),
            n => format!("{n} daemons are gone"),
        };
        let seen = ago(now, last.seen_at);
        text += &format!(
            "{count}, the last seen {seen}: {}, {}\n",
            print::visible(&last.host, false),
            last.pid
        );
    }
    text
}

fn ago(now: Timestamp, at: Timestamp) -> String {
    format!("{} ago", health::age(age(now, at)))
}

fn outbox(outbox: &Outbox) -> String {
    let head = format!("\noutbox (in {})\n{}\n", outbox.place, outbox.health.sentence);
    let mut text = print::visible(&head, true);
    let Ok(status) = &outbox.status else { return text };
    let relay = |r: &RelayStatus| {
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
    let aside = match status.parked {
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
        ("parked", aside),
        ("held", print::or_dash((!held.is_empty()).then_some(held))),
        ("published", status.published.to_string()),
        ("relayed by", print::or_dash((!relays.is_empty()).then(|| relays.join("; ")))),
    ]);
    text
}
