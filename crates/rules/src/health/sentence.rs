//! The verdict in words.

use std::time::Duration;

use super::{Facts, Health, Held, Kafka, Verdict, silence, stalled, waiting};

/// A daemon seen within this time has left in good order; one that died is still taken for alive.
const JUST_NOW: Duration = Duration::from_secs(30);

/// The first line that an operator reads: the worst of all routes and the outbox, by name where the name
/// tells anything.
pub fn headline(routes: &[(&str, &Health)], outbox: Option<&Health>) -> String {
    // Of several that are equally bad the last counts, and a route says more than the outbox.
    let all = outbox.map(|health| ("outbox", health)).into_iter().chain(routes.iter().copied());
    let worst = all.max_by_key(|(_, health)| health.verdict);
    let is_route = |name: &str| routes.first().is_some_and(|route| route.0 == name);
    match (worst, routes.len()) {
        (None, _) => "down: no route is configured, and no daemon has ever run".to_owned(),
        (Some((name, health)), 1)
            if is_route(name)
                && matches!(health.verdict, Verdict::Ok | Verdict::Down | Verdict::Unreachable) =>
        {
            health.sentence.clone()
        }
        (Some((_, health)), n) if health.verdict == Verdict::Ok => {
            format!("ok: nothing is waiting on any of {n} routes")
        }
        (Some((name, health)), _) => format!("{name}: {}", health.sentence),
    }
}

/// The sentence where nobody could be asked: why, and what to do about it.
pub fn unasked(verdict: Verdict, cause: &str, hint: &str) -> String {
    let hint = hint.lines().next().unwrap_or_default();
    let gap = if hint.is_empty() { "" } else { "; " };
    format!("{}: {cause}{gap}{hint}", verdict.as_str())
}

