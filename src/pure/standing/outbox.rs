//! Do events get from the outbox to Kafka?

use std::time::Duration;

use super::{Standing, Word, age};

/// What is known of the outbox.
#[derive(Clone, Debug)]
pub struct Outbox<'a> {
    /// Shards that a living daemon relays.
    pub relays: usize,
    /// Shards there are.
    pub shards: usize,
    /// How long ago a relay last wrote; `None` if none ever did.
    pub seen: Option<Duration>,
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
}

/// The verdict. The same order as for a route: what explains the others comes first.
pub fn judge(facts: &Outbox<'_>) -> Standing {
    let word = match facts {
        _ if facts.relays < facts.shards => Word::Down,
        Outbox { held: Some(_), .. } => Word::Held,
        _ if facts.refused + facts.behind > 0 => Word::SetAside,
        Outbox { pending: 0, .. } => Word::Ok,
        _ => Word::Behind,
    };
    let sentence = match (word, facts.held) {
        (Word::Down, _) => down(facts),
        (Word::Held, Some((reason, advice))) => {
            let reason = reason.trim_end_matches('.');
            let said = format!("held: {reason}. {advice}");
            format!("{}; {}", said.trim_end().trim_end_matches('.'), flow(facts))
        }
        (Word::SetAside, _) => format!(
            "set_aside: Kafka refused {}, and {} behind, see `makegood outbox list --set-aside`; {}",
            count(facts.refused),
            match facts.behind {
                1 => "1 waits".to_owned(),
                n => format!("{n} wait"),
            },
            flow(facts)
        ),
        _ => format!("{}: {}", word.as_str(), flow(facts)),
    };
    Standing { word, sentence }
}

fn down(facts: &Outbox<'_>) -> String {
    let who = match facts {
        Outbox { seen: None, .. } => "no makegood daemon has ever relayed the outbox".to_owned(),
        Outbox { relays: 0, seen: Some(seen), .. } => {
            format!(
                "no makegood daemon relays the outbox, the last one was seen {} ago",
                age(*seen)
            )
        }
        Outbox { relays, shards, .. } => {
            format!("only {relays} of the outbox's {shards} shards are relayed")
        }
    };
    format!("down: {who}; {}; start one with `makegood run`", flow(facts))
}

/// What waits, and for how long.
fn flow(facts: &Outbox<'_>) -> String {
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

    fn facts() -> Outbox<'static> {
        Outbox {
            relays: 1,
            shards: 1,
            seen: Some(Duration::from_secs(1)),
            held: None,
            pending: 0,
            oldest: None,
            refused: 0,
            behind: 0,
        }
    }

    fn judged(facts: &Outbox<'_>) -> (Word, String) {
        let standing = judge(facts);
        assert!(standing.sentence.starts_with(standing.word.as_str()), "{standing:?}");
        (standing.word, standing.sentence)
    }

    #[test]
    fn what_waits_is_told_with_its_age() {
        assert_eq!(judged(&facts()), (Word::Ok, "ok: nothing is waiting".to_owned()));
        let oldest = Some(Duration::from_secs(180));
        let (word, sentence) = judged(&Outbox { pending: 12, oldest, ..facts() });
        assert_eq!(word, Word::Behind);
        assert_eq!(sentence, "behind: 12 events are waiting, the oldest for 3 min");
    }

    #[test]
    fn a_refusal_a_hold_and_a_missing_relay_are_findings_each_with_what_to_do() {
        let refused = Outbox { refused: 1, behind: 3, pending: 1, ..facts() };
        let (word, sentence) = judged(&refused);
        assert!(word == Word::SetAside && !word.is_fine());
        assert!(sentence.contains("Kafka refused 1 event, and 3 wait behind"), "{sentence}");
        let held = Outbox { held: Some(("no topic t", "Create it.")), ..refused };
        let (word, sentence) = judged(&held);
        assert!(word == Word::Held && !word.is_fine());
        assert_eq!(sentence, "held: no topic t. Create it; 1 event is waiting");
        let down = Outbox { relays: 0, ..held };
        let (word, sentence) = judged(&down);
        assert!(word == Word::Down && sentence.contains("last one was seen 1 s ago"), "{sentence}");
        let (_, sentence) = judged(&Outbox { seen: None, ..down });
        assert!(sentence.contains("has ever relayed"), "{sentence}");
        let (_, sentence) = judged(&Outbox { relays: 1, shards: 2, ..facts() });
        assert!(sentence.contains("only 1 of the outbox's 2 shards"), "{sentence}");
    }
}
