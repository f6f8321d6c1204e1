//! Everything Kafka: one consumer thread, a second handle to look with, and the one unsafe module.

#[allow(unsafe_code)]
mod bounds;
mod callbacks;
pub mod commit_queue;
mod complaint;
pub mod connectivity;
pub mod consumer;
pub mod login;
mod msk;
mod poller;
pub mod probe;
pub mod produce;
pub mod property_check;
#[allow(unsafe_code)]
mod raw;
pub mod refusal;
mod reports;
pub mod sender;
pub mod settings;
mod test_hook;
mod token;
pub mod topic_config;

use std::fs::File;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use rules::error_policy::{kafka as error_policy, login as words_of_login};
use rules::ids::Offset;
use rules::problem::{Code, Problem};
use telemetry::meter;

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
    Problem::new(kind, format!("{doing}: {}", reason(error))).advice(advice(code))
}

/// Why no client can be made of these settings.
pub fn unusable(settings: &ClientConfig, error: &KafkaError) -> Problem {
    let unreadable = login::FILES.iter().find_map(|name| {
        let path = settings.get(name)?;
        Some((name, path, File::open(path).err()?))
    });
    if let Some((name, path, why)) = unreadable {
        let cause = format!("the Kafka client cannot read {name}, {path}: {why}");
        return Problem::new(Code::Config, cause).advice("name a file that this user may read");
    }
    let words = error.to_string();
    let advice = words_of_login::settings_advice(&words);
    Problem::new(Code::Config, format!("the Kafka client refuses its settings: {words}"))
        .advice(advice)
}

/// The version of the client library.
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// An offset as the client takes it.
fn at(offset: Offset) -> rdkafka::Offset {
    rdkafka::Offset::Offset(offset.0)
}

/// Counts an error by its name.
fn count(error: &KafkaError) {
    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
    meter::count(meter::catalog::KAFKA_ERRORS, "code", &format!("{code:?}"));
}

/// The error in Kafka's own words.
pub fn reason(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), words)
}

/// A code in words, without its name in the library and whose it is: `Name (Broker: Words)`.
fn words(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    let inside = text.split_once(" (").and_then(|(_, rest)| rest.strip_suffix(')'));
    let inside = inside.unwrap_or(&text);
    let said = ["Local: ", "Broker: "].iter().find_map(|whose| inside.strip_prefix(whose));
    let said = said.unwrap_or(inside);
    let mut letters = said.chars();
    letters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default()
        + letters.as_str()
}

/// What an operator can do about a client error; what it means is in [`error_policy`].
pub fn advice(code: Option<RDKafkaErrorCode>) -> &'static str {
    code.map_or("", |code| error_policy::advice(&name(code)))
}

/// A code by the name that [`error_policy`] knows it by.
fn name(code: RDKafkaErrorCode) -> String {
    format!("{code:?}")
}

#[cfg(test)]
mod tests;
