//! What an error of the Kafka client means. Errors come by the name of their code in rdkafka
//! (`RDKafkaErrorCode`), because the rules depend on no library; every name has an answer.

use crate::produce_error::Blame;

/// What is wrong with a record that came as neither key nor value (librdkafka#5549).
pub const OLD_FORMAT: &str =
    "the record is in a message format older than Kafka 0.11, which this client cannot read";
/// What to do about it.
pub const OLD_FORMAT_ADVICE: &str = "set message.format.version of the topic (log.message.format.version on the brokers) to 3.0 for what comes; skipping \
     what is there is kafka-delete-records, and the reconciler covers the gap";

/// Whether a topic's `message.format.version` is one of those: 0.8 to 0.10.
pub fn is_old_format(version: &str) -> bool {
    let minor = version.strip_prefix("0.").map(|rest| rest.split(['.', '-']).next());
    minor.flatten().and_then(|minor| minor.parse().ok()).is_some_and(|minor: u32| minor < 11)
}

/// What to do after an error of the group's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDisposition {
    /// The client goes on by itself, and it will pass.
    Retry,
    /// The log does not have the offset that was asked for: read the positions and claim again.
    Reclaim,
    /// A record cannot be read: hold its partition, and read the others on.
    Unreadable,
    /// This client will not recover; a new one may.
    Rebuild,
    /// The client goes on trying, but only a person can mend the cause: say it.
    Hold,
    /// The same for a group that does not take the member in: say who is in the way too.
    Barred,
    /// The configuration cannot work, with this client or a new one: end.
    Stop,
}

/// What an error of the member means. Total: what is not known is said and waited for.
pub fn disposition(code: &str) -> ClientDisposition {
    match code {
        "OffsetOutOfRange" | "AutoOffsetReset" | "LogTruncation" => ClientDisposition::Reclaim,
        "BadMessage"
        | "BadCompression"
        | "NotImplemented"
        | "Underflow"
        | "InvalidMessage"
        | "InvalidMessageSize"
        | "InvalidRecord"
        | "MessageSizeTooLarge"
        | "UnsupportedCompressionType"
        | "UnsupportedForMessageFormat" => ClientDisposition::Unreadable,
        // librdkafka would rejoin after PollExceeded; that was seen to end in silence
        // (rust-rdkafka#433).
        "Fatal"
        | "PollExceeded"
        | "Fenced"
        | "FencedMemberEpoch"
        | "StaleMemberEpoch"
        | "BrokerDestroy"
        | "DestroyBroker"
        | "CriticalSystemResource"
        | "Conflict"
        | "ExistingSubscription"
        | "State" => ClientDisposition::Rebuild,
        "InvalidGroupId"
        | "InvalidSessionTimeout"
        | "InvalidTopic"
        | "InvalidConfig"
        | "UnknownProtocol"
        | "FencedInstanceId" => ClientDisposition::Stop,
        "InconsistentGroupProtocol" | "GroupAuthorizationFailed" | "GroupMaxSizeReached" => {
            ClientDisposition::Barred
        }
        _ if is_passing(code) => ClientDisposition::Retry,
        _ => ClientDisposition::Hold,
    }
}

/// Brokers that restart, leaders and coordinators that move, rebalances, and what is no error.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "BrokerTransportFailure"
            | "AllBrokersDown"
            | "OperationTimedOut"
            | "TimedOutQueue"
            | "RequestTimedOut"
            | "NetworkException"
            | "Interrupted"
            | "Retry"
            | "WaitCache"
            | "InProgress"
            | "PreviousInProgress"
            | "QueueFull"
            | "LeaderNotAvailable"
            | "NotLeaderForPartition"
            | "FencedLeaderEpoch"
            | "UnknownLeaderEpoch"
            | "OffsetNotAvailable"
            | "PreferredLeaderNotAvailable"
            | "EligibleLeadersNotAvailable"
            | "ReassignmentInProgress"
            | "BrokerNotAvailable"
            | "ReplicaNotAvailable"
            | "KafkaStorageError"
            | "NotController"
            | "StaleControllerEpoch"
            | "StaleBrokerEpoch"
            | "FetchSessionIdNotFound"
            | "InvalidFetchSessionEpoch"
            | "ThrottlingQuotaExceeded"
            | "WaitingForCoordinator"
            | "CoordinatorLoadInProgress"
            | "CoordinatorNotAvailable"
            | "NotCoordinator"
            | "RebalanceInProgress"
            | "IllegalGeneration"
            | "UnknownMemberId"
            | "MemberIdRequired"
            | "UnstableOffsetCommit"
            | "AssignmentLost"
            | "AssignPartitions"
            | "RevokePartitions"
            | "NoOffset"
            | "Outdated"
            | "NodeUpdate"
            | "PartitionEOF"
            | "Partial"
            | "Noop"
            | "NoError"
    )
}

