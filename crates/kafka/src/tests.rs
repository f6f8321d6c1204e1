//! The rules know codes by name; here the names are the library's own.

use rdkafka::error::RDKafkaErrorCode as E;

use super::name;
use super::probe::Watermarks;
use rules::error_policy::kafka::{ClientDisposition, blame, disposition};
use rules::ids::Offset;
use rules::produce_error::Blame;

#[test]
fn what_waits_begins_at_the_position_or_where_the_log_does() {
    let ends = Watermarks { low: Offset(5), high: Offset(9) };
    assert_eq!(ends.ahead_of(Offset(7)), Some(Offset(7)));
    assert_eq!(ends.ahead_of(Offset(2)), Some(Offset(5)), "what expired waits for nobody");
    assert_eq!(ends.ahead_of(Offset(9)), None);
    assert_eq!(ends.ahead_of(Offset(12)), None, "a log that lost its end");
    assert_eq!(Watermarks { low: Offset(9), high: Offset(9) }.ahead_of(Offset(0)), None);
}

#[test]
fn each_error_of_the_library_has_its_meaning() {
    for (code, meaning) in [
        (E::BrokerTransportFailure, ClientDisposition::Retry),
        (E::AllBrokersDown, ClientDisposition::Retry),
        (E::OperationTimedOut, ClientDisposition::Retry),
        (E::NotLeaderForPartition, ClientDisposition::Retry),
        (E::NotCoordinator, ClientDisposition::Retry),
        (E::RebalanceInProgress, ClientDisposition::Retry),
        (E::IllegalGeneration, ClientDisposition::Retry),
        (E::UnknownMemberId, ClientDisposition::Retry),
        (E::FencedLeaderEpoch, ClientDisposition::Retry),
        (E::PartitionEOF, ClientDisposition::Retry),
        (E::NoOffset, ClientDisposition::Retry),
        (E::AutoOffsetReset, ClientDisposition::Reclaim),
        (E::OffsetOutOfRange, ClientDisposition::Reclaim),
        (E::LogTruncation, ClientDisposition::Reclaim),
        (E::Fatal, ClientDisposition::Rebuild),
        (E::PollExceeded, ClientDisposition::Rebuild),
        (E::Fenced, ClientDisposition::Rebuild),
        (E::TopicAuthorizationFailed, ClientDisposition::Hold),
        (E::GroupAuthorizationFailed, ClientDisposition::Barred),
        (E::SaslAuthenticationFailed, ClientDisposition::Hold),
        (E::Authentication, ClientDisposition::Hold),
        (E::SSL, ClientDisposition::Hold),
        (E::Resolve, ClientDisposition::Hold),
        (E::UnknownTopicOrPartition, ClientDisposition::Hold),
        (E::UnknownTopic, ClientDisposition::Hold),
        (E::InconsistentGroupProtocol, ClientDisposition::Barred),
        (E::GroupMaxSizeReached, ClientDisposition::Barred),
        (E::BadMessage, ClientDisposition::Unreadable),
        (E::NotImplemented, ClientDisposition::Unreadable),
        (E::BadCompression, ClientDisposition::Unreadable),
        (E::MessageSizeTooLarge, ClientDisposition::Unreadable),
        (E::InvalidMessage, ClientDisposition::Unreadable),
        (E::InvalidGroupId, ClientDisposition::Stop),
        (E::InvalidSessionTimeout, ClientDisposition::Stop),
        (E::InvalidTopic, ClientDisposition::Stop),
        (E::FencedInstanceId, ClientDisposition::Stop),
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
