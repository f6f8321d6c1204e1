//! Do events get from the outbox to Kafka?

use std::time::Duration;

use super::{Health, Verdict, age};

/// What is known of the outbox.
#[derive(Clone, Debug)]
pub struct OutboxFacts<'a> {
    /// Shards that a living daemon relays.
    pub relays: usize,
    /// Shards there are.
    pub shards: usize,
    /// How long ago a relay last wrote; `None` if none did, by a clock that can be believed.
    pub seen: Option<Duration>,
    /// Whether a relay ever had it.
    pub was_relayed: bool,
    /// Daemons that are connected to relay, where not every shard is relayed; and what they are refused, if that is known.
    pub unclaimed: Option<(i64, Option<(&'a str, &'a str)>)>,
    /// Why nothing is sent, and what to do about it.
    pub held: Option<(&'a str, &'a str)>,
    /// Events that Kafka has not acknowledged.
    pub pending: i64,
    /// The age of the oldest of them.
    pub oldest: Option<Duration>,
    /// Events that Kafka refused.
    pub refused: i64,
    /// Events that wait behind one of their key that was refused.
    pub behind: i64,
    /// The topic that takes nothing while others do: its name, its events, why, and what to do about it; and how many
    /// such topics there are.
    pub topic: Option<(&'a str, i64, &'a str, &'a str)>,
    /// How many such topics there are.
    pub topics: usize,
    /// Why published rows stay longer than they should.
    pub remark: Option<&'a str>,
    /// How full the server's queue of notifications is, from 0 to 1.
    pub notify_queue: f64,
    /// The command that starts a daemon here.
    pub start: &'a str,
}

/// From here on makegood notifies nobody, and others' transactions may fail before long.
pub const QUEUE_FULL: f64 = 0.5;

/// The verdict. The same order as for a route: what explains the others comes first.
pub fn judge(facts: &OutboxFacts<'_>) -> Health {
    let refused = match facts.unclaimed {
        Some((_, refusal)) if facts.relays < facts.shards => Some(refusal),
        _ => None,
    };
    let verdict = match facts {
        _ if refused.is_some() => Verdict::Held,
        _ if facts.relays < facts.shards => Verdict::Down,
        OutboxFacts { held: Some(_), .. } => Verdict::Held,
        OutboxFacts { remark: Some(_), .. } => Verdict::Overdue,
        _ if facts.refused + facts.behind > 0 || facts.topic.is_some() => Verdict::Parked,
        OutboxFacts { pending: 0, .. } => Verdict::Ok,
        _ => Verdict::Behind,
    };
    let sentence = match (verdict, refused, facts.held.or(facts.remark.map(|remark| (remark, ""))))
    {
        (Verdict::Down, ..) => down(facts),
        (Verdict::Held, Some(refusal), _) => unclaimed(facts, refusal),
        (Verdict::Held | Verdict::Overdue, _, Some((reason, advice))) => {
            let reason = reason.trim_end_matches('.');
            let said = format!("{}: {reason}. {advice}", verdict.as_str());
            format!("{}; {}", said.trim_end().trim_end_matches('.'), flow(facts))
        }
        (Verdict::Parked, ..) => format!("parked: {}; {}", aside(facts), flow(facts)),
        _ => format!("{}: {}", verdict.as_str(), flow(facts)),
    };
    let health = Health::new(verdict, sentence + &queue(facts));
    match (verdict, refused, facts.held) {
        (Verdict::Held, Some(Some((reason, advice))), _)
        | (Verdict::Held, _, Some((reason, advice))) => health.because(reason, advice),
        _ => health,
    }
}

/// Daemons are here and do not relay: what this role is refused is most likely what they are.
fn unclaimed(facts: &OutboxFacts<'_>, refusal: Option<(&str, &str)>) -> String {
    match refusal {
        Some((reason, advice)) => {
            let said = format!("held: no daemon can claim the outbox: {reason}. {advice}");
            format!("{}; {}", said.trim_end().trim_end_matches('.'), flow(facts))
        }
        None => format!(
            "held: a daemon is connected and does not relay the outbox, or not all of it: its log says why, if that lasts; {}",
            flow(facts)
        ),
    }
}

/// What does not go: by topic, and by itself.
fn aside(facts: &OutboxFacts<'_>) -> String {
    let mut parts = Vec::new();
    if let Some((topic, events, reason, advice)) = facts.topic {
        let verb = if events == 1 { "waits" } else { "wait" };
        let mut part = format!("{} of topic {topic} {verb}: {reason}", count(events));
        if !advice.is_empty() {
            part += &format!(" ({advice})");
        }
        if facts.topics > 1 {
            part += &format!(", and {} more topics are held", facts.topics - 1);
        }
        parts.push(part + ", see `makegood outbox list`");
    }
    if facts.refused + facts.behind > 0 {
        let behind = match facts.behind {
            1 => "1 waits".to_owned(),
            n => format!("{n} wait"),
        };
        parts.push(format!(
            "Kafka refused {}, and {behind} behind, see `makegood outbox list --parked`",
            count(facts.refused)
        ));
    }
    parts.join("; ")
}

fn queue(facts: &OutboxFacts<'_>) -> String {
    if facts.notify_queue < QUEUE_FULL {
        return String::new();
    }
    format!(
        "; the server's queue of notifications is {:.0} % full: when it is, every NOTIFY fails; see `makegood doctor`",
        facts.notify_queue * 100.0
    )
}

