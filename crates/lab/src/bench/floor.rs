//! The floor of the latency: two commits and one round trip to the broker, done by plain code with the client libraries
//! that makegood uses, and nothing else. No program that keeps the promise can be faster on the same machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::block_in_place;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::load::Payment;
use super::servers::{BenchServers, IDLE_TOPIC};
use super::{postgres, system};
use config::Kafka;
use kafka::{problem, settings};
use rules::problem::Problem;

/// How long one record may take through the broker.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(100);

/// One connection, one producer, and a thread that reads what was sent.
pub struct Floor {
    client: Client,
    passed: Statement,
    purchase: Statement,
    producer: BaseProducer,
    read: UnboundedReceiver<Uuid>,
    ended: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Floor {
    /// Connects to everything, and sends one record so that all is warm.
    pub async fn new(servers: &BenchServers) -> Result<Floor, Problem> {
        let client = servers.connect().await?;
        let table = "CREATE TABLE IF NOT EXISTS floor_passed (event uuid NOT NULL)";
        client.batch_execute(table).await.map_err(|e| postgres(&e))?;
        let prepared = async |sql| client.prepare(sql).await.map_err(|e| postgres(&e));
        let passed = prepared("INSERT INTO floor_passed VALUES ($1)").await?;
        let purchase = prepared(
            "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id) \
             VALUES ($1, $2, $3, $4::text::numeric, 'INR', $5)",
        )
        .await?;
        let kafka = servers.kafka();
        let mut settings = settings::producer(&kafka, "makegood-bench");
        settings.set("linger.ms", "0");
        let producer = settings.create().map_err(|e| problem(&e, "cannot make a producer"))?;
        let consumer = block_in_place(|| reader(&kafka))?;
        let (to_us, read) = unbounded_channel();
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        let reader = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Some(Ok(record)) = consumer.poll(GLANCE) else { continue };
                let id = record.payload().and_then(|value| Uuid::from_slice(value.get(..16)?).ok());
                if id.is_none_or(|id| to_us.send(id).is_err()) {
                    return;
                }
            }
        });
        Ok(Floor { client, passed, purchase, producer, read, ended, reader: Some(reader) })
    }

    /// One commit, one record through the broker, and the commit that makes the purchase.
    pub async fn pass(&mut self, payment: &Payment) -> Result<(), Problem> {
        self.client.execute(&self.passed, &[&payment.event]).await.map_err(|e| postgres(&e))?;
        let mut value = payment.event.as_bytes().to_vec();
        value.extend(payment.json().bytes());
        let key = payment.student.to_string();
        let record = BaseRecord::to(IDLE_TOPIC).partition(0).key(&key).payload(&value);
        self.producer.send(record).map_err(|(e, _)| problem(&e, "cannot send a record"))?;
        loop {
            match tokio::time::timeout(PATIENCE, self.read.recv()).await {
                Ok(Some(id)) if id == payment.event => break,
                Ok(Some(_)) => {}
                _ => return Err(system("a record did not come back from the broker")),
            }
        }
        // What was delivered is told to nobody, but must be taken from the client.
        self.producer.poll(Duration::ZERO);
        let amount = payment.amount();
        let Payment { id, student, course, event, .. } = payment;
        let made =
            self.client.execute(&self.purchase, &[id, student, course, &amount, event]).await;
        made.map(drop).map_err(|e| postgres(&e))
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.producer.flush(GLANCE);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A consumer of what is sent from now on.
fn reader(kafka: &Kafka) -> Result<BaseConsumer, Problem> {
    let failed = |error| problem(&error, "cannot read what was sent");
    let consumer: BaseConsumer =
        settings::member(kafka, "floor", "makegood-bench").create().map_err(failed)?;
    let (_, end) = consumer.fetch_watermarks(IDLE_TOPIC, 0, PATIENCE).map_err(failed)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(IDLE_TOPIC, 0, Offset::Offset(end)).map_err(failed)?;
    consumer.assign(&list).map_err(failed)?;
    Ok(consumer)
}
