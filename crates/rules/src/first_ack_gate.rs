//! Which keys may have more than one message on their way through a new producer.
//!
//! Until a partition has taken a batch of a producer, the broker takes any sequence number from it: a second
//! request that is already on its way is taken even if the first was refused (seen on Kafka 4.1 with librdkafka
//! 2.12.1, whatever `max.in.flight` is). So the second message of a key waits until the first is acknowledged;
//! from then on the key's partition is known to guard its order.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// With so many keys of a topic acknowledged, every partition of it has been written.
const ENOUGH: usize = 4096;

/// What a producer has shown so far, of each topic.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    topics: HashMap<String, Keys>,
}

/// Keys of one topic.
#[derive(Clone, Debug, Default)]
struct Keys {
    sent: HashSet<u64>,
    acknowledged: HashSet<u64>,
}

impl Keys {
    fn are_enough(&self) -> bool {
        self.acknowledged.len() >= ENOUGH
    }
}

impl Trust {
    /// Whether a message of this topic and key may go now. Without a key there is no order to keep.
    pub fn admits(&self, topic: &str, key: Option<&str>) -> bool {
        let (Some(keys), Some(key)) = (self.topics.get(topic), key) else { return true };
        let key = fingerprint(key);
        keys.are_enough() || keys.acknowledged.contains(&key) || !keys.sent.contains(&key)
    }

    /// Notes that a message was handed over.
    pub fn sent(&mut self, topic: &str, key: Option<&str>) {
        self.note(topic, key, |keys| &mut keys.sent);
    }

    /// Notes that a message was acknowledged.
    pub fn acknowledged(&mut self, topic: &str, key: Option<&str>) {
        self.note(topic, key, |keys| &mut keys.acknowledged);
    }

    fn note(&mut self, topic: &str, key: Option<&str>, among: fn(&mut Keys) -> &mut HashSet<u64>) {
        let Some(key) = key else { return };
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), Keys::default());
        }
        if let Some(keys) = self.topics.get_mut(topic).filter(|keys| !keys.are_enough()) {
            among(keys).insert(fingerprint(key));
        }
    }
}

fn fingerprint(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_message_of_a_key_waits_for_the_first_acknowledgement_and_no_longer() {
        let mut trust = Trust::default();
        trust.sent("t", Some("a"));
        assert!(!trust.admits("t", Some("a")));
        assert!(trust.admits("t", Some("b")) && trust.admits("u", Some("a")));
        trust.acknowledged("t", Some("a"));
        trust.sent("t", Some("a"));
        assert!(trust.admits("t", Some("a")));
    }

    #[test]
    fn messages_without_a_key_never_wait() {
        let mut trust = Trust::default();
        trust.sent("t", None);
        assert!(trust.admits("t", None));
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let mut trust = Trust::default();
        for number in 0..ENOUGH * 2 {
            let key = number.to_string();
            trust.sent("t", Some(&key));
            trust.acknowledged("t", Some(&key));
        }
        let keys = &trust.topics["t"];
        assert_eq!((keys.sent.len(), keys.acknowledged.len()), (ENOUGH, ENOUGH));
        trust.sent("t", Some("new"));
        assert!(trust.admits("t", Some("new")));
    }
    #[test]
    fn what_one_topic_has_shown_says_nothing_of_another() {
        let mut trust = Trust::default();
        for number in 0..ENOUGH {
            let key = number.to_string();
            trust.sent("t", Some(&key));
            trust.acknowledged("t", Some(&key));
        }
        for topic in ["t", "u"] {
            trust.sent(topic, Some("new"));
        }
        assert!(trust.admits("t", Some("new")));
        assert!(!trust.admits("u", Some("new")));
    }
}
