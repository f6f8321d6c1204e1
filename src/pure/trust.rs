//! Which keys may have more than one message on their way through a new producer.
//!
//! Until a partition has taken a batch of a producer, the broker takes any sequence number from it: a second
//! request that is already on its way is taken even if the first was refused (seen on Kafka 4.1 with librdkafka
//! 2.12.1, whatever `max.in.flight` is). So the second message of a key waits until the first is acknowledged;
//! from then on the key's partition is known to guard its order.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// With so many keys acknowledged, every partition has been written.
const ENOUGH: usize = 4096;

/// What a producer has shown so far.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    sent: HashSet<u64>,
    acknowledged: HashSet<u64>,
}

impl Trust {
    /// Whether a message of this topic and key may go now. Without a key there is no order to keep.
    pub fn admits(&self, topic: &str, key: Option<&str>) -> bool {
        let Some(key) = key else { return true };
        let key = fingerprint(topic, key);
        self.acknowledged.len() >= ENOUGH
            || self.acknowledged.contains(&key)
            || !self.sent.contains(&key)
    }

    /// Notes that a message was handed over.
    pub fn sent(&mut self, topic: &str, key: Option<&str>) {
        if let Some(key) = key.filter(|_| self.acknowledged.len() < ENOUGH) {
            self.sent.insert(fingerprint(topic, key));
        }
    }

    /// Notes that a message was acknowledged.
    pub fn acknowledged(&mut self, topic: &str, key: Option<&str>) {
        if let Some(key) = key.filter(|_| self.acknowledged.len() < ENOUGH) {
            self.acknowledged.insert(fingerprint(topic, key));
        }
    }
}

fn fingerprint(topic: &str, key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (topic, key).hash(&mut hasher);
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
        assert_eq!(trust.sent.len(), ENOUGH);
        assert_eq!(trust.acknowledged.len(), ENOUGH);
        trust.sent("t", Some("new"));
        assert!(trust.admits("t", Some("new")));
    }
}