fn down(facts: &OutboxFacts<'_>) -> String {
    let who = match facts {
        OutboxFacts { was_relayed: false, .. } => {
            "no makegood daemon has ever relayed the outbox".to_owned()
        }
        OutboxFacts { relays: 0, seen: None, .. } => {
            "no makegood daemon relays the outbox".to_owned()
        }
        OutboxFacts { relays: 0, seen: Some(seen), .. } => {
            format!(
                "no makegood daemon relays the outbox, the last one was seen {} ago",
                age(*seen)
            )
        }
        OutboxFacts { relays, shards, .. } => {
            format!("only {relays} of the outbox's {shards} shards are relayed")
        }
    };
    format!("down: {who}; {}; start one with `{}`", flow(facts), facts.start)
}

/// What waits, and for how long.
fn flow(facts: &OutboxFacts<'_>) -> String {
    let verb = if facts.pending == 1 { "is" } else { "are" };
    match (facts.pending, facts.oldest) {
        (0, _) => "nothing is waiting".to_owned(),
        (n, Some(oldest)) => {
            format!("{} {verb} waiting, the oldest for {}", count(n), age(oldest))
        }
        (n, None) => format!("{} {verb} waiting", count(n)),
    }
}

fn count(events: i64) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> OutboxFacts<'static> {
        OutboxFacts {
            relays: 1,
            shards: 1,
            seen: Some(Duration::from_secs(1)),
            held: None,
            pending: 0,
            oldest: None,
            refused: 0,
            behind: 0,
            was_relayed: true,
            unclaimed: None,
            topic: None,
            topics: 0,
            remark: None,
            notify_queue: 0.0,
            start: "makegood run",
        }
    }

    fn judged(facts: &OutboxFacts<'_>) -> (Verdict, String) {
        let health = judge(facts);
        assert!(health.sentence.starts_with(health.verdict.as_str()), "{health:?}");
        (health.verdict, health.sentence)
    }

    #[test]
    fn what_waits_is_told_with_its_age() {
        assert_eq!(judged(&facts()), (Verdict::Ok, "ok: nothing is waiting".to_owned()));
        let oldest = Some(Duration::from_secs(180));
        let (verdict, sentence) = judged(&OutboxFacts { pending: 12, oldest, ..facts() });
        assert_eq!(verdict, Verdict::Behind);
        assert_eq!(sentence, "behind: 12 events are waiting, the oldest for 3 min");
    }

    #[test]
    fn a_refusal_a_hold_and_a_missing_relay_are_findings_each_with_what_to_do() {
        let refused = OutboxFacts { refused: 1, behind: 3, pending: 1, ..facts() };
        let (verdict, sentence) = judged(&refused);
        assert!(verdict == Verdict::Parked && !verdict.is_fine());
        assert!(sentence.contains("Kafka refused 1 event, and 3 wait behind"), "{sentence}");
        let held = OutboxFacts { held: Some(("no topic t", "Create it.")), ..refused };
        let (verdict, sentence) = judged(&held);
        assert!(verdict == Verdict::Held && !verdict.is_fine());
        assert_eq!(sentence, "held: no topic t. Create it; 1 event is waiting");
        let down = OutboxFacts { relays: 0, ..held };
        let (verdict, sentence) = judged(&down);
        assert!(
            verdict == Verdict::Down && sentence.contains("last one was seen 1 s ago"),
            "{sentence}"
        );
        let (_, sentence) = judged(&OutboxFacts { was_relayed: false, ..down });
        assert!(sentence.contains("has ever relayed"), "{sentence}");
        let (_, sentence) = judged(&OutboxFacts { relays: 1, shards: 2, ..facts() });
        assert!(sentence.contains("only 1 of the outbox's 2 shards"), "{sentence}");
    }

    #[test]
    fn a_topic_that_takes_nothing_is_named_with_its_events() {
        let topic = Some(("typo", 3, "UnknownTopic", "create it"));
        let (verdict, sentence) = judged(&OutboxFacts { topic, topics: 2, pending: 3, ..facts() });
        assert_eq!(verdict, Verdict::Parked);
        let start = "parked: 3 events of topic typo wait: UnknownTopic (create it), and 1 more topics are held";
        assert!(sentence.starts_with(start), "{sentence}");
    }

    #[test]
    fn a_daemon_that_is_here_and_cannot_relay_is_not_called_missing() {
        let none = OutboxFacts { relays: 0, was_relayed: false, ..facts() };
        let denied = Some((1, Some(("permission denied", "grant it"))));
        let (verdict, sentence) = judged(&OutboxFacts { unclaimed: denied, ..none.clone() });
        assert!(
            verdict == Verdict::Held && sentence.contains("permission denied. grant it"),
            "{sentence}"
        );
        let (verdict, sentence) = judged(&OutboxFacts { unclaimed: Some((1, None)), ..none });
        assert!(verdict == Verdict::Held && sentence.contains("its log says why"), "{sentence}");
    }

    #[test]
    fn rows_that_stay_too_long_are_a_finding_and_a_full_queue_is_told() {
        let (verdict, sentence) = judged(&OutboxFacts { remark: Some("pid 7 uses it"), ..facts() });
        assert_eq!((verdict, verdict.is_fine()), (Verdict::Overdue, false));
        assert_eq!(sentence, "overdue: pid 7 uses it; nothing is waiting");
        let (_, sentence) = judged(&OutboxFacts { notify_queue: 0.9, ..facts() });
        assert!(sentence.contains("90 % full"), "{sentence}");
    }
}
