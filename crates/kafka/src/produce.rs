//! A plain producer: one record, one answer. For send-test, the demo and the benchmark.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::complaint::{Asker, Complaint};
use super::settings;
use rules::ids::Offset;
use rules::problem::Problem;
use rules::record::Record;

/// A producer of one topic.
#[derive(Clone)]
pub struct Producer {
    client: FutureProducer<Asker>,
    topic: String,
    complaint: Arc<Complaint>,
}

impl Producer {
    /// Opens a producer; connects on first use.
    pub fn new(kafka: &config::Kafka, topic: &str) -> Result<Producer, Problem> {
        let context = Asker::default();
        let complaint = Arc::clone(&context.complaint);
        let settings = settings::producer(kafka, "makegood-producer");
        let client =
            settings.create_with_context(context).map_err(|e| super::unusable(&settings, &e))?;
        Ok(Producer { client, topic: topic.to_owned(), complaint })
    }

    /// Sends a record by its key (its `partition` and `offset` are not looked at) and returns where
    /// it landed: partition and offset.
    pub async fn send(&self, record: &Record, timeout: Duration) -> Result<(i32, Offset), Problem> {
        let sent = self.client.send(self.message(record), timeout).await;
        sent.map(|sent| (sent.partition, Offset(sent.offset))).map_err(|(e, _)| self.failed(&e))
    }

    /// Hands a record to the client at once, so that calls in order are records in order, and returns
    /// the wait for where it landed. Fails when the client's queue is full.
    pub fn hand_over(
        &self,
        record: &Record,
    ) -> Result<impl Future<Output = Result<(i32, Offset), Problem>> + use<>, Problem> {
        let wait =
            self.client.send_result(self.message(record)).map_err(|(e, _)| self.failed(&e))?;
        let producer = self.clone();
        Ok(async move {
            match wait.await {
                Ok(Ok(sent)) => Ok((sent.partition, Offset(sent.offset))),
                Ok(Err((e, _))) => Err(producer.failed(&e)),
                Err(_) => Err(producer.failed(&KafkaError::Canceled)),
            }
        })
    }

    fn message<'a>(&'a self, record: &'a Record) -> FutureRecord<'a, [u8], [u8]> {
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
        message
    }

    fn failed(&self, error: &KafkaError) -> Problem {
        let problem = super::problem(error, &format!("cannot send to topic {}", self.topic));
        self.complaint.explain(problem)
    }
}