/// A length of time in its largest unit.
pub fn age(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

pub(super) fn write(verdict: Verdict, facts: &Facts<'_>) -> String {
    let Facts { topic, group, quarantined, .. } = facts;
    match verdict {
        Verdict::Down => down(facts),
        Verdict::Held => kept("held", facts.held),
        Verdict::Suspect => suspect(facts),
        Verdict::NoTopic => format!(
            "no_topic: Kafka has no topic {topic}; create it with kafka-topics --create, or correct \"topic\""
        ),
        Verdict::TopicRecreated => format!(
            "topic_recreated: the topic {topic} has another id in Kafka than the newest position, so it was deleted and \
             created; the daemon starts at its first record, if this stays restart it"
        ),
        Verdict::Joining => {
            let since = facts.joining.map(|a| format!(" for {}", age(a))).unwrap_or_default();
            format!(
                "joining: waiting{since} for partitions of {topic}; if this lasts, see who else is in group {group}"
            )
        }
        Verdict::Stalled if facts.stalled.is_some() => kept("stalled", facts.stalled),
        Verdict::Stalled => stall(facts),
        Verdict::Unread => format!(
            "unread: no makegood daemon reads {}; if this lasts, another client in group {group} may be reading there: stop that one",
            partitions(facts.unread)
        ),
        Verdict::Unknown => match facts.kafka {
            Kafka::Same if let Some((partition, why)) = facts.unseen => format!(
                "unknown: Kafka does not tell where the log of partition {partition} ends ({why}); see kafka-topics --describe --unavailable-partitions"
            ),
            Kafka::Unreachable(Some(look)) => format!(
                "unknown: Kafka is out of reach from here, and a daemon last saw the topic's end {} ago",
                age(look)
            ),
            _ => "unknown: Kafka is out of reach from here, and no daemon has seen the topic's end"
                .to_owned(),
        },
        Verdict::Ignoring
            if facts.taken > 0
                && let Some((name, unknown)) = facts.unknown_type =>
        {
            format!(
                "ignoring: {} of other types, most of them {name}, were ignored; if they are none of this route's business, \
             name them in other_types, else correct event_type",
                records(unknown)
            )
        }
        Verdict::Ignoring => format!(
            "ignoring: all {} so far were of another type; compare the route's event_type with the events",
            records(facts.other_type)
        ),
        Verdict::Unpurchased => unpurchased(facts),
        Verdict::Gap => format!(
            "gap: {}; {}, `makegood offsets show` tells which; {}",
            never_read(facts),
            match facts.uncovered {
                None => "the reconciler covers them with a sweep by itself".to_owned(),
                Some(why) => format!(
                    "nobody covers them: {why}; with one they are covered by a sweep, or close each with makegood.dismiss_gap(gap, reason)"
                ),
            },
            flow(facts)
        ),
        Verdict::Mismatch => format!(
            "mismatch: {} payment, see `makegood reconcile show`; {}",
            match facts.mismatches {
                1 => "1 purchase contradicts its".to_owned(),
                n => format!("{n} purchases contradict their"),
            },
            flow(facts)
        ),
        Verdict::Quarantine => format!(
            "quarantine: {} {} a decision, see `makegood quarantine list`; {}",
            records(*quarantined),
            if *quarantined == 1 { "needs" } else { "need" },
            flow(facts)
        ),
        // Only the outbox parks, and without the database there are no facts to judge.
        Verdict::Behind
        | Verdict::Ok
        | Verdict::Parked
        | Verdict::Overdue
        | Verdict::Unreachable => {
            format!("{}: {}", verdict.as_str(), flow(facts))
        }
    }
}

/// What was never read, and where that begins.
fn never_read(facts: &Facts<'_>) -> String {
    let records = match facts.gaps {
        (_, 1) => "1 record was".to_owned(),
        (1, n) => format!("{n} records were"),
        (ranges, n) => format!("{n} records in {ranges} ranges were"),
    };
    let first = facts.gap.map(|(partition, from, to, reason)| {
        let more = match facts.gaps.0 {
            0 | 1 => String::new(),
            n => format!(", and {} more", n - 1),
        };
        format!(" (partition {partition} from {from} to {}, {reason}{more})", to - 1)
    });
    format!("{records} never read{}", first.unwrap_or_default())
}

fn unpurchased(facts: &Facts<'_>) -> String {
    let gap = match facts.gaps.0 {
        0 => String::new(),
        _ => format!("; {}, which waits for a sweep", never_read(facts)),
    };
    if let Some(late) = facts.late {
        return format!("unpurchased: {late}{gap}; `makegood doctor` looks for the cause");
    }
    let (payments, oldest) = facts.unpurchased;
    if let (Some(wrong), 0) = (facts.statuses, payments) {
        return format!("unpurchased: {wrong}{gap}");
    }
    if let (Some(why), 0) = (facts.failed, payments) {
        return format!(
            "unpurchased: the reconciler's last run failed: {}{gap}; `makegood reconcile list` shows its runs",
            why.trim_end_matches('.')
        );
    }
    format!(
        "unpurchased: {} paid and not purchased{}; `makegood reconcile show` has the reasons, `makegood reconcile run` makes good",
        match payments {
            1 => "1 payment is".to_owned(),
            n => format!("{n} payments are"),
        },
        oldest.map(|oldest| format!(", the oldest for {}", age(oldest))).unwrap_or_default(),
    )
}

fn down(facts: &Facts<'_>) -> String {
    if let Some(silence) = silence(facts) {
        return format!(
            "down: no daemon has been heard of for {}: it is stopped (kill -CONT), its machine is asleep or overloaded, or it \
             cannot write to this database; its log says which",
            age(silence)
        );
    }
    let seen = match facts.seen {
        Some(seen) if seen < JUST_NOW => {
            format!("no makegood daemon runs any more, the last one was seen {} ago", age(seen))
        }
        Some(seen) => format!("no makegood daemon has been seen for {}", age(seen)),
        None => "no makegood daemon has ever run this route".to_owned(),
    };
    let wait = match waiting(facts) {
        0 => String::new(),
        n => format!(", {} waiting", records(n)),
    };
    format!("down: {seen}{wait}; start one with `{}`", facts.start)
}

/// What a daemon itself says of why it does not move.
fn kept(verdict: &str, why: Option<Held<'_>>) -> String {
    let Some(why) = why else { return verdict.to_owned() };
    let reason = why.reason.trim_end_matches('.');
    // Some advice is a sentence of its own.
    let stop = if why.advice.starts_with(char::is_lowercase) { ";" } else { "." };
    format!("{verdict} for {}: {reason}{stop} {}", age(why.age), why.advice).trim_end().to_owned()
}

/// What was refused, while nobody knows who is at fault.
fn suspect(facts: &Facts<'_>) -> String {
    let Some((count, why)) = facts.suspects else { return "suspect".to_owned() };
    let (refused, it) = match count {
        1 => ("1 record was refused".to_owned(), "it is"),
        n => (format!("{n} records were refused"), "they are"),
    };
    let reason = format!(
        "{refused}, nothing was applied since, and {it} tried again by itself: {}",
        why.reason
    );
    kept("suspect", Some(Held { reason: &reason, ..why }))
}

/// The sentence of what is held: for how long, why, and what to do about it.
pub fn holds(held: Held<'_>) -> String {
    kept("held", Some(held))
}

fn stall(facts: &Facts<'_>) -> String {
    let numbers: Vec<i32> = stalled(facts).map(|p| p.number).collect();
    let lag: i64 = stalled(facts).filter_map(|p| p.lag).sum();
    let oldest = stalled(facts).filter_map(|p| p.waiting).max();
    let oldest = oldest.map(|oldest| format!(", the oldest for {}", age(oldest)));
    let moved = match stalled(facts).map(|p| p.progress).min().flatten() {
        Some(progress) => format!("last moved {} ago", age(progress)),
        None => "never moved".to_owned(),
    };
    format!(
        "stalled: {} {moved} though {} waiting{}; look at the daemon's log, then restart it",
        partitions(&numbers),
        if lag == 1 { "1 record is".to_owned() } else { format!("{lag} records are") },
        oldest.unwrap_or_default()
    )
}

/// What waits, and when anything last moved.
fn flow(facts: &Facts<'_>) -> String {
    let wait = match waiting(facts) {
        0 => "nothing is waiting".to_owned(),
        1 => "1 record is waiting".to_owned(),
        n => format!("{n} records are waiting"),
    };
    let look = match facts.kafka {
        Kafka::Unreachable(Some(look)) => format!(" as of {} ago", age(look)),
        _ => String::new(),
    };
    match facts.partitions.iter().filter_map(|p| p.progress).min() {
        Some(progress) => format!("{wait}{look}, last progress {} ago", age(progress)),
        None => format!("{wait}{look}, no record has come yet"),
    }
}

fn records(n: i64) -> String {
    if n == 1 { "1 record".to_owned() } else { format!("{n} records") }
}

fn partitions(numbers: &[i32]) -> String {
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("partition{} {}", if numbers.len() == 1 { "" } else { "s" }, list.join(", "))
}
