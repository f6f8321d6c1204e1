//! librdkafka's settings: what the operator gave, then what the promise needs.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::sender::Pace;
use super::{login, token};

/// How long the group waits for a member that stopped polling. Low, because a wedged client keeps
/// heartbeating and only this bounds how long its partitions stay with it.
pub const MAX_POLL_INTERVAL: Duration = Duration::from_secs(45);

/// How long the group waits for a member that was killed, and with it who comes in its place; librdkafka's own 45 s
/// are three times what a restart of a broker takes.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a member's thread may be kept from polling: so short that the group does not give it up.
pub fn longest_pause(kafka: &config::Kafka) -> Duration {
    let given = kafka.properties.get("max.poll.interval.ms").and_then(|text| text.parse().ok());
    let interval = given.map_or(MAX_POLL_INTERVAL, Duration::from_millis);
    (interval / 3).min(Duration::from_secs(10))
}

/// Settings every client shares.
pub fn base(kafka: &config::Kafka, client_id: &str) -> ClientConfig {
    chosen(ClientConfig::new(), kafka, client_id)
}

/// What the operator chose, over `defaults`. Always written from the configuration: what a `ClientConfig` shows of
/// itself has no secrets in it.
fn chosen(defaults: ClientConfig, kafka: &config::Kafka, client_id: &str) -> ClientConfig {
    let mut settings = defaults;
    settings.set("client.id", client_id);
    lay(&mut settings, &login::current(kafka));
    settings
}

/// What a configuration says.
pub(super) fn lay(settings: &mut ClientConfig, kafka: &config::Kafka) {
    for (name, value) in &kafka.properties {
        settings.set(name, value);
    }
    settings.set("bootstrap.servers", &kafka.bootstrap_servers);
    token::settle(settings, kafka);
    // Why a connection ended is no more than news to the client.
    settings.set_log_level(RDKafkaLogLevel::Info);
}

/// Settings of the group's member. What the operator may choose comes before what they may not.
pub fn member(kafka: &config::Kafka, group: &str, client_id: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    // Small buffers: what waits in memory is read again after a crash anyway.
    settings
        .set("queued.max.messages.kbytes", "8192")
        .set("queued.min.messages", "20000")
        .set("fetch.queue.backoff.ms", "50")
        .set("fetch.wait.max.ms", "100")
        // How soon a topic or partition made later is found: payments wait there unread until then,
        // which would be five minutes.
        .set("topic.metadata.refresh.interval.ms", "10000")
        // A broker that is back is found within a second; it would be ten.
        .set("reconnect.backoff.max.ms", "1000")
        // What one answer holds may be a hundred times that unpacked, and kafka/bounds.rs has room for so much.
        .set("fetch.max.bytes", "1048576")
        .set("partition.assignment.strategy", "range");
    let given = |name: &str| kafka.properties.get(name).and_then(|text| text.parse().ok());
    let session = given("session.timeout.ms").map_or(SESSION_TIMEOUT, Duration::from_millis);
    settings
        .set("session.timeout.ms", session.as_millis().to_string())
        // The others hear by a heartbeat's answer that somebody is missed.
        .set("heartbeat.interval.ms", (session / 5).as_millis().max(1).to_string());
    let mut settings = chosen(settings, kafka, client_id);
    settings
        .set("group.id", group)
        .set("group.protocol", "classic")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position always exists by the time of the first fetch; if the log does not have it, that
        // is for makegood to decide and to record, never for the client to skip.
        .set("auto.offset.reset", "error")
        // Where a log ends in what no consumer is given, the position stays below the end for good;
        // only the client can tell that there is nothing more to read.
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        // What is damaged must not be taken for what was sent: a batch that cannot be unpacked is gone past.
        .set("check.crcs", "true");
    if !kafka.properties.contains_key("max.poll.interval.ms") {
        settings.set("max.poll.interval.ms", MAX_POLL_INTERVAL.as_millis().to_string());
    }
    settings
}

/// Settings of the second handle, which looks but never joins.
pub fn onlooker(kafka: &config::Kafka, group: &str, client_id: &str) -> ClientConfig {
    let mut settings = member(kafka, group, client_id);
    settings
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "1024")
        // It wants a record or two of each partition, and asks again at once where one could not be read.
        .set("fetch.message.max.bytes", "65536")
        .set("fetch.error.backoff.ms", "20")
        .set("enable.partition.eof", "true");
    settings
}

/// Settings of a producer that loses and reorders nothing.
pub fn producer(kafka: &config::Kafka, client_id: &str) -> ClientConfig {
    let mut settings = base(kafka, client_id);
    settings
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // As Java and kafkajs do, so that a key stays on its partition whoever sends.
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5");
    settings
}

/// Settings of the relay's producer. What the operator may choose comes before what they may not.
pub fn relay(kafka: &config::Kafka, client_id: &str, pace: Pace) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        // Larger batches were no faster (100,000 messages of 700 bytes in two runs: 36,000 and 56,000 a
        // second in batches of 16 kB, 121,000 and 188,000 of 64 kB, 142,000 and 202,000 of 128 kB,
        // 108,000 and 74,000 of 1 MB), and one that is larger than the topic's max.message.bytes is
        // refused although each of its messages would be taken.
        .set("batch.size", "131072")
        // How long a topic may be unknown before its messages are refused: long enough for a new one
        // to be known to all brokers, short enough for a person to hear that it is missing.
        .set("topic.metadata.propagation.max.ms", "5000")
        // A broker that is back is found within a second; it would be ten.
        .set("reconnect.backoff.max.ms", "1000")
        // A misspelt topic is to be heard of, not made.
        .set("allow.auto.create.topics", "false");
    let lingers = ["linger.ms", "queue.buffering.max.ms"];
    if !lingers.iter().any(|name| kafka.properties.contains_key(*name)) {
        // A lone message leaves at once (0.4 ms to its acknowledgement instead of 1.5). Under load
        // batches fill all the same, while the one before them is on its way.
        settings.set("linger.ms", "0");
    }
    let mut settings = chosen(settings, kafka, client_id);
    let gapless = if pace == Pace::Pipelined { "true" } else { "false" };
    settings
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        // A message waits for as long as the broker is away. One that timed out would leave a gap,
        // and later ones of its key would pass it.
        .set("message.timeout.ms", "0")
        // Without it the messages behind a refused batch are delivered, and those that were refused
        // for a neighbour's sake come after later ones of their key. Alone, there is nothing behind.
        .set("enable.gapless.guarantee", gapless);
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_client_gets_the_secrets_as_they_were_given() {
        let secrets = ["sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem"];
        let given = |name: &&str| ((*name).to_owned(), format!("secret of {name}"));
        let properties: BTreeMap<_, _> = secrets.iter().map(given).collect();
        let kafka = config::Kafka {
            bootstrap_servers: "broker:9092".to_owned(),
            properties,
            token_command: config::Program::default(),
            msk_region: None,
        };
        for settings in [
            base(&kafka, "c"),
            member(&kafka, "g", "c"),
            onlooker(&kafka, "g", "c"),
            producer(&kafka, "c"),
            relay(&kafka, "c", Pace::Pipelined),
        ] {
            for (name, value) in &kafka.properties {
                assert_eq!(settings.get(name), Some(value.as_str()));
            }
        }
    }
}
