//! Whether the Kafka client takes the properties that it is given, by its own word: nothing here lists what there is.
//! Nothing is connected to.

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

use super::sender::Pace;
use super::{settings, unusable};
use config::{self, redact};
use rules::problem::Problem;

/// The properties that the client refuses by themselves, each with its reason.
pub fn refused(kafka: &config::Kafka) -> Vec<(String, String)> {
    let given = settings::base(kafka, "makegood-check");
    let mut refused = Vec::new();
    for (name, value) in &kafka.properties {
        // What makegood reads in the client's place does not get there.
        if given.get(name) != Some(value) {
            continue;
        }
        let mut alone = ClientConfig::new();
        match alone.set(name, value).create_native_config() {
            Err(error) => refused.push((name.clone(), reason(&error, name, value))),
            Ok(taken) => {
                let read = taken.get(name).unwrap_or_default();
                if is_cut_short(value, &read) {
                    refused.push((name.clone(), format!("it would be read as {read}")));
                }
            }
        }
    }
    refused
}

/// Makes the clients that the daemon would make, and throws them away: what is refused are properties that do not go
/// together, and files that cannot be read.
pub fn try_together(kafka: &config::Kafka) -> Result<(), Problem> {
    // A client that knows no broker connects to none.
    let alone = |mut settings: ClientConfig| {
        settings.remove("bootstrap.servers");
        settings
    };
    let member = alone(settings::member(kafka, "makegood-check", "makegood-check"));
    let made: Result<BaseConsumer, _> = member.create();
    made.map_err(|error| unusable(&member, &error))?;
    let relay = alone(settings::relay(kafka, "makegood-check", Pace::Pipelined));
    let made: Result<BaseProducer, _> = relay.create();
    made.map_err(|error| unusable(&relay, &error)).map(drop)
}

/// Whether a number was written that is another one to the client: of `10s` or `10.5` it takes the 10 and says nothing.
fn is_cut_short(given: &str, read: &str) -> bool {
    let given = given.trim();
    let hex = given.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
    let written = hex.map(|number| number as f64).or_else(|| given.parse().ok());
    let begins_with_one =
        given.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit());
    match (read.parse::<f64>(), written) {
        // Six digits of a fraction are shown.
        (Ok(read), Some(written)) => (read - written).abs() > written.abs() * 1e-4,
        (Ok(_), None) => begins_with_one,
        (Err(_), _) => false,
    }
}

/// In the client's words, without a value that may be a secret.
fn reason(error: &KafkaError, name: &str, value: &str) -> String {
    let said = match error {
        KafkaError::ClientConfig(_, description, ..) => description.clone(),
        other => other.to_string(),
    };
    let shown = redact::property(name, value);
    if value.is_empty() { said } else { said.replace(value, &shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_cut_short_only_if_the_client_reads_another_one() {
        for (given, read) in [
            ("10", "10"),
            (" 5 ", "5"),
            ("0x10", "16"),
            ("-1", "-1"),
            ("all", "-1"),
            ("1", "true"),
            ("0.5", "0.5"),
            ("1234.56789", "1234.57"),
            ("0", "0"),
            ("1.2.3.4", "1.2.3.4"),
        ] {
            assert!(!is_cut_short(given, read), "{given} {read}");
        }
        for (given, read) in [
            ("10s", "10"),
            ("10.5", "10"),
            ("1e3", "1"),
            ("010", "8"),
            ("-1x", "-1"),
            ("0.5.1", "0.5"),
        ] {
            assert!(is_cut_short(given, read), "{given} {read}");
        }
    }
}
