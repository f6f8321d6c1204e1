//! The events of the measurement: made from their number, so that nobody has to keep them.

use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use config::Kafka;
use kafka::{problem, settings};
use rules::problem::Problem;

/// The size of an event's value in bytes.
pub const EVENT_BYTES: usize = 480;
/// When this bench began, in seconds since 1970; the payments were made in the hour before.
static STARTED: LazyLock<i64> = LazyLock::new(|| Timestamp::now().as_second());
/// Within how many seconds before the start the payments were made.
const PAID_WITHIN: i64 = 3600;
/// How long the broker may take to answer for what was sent.
const FLUSH: Duration = Duration::from_secs(120);

/// One payment that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The payment's id.
    pub id: Uuid,
    /// Who paid.
    pub student: Uuid,
    /// For what.
    pub course: Uuid,
    /// The id of the event that tells of it.
    pub event: Uuid,
    /// How much, in hundredths; at most 9999.99.
    pub cents: u32,
    /// When, in seconds since 1970.
    pub paid_at: i64,
}

impl Payment {
    /// The payment of that number, always the same one; ids are random, as payment services make them.
    pub fn numbered(number: usize) -> Payment {
        let mut random = fastrand::Rng::with_seed(number as u64);
        let mut id = || uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid();
        Payment {
            id: id(),
            student: id(),
            course: id(),
            event: id(),
            cents: 100 + (number as u64 * 7919 % 999_900) as u32,
            paid_at: *STARTED - number as i64 % PAID_WITHIN,
        }
    }

    /// How much, as money is written.
    pub fn amount(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }

    /// Its event in the topic's shape, with a field that the mapping does not read to fill it up to
    /// [`EVENT_BYTES`].
    pub fn json(&self) -> String {
        let at = Timestamp::from_second(self.paid_at).unwrap_or_default();
        let mut text = format!(
            r#"{{"eventId":"{}","eventType":"PURCHASE_CONFIRMED","occurredAt":"{at}","data":{{"paymentId":"{}","studentId":"{}","courseId":"{}","amount":"{}.{:02}","currency":"INR","receipt":""#,
            self.event,
            self.id,
            self.student,
            self.course,
            self.cents / 100,
            self.cents % 100
        );
        const END: &str = r#""}}"#;
        let digits = self.id.simple().to_string();
        let missing = EVENT_BYTES.saturating_sub(text.len() + END.len());
        text.extend(digits.chars().cycle().take(missing));
        text + END
    }
}

/// Sends the events of the payments of those numbers, keyed by student, in batches. Blocks until the
/// broker has them all.
pub fn produce(kafka: &Kafka, topic: &str, numbers: Range<usize>) -> Result<(), Problem> {
    let mut settings = settings::producer(kafka, "makegood-bench");
    settings.set("linger.ms", "50").set("queue.buffering.max.kbytes", "65536");
    let failed = |error: &KafkaError| problem(error, "cannot send the events");
    let producer: BaseProducer = settings.create().map_err(|e| failed(&e))?;
    for number in numbers {
        let payment = Payment::numbered(number);
        let (key, value) = (payment.student.to_string(), payment.json());
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        while let Err((error, unsent)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(failed(&error));
            }
            producer.poll(Duration::from_millis(20));
            record = unsent;
        }
    }
    producer.flush(FLUSH).map_err(|e| failed(&e))
}

/// Sets a group that nobody is in back to the beginning of the topic. Blocks.
pub fn rewind(kafka: &Kafka, topic: &str, group: &str, partitions: usize) -> Result<(), Problem> {
    let failed = |error: &KafkaError| problem(error, "cannot rewind the group");
    let consumer: BaseConsumer =
        settings::member(kafka, group, "makegood-bench").create().map_err(|e| failed(&e))?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::Offset(0))
            .map_err(|e| failed(&e))?;
    }
    consumer.commit(&list, CommitMode::Sync).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_size_and_a_payment_of_its_own() {
        let (one, same, other) = (Payment::numbered(7), Payment::numbered(7), Payment::numbered(8));
        assert_eq!(one, same);
        assert!(one.id != other.id && one.event != other.event && one.cents != other.cents);
        for payment in [one, other] {
            let json = payment.json();
            assert_eq!(json.len(), EVENT_BYTES, "{json}");
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }
}
