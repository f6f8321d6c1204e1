//! A second client handle that looks at the topic and the group without joining it. It is apart from
//! the consumer because that one may be the part that is wedged. Every call blocks for at most the
//! time-out it is given (call from `spawn_blocking`).

mod ends;
mod group;
mod handle;
mod packed;
mod range;
mod read;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::{ClientConfig, TopicPartitionList};
use uuid::Uuid;

use handle::{Handle, Question};
pub use range::PartitionReader;
pub(super) use read::record;

use super::{raw, settings};
use rules::checkup::topic::Topic;
use rules::ids::Offset;
use rules::offsets;
use rules::problem::{Code, Problem};

const METADATA: &str = "cannot read the topic's metadata";

/// The log of one partition: its first offset and the one the next record will get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset still in the log.
    pub low: Offset,
    /// One past the last offset.
    pub high: Offset,
}

impl Watermarks {
    /// Where the next record to read would be for a consumer at `next`; `None` at the log's end.
    pub fn ahead_of(self, next: Offset) -> Option<Offset> {
        offsets::first_waiting(next, self.low, self.high)
    }

    /// How many offsets wait for a consumer at `next`, none where nothing is there that it would be given.
    pub fn lag(self, next: Offset, is_all_read: bool) -> i64 {
        offsets::lag(next, self.low, self.high, is_all_read)
    }
}

/// What was asked of each of some partitions. One that gives no answer leaves the others theirs.
#[derive(Clone, Debug)]
pub struct PerPartition<T> {
    /// The answers.
    pub records: BTreeMap<i32, T>,
    /// The partitions without one, and why.
    pub failed: BTreeMap<i32, Problem>,
}

impl<T> Default for PerPartition<T> {
    fn default() -> PerPartition<T> {
        PerPartition { records: BTreeMap::new(), failed: BTreeMap::new() }
    }
}

impl<T> PerPartition<T> {
    /// The answers, or an error where a partition has given none.
    pub fn heard(self) -> Result<BTreeMap<i32, T>, Problem> {
        match self.failed.into_values().next() {
            Some(problem) => Err(problem),
            None => Ok(self.records),
        }
    }
}

/// The handle.
pub struct Probe {
    handle: Handle,
    topic: String,
    group: String,
    timeout: Duration,
}

impl Probe {
    /// Opens a handle on one topic and group; connects on first use.
    pub fn new(kafka: &config::Kafka, topic: &str, group: &str) -> Result<Probe, Problem> {
        Probe::open(kafka, topic, group, |kafka, group| {
            settings::onlooker(kafka, group, "makegood-probe")
        })
    }

    /// Opens a handle to which a log's end is behind the open transactions too.
    pub fn of_uncommitted(
        kafka: &config::Kafka,
        topic: &str,
        group: &str,
    ) -> Result<Probe, Problem> {
        Probe::open(kafka, topic, group, |kafka, group| {
            let mut settings = settings::onlooker(kafka, group, "makegood-watchdog");
            settings.set("isolation.level", "read_uncommitted");
            settings
        })
    }

    fn open(
        kafka: &config::Kafka,
        topic: &str,
        group: &str,
        settings: fn(&config::Kafka, &str) -> ClientConfig,
    ) -> Result<Probe, Problem> {
        let (kafka, member_of) = (kafka.clone(), group.to_owned());
        Ok(Probe {
            handle: Handle::open(move || settings(&kafka, &member_of))?,
            topic: topic.to_owned(),
            group: group.to_owned(),
            timeout: Duration::from_secs(5),
        })
    }

    /// Goes on with a new client: the topic is another one, and the old client may still believe in what it
    /// knew of the one before.
    pub fn renew(&self) {
        self.handle.renew();
    }

    /// The same handle with another bound on each question than five seconds.
    pub fn within(mut self, timeout: Duration) -> Probe {
        self.timeout = timeout;
        self
    }

    /// The topic's id. Where the broker has none, one is derived from the name, so that positions
    /// have a key; the anchor record then tells a topic that was made anew.
    pub fn topic_id(&self) -> Result<Uuid, Problem> {
        let derived =
            || Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("kafka-topic:{}", self.topic).as_bytes());
        // Any broker can describe a topic; the one that has just answered is up. Asking the controller, as the client
        // would by itself, waits in vain where none is named, as in librdkafka's own broker.
        let metadata = self.metadata("cannot read the list of brokers")?;
        let first = metadata.brokers().first().map_or(-1, |broker| broker.id());
        let broker = Some(metadata.orig_broker_id()).filter(|id| *id >= 0).unwrap_or(first);
        self.handle.ask(Question::TopicId, |client| {
            match raw::topic_id(client.client(), &self.topic, broker, self.timeout) {
                Ok(id) => Ok(id.unwrap_or_else(derived)),
                Err(RDKafkaErrorCode::UnsupportedFeature) => Ok(derived()),
                Err(code) => {
                    Err(Problem::new(Code::Kafka, format!("cannot read the topic's id: {code}"))
                        .advice(super::advice(Some(code))))
                }
            }
        })
    }

    /// The topic's partitions; empty when it does not exist.
    pub fn partitions(&self) -> Result<Vec<i32>, Problem> {
        let metadata = self.metadata(METADATA)?;
        let topic = self.topic_in(&metadata)?;
        Ok(topic.map(|t| t.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default())
    }

    /// The topic's replicas, as the brokers know them; no partitions when it does not exist. Its settings
    /// are read apart, see [`describe::settings`](super::topic_config::settings).
    pub fn topic(&self) -> Result<Topic, Problem> {
        let metadata = self.metadata(METADATA)?;
        let partitions = self.topic_in(&metadata)?.map(|t| t.partitions()).unwrap_or_default();
        Ok(Topic {
            partitions: partitions.len(),
            replicas: partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0),
            in_sync: partitions.iter().map(|p| p.isr().len()).min().unwrap_or(0),
            settings: BTreeMap::new(),
        })
    }

    fn metadata(&self, doing: &str) -> Result<Metadata, Problem> {
        self.handle.ask(Question::Metadata, |client| {
            client
                .fetch_metadata(Some(&self.topic), self.timeout)
                .map_err(|e| super::problem(&e, doing))
        })
    }

    /// The topic, or nothing where Kafka says that it does not exist. Whatever else it says is no answer.
    fn topic_in<'m>(&self, metadata: &'m Metadata) -> Result<Option<&'m MetadataTopic>, Problem> {
        let topic = metadata.topics().iter().find(|t| t.name() == self.topic);
        let code = topic.and_then(|t| t.error()).map(RDKafkaErrorCode::from);
        match code {
            None => Ok(topic),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(None)
            }
            Some(code) => Err(Problem::new(Code::Kafka, format!("{METADATA}: {code}"))
                .advice(super::advice(Some(code)))),
        }
    }

    fn list(&self, entries: impl Iterator<Item = (i32, rdkafka::Offset)>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in entries {
            // Only a negative number that is no logical offset is refused; then the partition's entry
            // stays without an offset, and the broker's answer is absent for it.
            let _ = list.add_partition_offset(&self.topic, partition, offset);
        }
        list
    }
}
