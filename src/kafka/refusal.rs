//! What a producer's error means, and what to do about it: one total function.

use rdkafka::error::RDKafkaErrorCode as E;

use crate::pure::refusal::{Blame, Refusal};

/// The refusal that an error code stands for; `words` is what the broker added, if anything.
pub fn refusal(code: E, words: &str) -> Refusal {
    let mut reason = code.to_string();
    if !words.is_empty() && !reason.contains(words) {
        reason = format!("{reason}: {words}");
    }
    Refusal { blame: blame(code), reason, advice: advice(code).to_owned() }
}

/// Who has to change. What is not known holds: it is the one answer that gives nothing up.
fn blame(code: E) -> Blame {
    match code {
        E::MessageSizeTooLarge
        | E::MessageBatchTooLarge
        | E::InvalidMessageSize
        | E::InvalidRecord
        | E::InvalidTopic => Blame::Row,
        // The client gave up, for its own reasons or for a neighbour's sake.
        E::Fatal
        | E::GaplessGuarantee
        | E::Inconsistent
        | E::PurgeQueue
        | E::PurgeInflight
        | E::InvalidDifferentRecord
        | E::OutOfOrderSequenceNumber
        | E::DuplicateSequenceNumber
        | E::UnknownProducerId
        | E::InvalidProducerEpoch
        | E::InvalidProducerIdMapping
        | E::ProducerFenced
        | E::Fenced => Blame::Client,
        _ => Blame::World,
    }
}

/// What an operator can do about it.
fn advice(code: E) -> &'static str {
    match code {
        E::MessageSizeTooLarge | E::MessageBatchTooLarge | E::InvalidMessageSize => {
            "raise max.message.bytes of the topic and message.max.bytes in [kafka.properties], or publish less"
        }
        E::InvalidRecord => {
            "a compacted topic takes no message without a key: publish with a key, or change cleanup.policy"
        }
        E::InvalidTimestamp => {
            "set the clocks of this machine and the broker: their difference is more than message.timestamp.after.max.ms or message.timestamp.before.max.ms"
        }
        E::TopicAuthorizationFailed => "grant this user Write and Describe on the topic",
        E::ClusterAuthorizationFailed => {
            "grant this user IdempotentWrite on the cluster (brokers before 2.8 ask for it)"
        }
        _ if blame(code) == Blame::Client => "",
        _ => super::advice(Some(code)),
    }
}