/// What an operator can do about an error of any client; empty when nothing need be done.
pub fn advice(code: &str) -> &'static str {
    match code {
        "BrokerTransportFailure" | "AllBrokersDown" | "OperationTimedOut" => {
            "is Kafka running, and is kafka.bootstrap_servers right? `makegood config show` prints it"
        }
        "Resolve" => {
            "the broker's host name is unknown here: check kafka.bootstrap_servers and DNS"
        }
        "UnknownTopic" | "UnknownTopicOrPartition" | "UnknownPartition" => {
            "the topic does not exist: create it with kafka-topics --create, or correct \"topic\""
        }
        "OffsetOutOfRange" | "AutoOffsetReset" | "LogTruncation" => {
            "the log no longer has this offset: makegood asks again, and records what is gone as a gap"
        }
        "InvalidTopic" => "Kafka allows no topic of this name: correct \"topic\"",
        "TopicAuthorizationFailed" => "grant this user Read and Describe on the topic",
        "GroupAuthorizationFailed" => "grant this user Read on the consumer group",
        "ClusterAuthorizationFailed" => "grant this user what the broker's log says it lacks",
        "InconsistentGroupProtocol" => {
            "another kind of client is in this group (kafkajs cannot share one with makegood): stop it first"
        }
        "GroupMaxSizeReached" => {
            "the group is full: stop a member, or raise group.max.size on the brokers"
        }
        "InvalidGroupId" => "Kafka allows no group of this name: correct \"group\"",
        "InvalidSessionTimeout" => {
            "the broker does not allow this session.timeout.ms: see group.min.session.timeout.ms and group.max.session.timeout.ms there"
        }
        "FencedInstanceId" => {
            "another member has the same group.instance.id: remove it from [kafka.properties]"
        }
        "Authentication"
        | "SaslAuthenticationFailed"
        | "UnsupportedSASLMechanism"
        | "IllegalSASLState" => {
            "check security.protocol, sasl.mechanism, sasl.username and sasl.password"
        }
        "SSL" => "check ssl.ca.location and that the broker's certificate names its host",
        "BadCompression" => {
            "a batch unpacks to more than there is memory for, or was packed wrong: the daemon goes past it and records a gap, which the reconciler covers"
        }
        "BadMessage" | "InvalidMessage" => {
            "the broker has a damaged record: look at its disk; skipping it is kafka-delete-records, and the reconciler covers the gap"
        }
        "NotImplemented" | "UnsupportedForMessageFormat" => {
            "the broker has a record that this client cannot read: it is damaged, or in a message format older than Kafka 0.11 (message.format.version)"
        }
        "MessageSizeTooLarge" => {
            "raise fetch.message.max.bytes and receive.message.max.bytes in [kafka.properties]"
        }
        "UnsupportedVersion" | "UnsupportedFeature" => {
            "the broker is too old, or is being upgraded: makegood wants Apache Kafka 2.8 or later"
        }
        _ => "",
    }
}

/// Who has to change before a message that was not taken can go through. Total: what is not known
/// holds, the one answer that gives nothing up.
pub fn blame(code: &str) -> Blame {
    match code {
        "MessageSizeTooLarge"
        | "MessageBatchTooLarge"
        | "InvalidMessageSize"
        | "InvalidRecord"
        | "InvalidTopic" => Blame::Row,
        // The client gave up, for its own reasons or for a neighbour's sake.
        "Fatal"
        | "GaplessGuarantee"
        | "Inconsistent"
        | "PurgeQueue"
        | "PurgeInflight"
        | "InvalidDifferentRecord"
        | "OutOfOrderSequenceNumber"
        | "DuplicateSequenceNumber"
        | "UnknownProducerId"
        | "InvalidProducerEpoch"
        | "InvalidProducerIdMapping"
        | "ProducerFenced"
        | "Fenced" => Blame::Client,
        _ => Blame::World,
    }
}

/// What an operator can do about a message that was not taken.
pub fn refusal_advice(code: &str) -> &'static str {
    match code {
        "MessageSizeTooLarge" | "MessageBatchTooLarge" | "InvalidMessageSize" => {
            "raise max.message.bytes of the topic and message.max.bytes in [kafka.properties], or publish less"
        }
        "InvalidRecord" => {
            "a compacted topic takes no message without a key: publish with a key, or change cleanup.policy"
        }
        "InvalidTimestamp" => {
            "set the clocks of this machine and the broker: their difference is more than message.timestamp.after.max.ms or message.timestamp.before.max.ms"
        }
        "TopicAuthorizationFailed" => "grant this user Write and Describe on the topic",
        "ClusterAuthorizationFailed" => {
            "grant this user IdempotentWrite on the cluster (brokers before 2.8 ask for it)"
        }
        _ if blame(code) == Blame::Client => "",
        _ => advice(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_from_before_headers_are_old() {
        for (version, is_old) in [
            ("0.9.0", true),
            ("0.10.2-IV0", true),
            ("0.11.0-IV2", false),
            ("2.8-IV1", false),
            ("3.0", false),
            ("", false),
        ] {
            assert_eq!(is_old_format(version), is_old, "{version}");
        }
    }

    #[test]
    fn what_only_a_person_can_mend_comes_with_what_to_do() {
        for code in [
            "TopicAuthorizationFailed",
            "SaslAuthenticationFailed",
            "UnknownTopicOrPartition",
            "InconsistentGroupProtocol",
            "SSL",
            "InvalidGroupId",
            "InvalidSessionTimeout",
        ] {
            let helpless =
                [ClientDisposition::Hold, ClientDisposition::Barred, ClientDisposition::Stop];
            assert!(helpless.contains(&disposition(code)), "{code}");
            assert!(!advice(code).is_empty(), "{code}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_and_gives_nothing_up() {
        for code in ["", "SomethingNew", "é"] {
            assert_eq!(disposition(code), ClientDisposition::Hold, "{code}");
            assert_eq!(blame(code), Blame::World, "{code}");
        }
    }
}
