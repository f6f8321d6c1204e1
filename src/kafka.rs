//! Everything Kafka: one consumer thread, a second handle to look with, and the one unsafe module.

pub mod board;
mod callbacks;
pub mod consumer;
mod poller;
pub mod probe;
pub mod produce;
#[allow(unsafe_code)]
mod raw;
pub mod reach;
pub mod refusal;
mod reports;
pub mod sender;
pub mod settings;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::meter;
use crate::pure::problem::{Code, Problem};

/// Turns a client error into a problem, with advice where the cause is a known one.
pub fn problem(error: &KafkaError, doing: &str) -> Problem {
    let code = error.rdkafka_error_code();
    let kind = match code {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut,
        ) => Code::KafkaUnreachable,
        _ => Code::Kafka,
    };
    Problem::new(kind, format!("{doing}: {}", reason(error))).hint(advice(code))
}

/// The version of the client library.
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// Counts an error by its name.
fn count(error: &KafkaError) {
    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
    meter::count(meter::catalog::KAFKA_ERRORS, "code", &format!("{code:?}"));
}

/// The error in Kafka's own words, its code's name first.
pub fn reason(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// What an operator can do about a client error.
pub fn advice(code: Option<RDKafkaErrorCode>) -> &'static str {
    use RDKafkaErrorCode as E;
    match code {
        Some(E::BrokerTransportFailure | E::AllBrokersDown | E::OperationTimedOut) => {
            "is Kafka running, and is kafka.bootstrap_servers right? `makegood config show` prints it"
        }
        Some(E::Resolve) => {
            "the broker's host name is unknown here: check kafka.bootstrap_servers and DNS"
        }
        Some(E::UnknownTopic | E::UnknownTopicOrPartition | E::UnknownPartition) => {
            "the topic does not exist: create it with kafka-topics --create, or correct `topic`"
        }
        Some(E::TopicAuthorizationFailed) => "grant this user Read and Describe on the topic",
        Some(E::GroupAuthorizationFailed) => "grant this user Read on the consumer group",
        Some(E::InconsistentGroupProtocol) => {
            "another kind of client is in this group (kafkajs cannot share one with makegood): stop it first"
        }
        Some(E::Authentication | E::SaslAuthenticationFailed) => {
            "check security.protocol, sasl.mechanism, sasl.username and sasl.password"
        }
        Some(E::SSL) => "check ssl.ca.location and that the broker's certificate names its host",
        _ => "",
    }
}
