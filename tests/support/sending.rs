//! A sender under test, and what reached the topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use makegood::config;
use makegood::kafka::sender::{Delivered, HandOver, Outgoing, Pace, Sender};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rules::produce_error::ProduceError;
use tokio::sync::mpsc;

/// Longer than anything here takes; only a failure waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A sender and its reports.
pub struct Sending {
    pub sender: Sender,
    reports: mpsc::UnboundedReceiver<Delivered>,
}

impl Sending {
    /// A sender to a broker, with properties as an operator would set them.
    pub fn start(bootstrap: &str, pace: Pace, properties: &[(&str, &str)]) -> Sending {
        let kafka = config::Kafka {
            bootstrap_servers: bootstrap.to_owned(),
            properties: properties.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            token_command: config::Program::default(),
            msk_region: None,
        };
        let (out, reports) = mpsc::unbounded_channel();
        Sending { sender: Sender::new(&kafka, pace, out).unwrap(), reports }
    }

    /// Hands over a message without headers.
    pub fn hand(&self, token: u64, topic: &str, key: &str, value: &str) -> Result<(), HandOver> {
        let (key, value) = (Some(key.as_bytes()), value.as_bytes());
        self.sender.hand_over(token, &Outgoing { topic, key, value, headers: &[] })
    }

    /// The next report.
    pub async fn report(&mut self) -> Delivered {
        let next = tokio::time::timeout(PATIENCE, self.reports.recv()).await;
        next.expect("a report in time").expect("the sender lives")
    }

    /// A report that is there already.
    pub fn ready(&mut self) -> Option<Delivered> {
        self.reports.try_recv().ok()
    }

    /// The next `count` reports by token; each token may have one only.
    pub async fn settle(&mut self, count: usize) -> BTreeMap<u64, Result<(), ProduceError>> {
        let mut settled = BTreeMap::new();
        for _ in 0..count {
            let Delivered { token, outcome } = self.report().await;
            assert!(settled.insert(token, outcome).is_none(), "two reports for {token}");
        }
        settled
    }

    /// Hands over one message, which must be taken, and returns what became of it.
    pub async fn send(&mut self, topic: &str, key: &str, value: &str) -> Result<(), ProduceError> {
        self.hand(7, topic, key, value).unwrap();
        self.report().await.outcome
    }

    /// Closes the sender and returns the reports that had not been asked for.
    pub async fn close(mut self) -> Vec<Delivered> {
        self.sender.close(PATIENCE).await;
        let mut left = Vec::new();
        while let Some(report) = self.reports.recv().await {
            left.push(report);
        }
        left
    }
}

/// Makes a topic, and waits until it can be written.
pub async fn make_topic(bootstrap: &str, name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let client = ClientConfig::new().set("bootstrap.servers", bootstrap).clone();
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    for outcome in admin.create_topics([&topic], &AdminOptions::new()).await.unwrap() {
        outcome.unwrap();
    }
    super::eventually("the topic's partitions to have leaders", || async {
        let onlooker: BaseConsumer = client.create().ok()?;
        let led = |p| onlooker.fetch_watermarks(name, p, Duration::from_secs(5)).is_ok();
        (0..partitions).all(led).then_some(())
    })
    .await;
}

/// All records of a topic, each partition's in order.
pub fn read_back(bootstrap: &str, topic: &str, partitions: i32) -> Vec<OwnedMessage> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap).set("group.id", "judge");
    let consumer: BaseConsumer = client.set("enable.partition.eof", "true").create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut found, mut open) = (Vec::new(), partitions);
    let deadline = Instant::now() + PATIENCE;
    while open > 0 {
        assert!(Instant::now() < deadline, "the topic could not be read to its end");
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => found.push(message.detach()),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            _ => {}
        }
    }
    found
}

/// The numbers that the records' values begin with, in order of their first occurrence, by key. No
/// two partitions may have a key.
pub fn first_occurrences(records: &[OwnedMessage]) -> BTreeMap<String, Vec<u64>> {
    let mut places: BTreeMap<String, i32> = BTreeMap::new();
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in records {
        let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
        let value = std::str::from_utf8(record.payload().unwrap()).unwrap();
        let number = value.split(' ').next().unwrap().parse().unwrap();
        let place = *places.entry(key.clone()).or_insert(record.partition());
        assert_eq!(place, record.partition(), "key {key} is in two partitions");
        let numbers = found.entry(key).or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    found
}
