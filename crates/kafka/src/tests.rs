//! The rules know codes by name; here the names are the library's own.

use rdkafka::error::RDKafkaErrorCode as E;

use super::name;
use super::probe::Watermarks;
use rules::error_policy::kafka::{Disposition, blame, disposition};
use rules::produce_error::Blame;

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
        (E::BrokerTransportFailure, Disposition::Retry),
        (E::AllBrokersDown, Disposition::Retry),
        (E::OperationTimedOut, Disposition::Retry),
        (E::NotLeaderForPartition, Disposition::Retry),
        (E::NotCoordinator, Disposition::Retry),
        (E::RebalanceInProgress, Disposition::Retry),
        (E::IllegalGeneration, Disposition::Retry),
        (E::UnknownMemberId, Disposition::Retry),
        (E::FencedLeaderEpoch, Disposition::Retry),
        (E::PartitionEOF, Disposition::Retry),
        (E::NoOffset, Disposition::Retry),
        (E::AutoOffsetReset, Disposition::Reclaim),
        (E::OffsetOutOfRange, Disposition::Reclaim),
        (E::LogTruncation, Disposition::Reclaim),
        (E::Fatal, Disposition::Rebuild),
        (E::PollExceeded, Disposition::Rebuild),
        (E::Fenced, Disposition::Rebuild),
        (E::TopicAuthorizationFailed, Disposition::Hold),
        (E::GroupAuthorizationFailed, Disposition::Barred),
        (E::SaslAuthenticationFailed, Disposition::Hold),
        (E::Authentication, Disposition::Hold),
        (E::SSL, Disposition::Hold),
        (E::Resolve, Disposition::Hold),
        (E::UnknownTopicOrPartition, Disposition::Hold),
        (E::UnknownTopic, Disposition::Hold),
        (E::InconsistentGroupProtocol, Disposition::Barred),
        (E::GroupMaxSizeReached, Disposition::Barred),
        (E::BadMessage, Disposition::Unreadable),
        (E::NotImplemented, Disposition::Unreadable),
        (E::BadCompression, Disposition::Unreadable),
        (E::MessageSizeTooLarge, Disposition::Unreadable),
        (E::InvalidMessage, Disposition::Unreadable),
        (E::InvalidGroupId, Disposition::Stop),
        (E::InvalidSessionTimeout, Disposition::Stop),
        (E::InvalidTopic, Disposition::Stop),
        (E::FencedInstanceId, Disposition::Stop),
    ] {
        assert_eq!(disposition(&name(code)), meaning, "{code:?}");
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
