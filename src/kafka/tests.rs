//! The rules know codes by name; here the names are the library's own.

use rdkafka::error::RDKafkaErrorCode as E;

use super::name;
use super::probe::Watermarks;
use crate::pure::refusal::Blame;
use crate::pure::verdict::kafka::{Verdict, blame, verdict};

#[test]
fn what_waits_begins_at_the_position_or_where_the_log_does() {
    let ends = Watermarks { low: 5, high: 9 };
    assert_eq!(ends.ahead_of(7), Some(7));
    assert_eq!(ends.ahead_of(2), Some(5), "what expired waits for nobody");
    assert_eq!(ends.ahead_of(9), None);
    assert_eq!(ends.ahead_of(12), None, "a log that lost its end");
    assert_eq!(Watermarks { low: 9, high: 9 }.ahead_of(0), None);
}

#[test]
fn each_error_of_the_library_has_its_meaning() {
    for (code, meaning) in [
        (E::BrokerTransportFailure, Verdict::Retry),
        (E::AllBrokersDown, Verdict::Retry),
        (E::OperationTimedOut, Verdict::Retry),
        (E::NotLeaderForPartition, Verdict::Retry),
        (E::NotCoordinator, Verdict::Retry),
        (E::RebalanceInProgress, Verdict::Retry),
        (E::IllegalGeneration, Verdict::Retry),
        (E::UnknownMemberId, Verdict::Retry),
        (E::FencedLeaderEpoch, Verdict::Retry),
        (E::PartitionEOF, Verdict::Retry),
        (E::NoOffset, Verdict::Retry),
        (E::AutoOffsetReset, Verdict::Reclaim),
        (E::OffsetOutOfRange, Verdict::Reclaim),
        (E::LogTruncation, Verdict::Reclaim),
        (E::Fatal, Verdict::Rebuild),
        (E::PollExceeded, Verdict::Rebuild),
        (E::Fenced, Verdict::Rebuild),
        (E::TopicAuthorizationFailed, Verdict::Hold),
        (E::GroupAuthorizationFailed, Verdict::Barred),
        (E::SaslAuthenticationFailed, Verdict::Hold),
        (E::Authentication, Verdict::Hold),
        (E::SSL, Verdict::Hold),
        (E::Resolve, Verdict::Hold),
        (E::UnknownTopicOrPartition, Verdict::Hold),
        (E::UnknownTopic, Verdict::Hold),
        (E::InconsistentGroupProtocol, Verdict::Barred),
        (E::GroupMaxSizeReached, Verdict::Barred),
        (E::BadMessage, Verdict::Unreadable),
        (E::NotImplemented, Verdict::Unreadable),
        (E::BadCompression, Verdict::Unreadable),
        (E::MessageSizeTooLarge, Verdict::Unreadable),
        (E::InvalidMessage, Verdict::Unreadable),
        (E::InvalidGroupId, Verdict::Stop),
        (E::InvalidSessionTimeout, Verdict::Stop),
        (E::InvalidTopic, Verdict::Stop),
        (E::FencedInstanceId, Verdict::Stop),
    ] {
        assert_eq!(verdict(&name(code)), meaning, "{code:?}");
    }
}

#[test]
fn each_refusal_of_the_library_has_its_culprit() {
    for (code, culprit) in [
        (E::MessageSizeTooLarge, Blame::Row),
        (E::MessageBatchTooLarge, Blame::Row),
        (E::InvalidMessageSize, Blame::Row),
        (E::InvalidRecord, Blame::Row),
        (E::InvalidTopic, Blame::Row),
        (E::Fatal, Blame::Client),
        (E::GaplessGuarantee, Blame::Client),
        (E::PurgeQueue, Blame::Client),
        (E::PurgeInflight, Blame::Client),
        (E::OutOfOrderSequenceNumber, Blame::Client),
        (E::UnknownProducerId, Blame::Client),
        (E::ProducerFenced, Blame::Client),
        (E::InvalidTimestamp, Blame::World),
        (E::TopicAuthorizationFailed, Blame::World),
        (E::NotEnoughReplicas, Blame::World),
    ] {
        assert_eq!(blame(&name(code)), culprit, "{code:?}");
    }
}

#[test]
fn an_error_is_said_in_words() {
    for (code, said) in [
        (E::AllBrokersDown, "all broker connections are down"),
        (E::MessageSizeTooLarge, "message size too large"),
    ] {
        assert_eq!(super::words(code), said);
    }
}
