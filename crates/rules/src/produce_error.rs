//! What it means that Kafka did not take a message.

use crate::diagnosis::{Code, Diagnosis};

/// Who has to change before the message can go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The message itself: it is too large, or its topic cannot exist. Brokers refuse whole batches,
    /// so in a delivery report this is a suspicion; it is certain at the hand-over, and when nothing
    /// else was on its way.
    Row,
    /// Topics, grants, brokers: hold, park nothing, try again.
    World,
    /// The producer: end it and resend everything unacknowledged, in order, through a new one.
    Client,
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceError {
    /// Who has to change.
    pub blame: Blame,
    /// The error's name and words; nothing of the message's content.
    pub reason: String,
    /// What an operator can do; empty when nothing need be done.
    pub advice: String,
}

impl ProduceError {
    /// What is wrong, whoever has to change.
    pub fn diagnosis(self) -> Diagnosis {
        Diagnosis::new(Code::Kafka, self.reason).advice(self.advice)
    }
}

/// What is wrong with a topic's name, if anything (the rules of Kafka's `Topic.validate`). Asked
/// before the hand-over, because a broker says it so late that other messages are refused with it.
pub fn topic_fault(name: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Some("it is empty"),
        "." | ".." => Some("it is `.` or `..`"),
        _ if name.len() > 249 => Some("it has more than 249 characters"),
        _ if !name.chars().all(fits) => Some("only ASCII letters, digits, `.`, `_` and `-` fit"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::topic_fault;

    #[test]
    fn topic_names_follow_kafkas_rules() {
        let longest = "a".repeat(249);
        for name in ["a", "purchase-confirmed", "A.b_c-9", "...", &longest] {
            assert_eq!(topic_fault(name), None, "{name}");
        }
        let longer = "a".repeat(250);
        for name in ["", ".", "..", "a b", "a/b", "ü", "a\0", "a\n", &longer] {
            assert!(topic_fault(name).is_some(), "{name:?}");
        }
    }
}
