//! A plain producer: one record, one answer. For send-test, the demo and the benchmark.

use std::time::Duration;

use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::settings;
use crate::config;
use crate::pure::problem::{Code, Problem};
use crate::pure::record::Record;

/// A producer of one topic.
#[derive(Clone)]
pub struct Producer {
    client: FutureProducer,
    topic: String,
}

impl Producer {
    /// Opens a producer; connects on first use.
    pub fn new(kafka: &config::Kafka, topic: &str) -> Result<Producer, Problem> {
        let client = settings::producer(kafka, "makegood-producer").create().map_err(|e| {
            Problem::new(Code::Config, format!("the Kafka client refuses its settings: {e}"))
        })?;
        Ok(Producer { client, topic: topic.to_owned() })
    }

    /// Sends a record by its key (its `partition` and `offset` are not looked at) and returns where
    /// it landed: partition and offset.
    pub async fn send(&self, record: &Record, timeout: Duration) -> Result<(i32, i64), Problem> {
        let mut headers = OwnedHeaders::new();
        for header in &record.headers {
            headers = headers.insert(rdkafka::message::Header {
                key: &String::from_utf8_lossy(&header.name),
                value: header.value.as_deref(),
            });
        }
        let mut message: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(&self.topic).headers(headers);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.timestamp = record.timestamp_ms;
        self.client
            .send(message, timeout)
            .await
            .map(|sent| (sent.partition, sent.offset))
            .map_err(|(e, _)| super::problem(&e, &format!("cannot send to topic {}", self.topic)))
    }
}
