//! A second client handle that looks at the topic and the group without joining it. It is apart from
//! the consumer because that one may be the part that is wedged. Every call blocks for at most the
//! time-out it is given (call from `spawn_blocking`).

mod group;
mod range;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, Timestamp};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

pub use group::{Group, Member};
pub use range::Reader;

use super::{raw, settings};
use crate::config;
use crate::pure::checkup::topic::Topic;
use crate::pure::problem::{Code, Problem};
use crate::pure::record::Record;
use crate::pure::verdict::kafka::{Verdict, verdict};

const READ_BACK: &str = "cannot read back the last record";

/// The log of one partition: its first offset and the one the next record will get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset still in the log.
    pub low: i64,
    /// One past the last offset.
    pub high: i64,
}

impl Watermarks {
    /// Where the next record to read would be for a consumer at `next`; `None` at the log's end.
    pub fn ahead_of(self, next: i64) -> Option<i64> {
        Some(next.max(self.low)).filter(|first| *first < self.high)
    }
}

/// What some offsets were answered with, by partition.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// The answers.
    pub records: BTreeMap<i32, T>,
    /// Why nothing is known of some of the offsets: nobody answered for them.
    pub silence: Option<Problem>,
}

impl<T> Found<T> {
    /// The answers, or an error where a partition has given none.
    pub fn heard(self) -> Result<BTreeMap<i32, T>, Problem> {
        match self.silence {
            Some(problem) => Err(problem),
            None => Ok(self.records),
        }
    }
}

/// The handle.
pub struct Probe {
    consumer: BaseConsumer,
    topic: String,
    group: String,
    timeout: Duration,
    /// Held while records are read: the handle has one assignment, and two readers would take each other's.
    reading: Mutex<()>,
}

impl Probe {
    /// Opens a handle on one topic and group; connects on first use.
    pub fn new(kafka: &config::Kafka, topic: &str, group: &str) -> Result<Probe, Problem> {
        Probe::open(&settings::onlooker(kafka, group, "makegood-probe"), topic, group)
    }

    /// Opens a handle to which a log's end is behind the open transactions too.
    pub fn of_uncommitted(
        kafka: &config::Kafka,
        topic: &str,
        group: &str,
    ) -> Result<Probe, Problem> {
        let mut settings = settings::onlooker(kafka, group, "makegood-watchdog");
        settings.set("isolation.level", "read_uncommitted");
        Probe::open(&settings, topic, group)
    }

    fn open(settings: &ClientConfig, topic: &str, group: &str) -> Result<Probe, Problem> {
        let consumer = settings.create().map_err(|e| {
            Problem::new(Code::Config, format!("the Kafka client refuses its settings: {e}"))
        })?;
        Ok(Probe {
            consumer,
            topic: topic.to_owned(),
            group: group.to_owned(),
            timeout: Duration::from_secs(5),
            reading: Mutex::new(()),
        })
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
        let broker = self.any_broker()?;
        match raw::topic_id(self.consumer.client(), &self.topic, broker, self.timeout) {
            Ok(id) => Ok(id.unwrap_or_else(derived)),
            Err(RDKafkaErrorCode::UnsupportedFeature) => Ok(derived()),
            Err(code) => {
                Err(Problem::new(Code::Kafka, format!("cannot read the topic's id: {code}"))
                    .hint(super::advice(Some(code))))
            }
        }
    }

    /// The topic's partitions; empty when it does not exist.
    pub fn partitions(&self) -> Result<Vec<i32>, Problem> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), self.timeout)
            .map_err(|e| super::problem(&e, "cannot read the topic's metadata"))?;
        let topic = metadata.topics().iter().find(|t| t.name() == self.topic);
        Ok(topic.map(|t| t.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default())
    }

    /// The topic's replicas, as the brokers know them; no partitions when it does not exist. Its settings
    /// are read apart, see [`describe::settings`](super::describe::settings).
    pub fn topic(&self) -> Result<Topic, Problem> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), self.timeout)
            .map_err(|e| super::problem(&e, "cannot read the topic's metadata"))?;
        let topic = metadata.topics().iter().find(|t| t.name() == self.topic);
        let partitions = topic.map(|t| t.partitions()).unwrap_or_default();
        Ok(Topic {
            partitions: partitions.len(),
            replicas: partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0),
            in_sync: partitions.iter().map(|p| p.isr().len()).min().unwrap_or(0),
            settings: BTreeMap::new(),
        })
    }

    /// A broker that is up. Each can describe a topic; asking the controller, as the client would by
    /// itself, waits in vain where none is named, as in librdkafka's own broker.
    fn any_broker(&self) -> Result<i32, Problem> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), self.timeout)
            .map_err(|e| super::problem(&e, "cannot read the list of brokers"))?;
        Ok(metadata.brokers().first().map_or(-1, |broker| broker.id()))
    }

    /// Where the partition's log begins, and where what may be read of it ends now: with open
    /// transactions that is where the oldest of them begins.
    pub fn watermarks(&self, partition: i32) -> Result<Watermarks, Problem> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(&self.topic, partition, self.timeout)
            .map_err(|e| super::problem(&e, "cannot read the log's ends"))?;
        Ok(Watermarks { low, high })
    }

    /// What the group has committed, for those partitions that have a commit.
    pub fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, Problem> {
        let list = self.list(partitions.iter().map(|p| (*p, Offset::Invalid)));
        let answer = self
            .consumer
            .committed_offsets(list, self.timeout)
            .map_err(|e| super::problem(&e, "cannot read the group's offsets"))?;
        Ok(offsets(&answer))
    }

    /// For each partition the first offset at or after a time; absent when all records are older.
    pub fn at_time(&self, partitions: &[i32], millis: i64) -> Result<BTreeMap<i32, i64>, Problem> {
        let list = self.list(partitions.iter().map(|p| (*p, Offset::Offset(millis))));
        let answer = self
            .consumer
            .offsets_for_times(list, self.timeout)
            .map_err(|e| super::problem(&e, "cannot find the offsets of a time"))?;
        Ok(offsets(&answer))
    }

    /// Reads the record at each given offset; asks for at most the time-out. An offset without a record was
    /// compacted away, or belongs to nothing that anybody is given.
    pub fn records_at(&self, wanted: &BTreeMap<i32, i64>) -> Result<Found<Record>, Problem> {
        let Found { records, silence } = self.first_from(wanted)?;
        let there =
            records.into_iter().filter_map(|(partition, record)| Some((partition, record?)));
        let is_asked = |(partition, record): &(i32, Record)| wanted[partition] == record.offset;
        Ok(Found { records: there.filter(is_asked).collect(), silence })
    }

    /// Reads the first record at or after each given offset; asks for at most the time-out. `None` says that
    /// there is none up to the end of what may be read: only what no consumer is given, such as the marks of
    /// transactions and records that were aborted. Waits while another thread reads through this handle.
    pub fn first_from(
        &self,
        wanted: &BTreeMap<i32, i64>,
    ) -> Result<Found<Option<Record>>, Problem> {
        let mut found = Found { records: BTreeMap::new(), silence: None };
        if wanted.is_empty() {
            return Ok(found);
        }
        let _turn = self.turn();
        let list = self.list(wanted.iter().map(|(p, o)| (*p, Offset::Offset(*o))));
        self.consumer.assign(&list).map_err(|e| super::problem(&e, READ_BACK))?;
        let deadline = Instant::now() + self.timeout;
        // Those still to be heard of, and those whose end may lie behind a record that could not be read.
        let (mut open, mut unsure) = (wanted.clone(), BTreeMap::new());
        let mut trouble = None;
        while !open.is_empty() && Instant::now() < deadline {
            let Some(answer) = self.consumer.poll(Duration::from_millis(50)) else { continue };
            let (partition, first) = match answer {
                Ok(message) => (message.partition(), Some(record(&message))),
                Err(KafkaError::PartitionEOF(partition)) => (partition, None),
                // It does not say which partition it is about. The first one that does not pass is the
                // cause, the later ones are its consequences.
                Err(error) => {
                    trouble = trouble.filter(|t| !passes(t)).or(Some(error));
                    continue;
                }
            };
            let Some(offset) = open.remove(&partition) else { continue };
            if first.is_none() && trouble.is_some() {
                unsure.insert(partition, offset);
            } else {
                found.records.insert(partition, first);
            }
        }
        let _ = self.consumer.unassign();
        unsure.append(&mut open);
        found.silence = silence(&unsure, trouble.as_ref());
        Ok(found)
    }

    /// Reads at most `limit` records: those of each partition from an offset on, up to another. Ends early
    /// when a partition says nothing for the time-out. Waits while another thread reads through this handle.
    pub fn records_between(
        &self,
        ranges: &BTreeMap<i32, (i64, i64)>,
        limit: usize,
    ) -> Result<Vec<Record>, Problem> {
        let doing = "cannot read the waiting records";
        let mut open: BTreeMap<i32, i64> = (ranges.iter())
            .filter(|(_, (from, to))| from < to)
            .map(|(partition, (_, to))| (*partition, *to))
            .collect();
        let mut found = Vec::new();
        if open.is_empty() {
            return Ok(found);
        }
        let _turn = self.turn();
        let from = |partition: &i32| ranges.get(partition).map_or(0, |range| range.0);
        let list = self.list(open.keys().map(|p| (*p, Offset::Offset(from(p)))));
        self.consumer.assign(&list).map_err(|e| super::problem(&e, doing))?;
        let mut heard = Instant::now();
        while !open.is_empty() && found.len() < limit && heard.elapsed() < self.timeout {
            let partition = match self.consumer.poll(Duration::from_millis(50)) {
                None => continue,
                Some(Ok(message)) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    let end = open.get(&partition).copied().unwrap_or(offset);
                    if offset < end {
                        found.push(record(&message));
                    }
                    if offset + 1 < end {
                        heard = Instant::now();
                        continue;
                    }
                    partition
                }
                // The last offsets may be a transaction's marks, which are no records.
                Some(Err(KafkaError::PartitionEOF(partition))) => partition,
                Some(Err(e)) => {
                    let _ = self.consumer.unassign();
                    return Err(super::problem(&e, doing));
                }
            };
            open.remove(&partition);
            heard = Instant::now();
        }
        let _ = self.consumer.unassign();
        found.sort_by_key(|r| (r.partition, r.offset));
        Ok(found)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // There is nothing in it that a panic could have spoilt.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, entries: impl Iterator<Item = (i32, Offset)>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in entries {
            // Only a negative number that is no logical offset is refused; then the partition's entry
            // stays without an offset, and the broker's answer is absent for it.
            let _ = list.add_partition_offset(&self.topic, partition, offset);
        }
        list
    }
}

fn passes(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code().map(super::name).unwrap_or_default();
    verdict(&code) == Verdict::Retry
}

/// What is wrong where the records of `open` were asked for and nobody answered.
fn silence(open: &BTreeMap<i32, i64>, trouble: Option<&KafkaError>) -> Option<Problem> {
    if open.is_empty() {
        return None;
    }
    let list: Vec<String> = open.keys().map(ToString::to_string).collect();
    let doing = format!("{READ_BACK} of partition {}", list.join(", "));
    Some(match trouble {
        Some(error) => super::problem(error, &doing),
        None => Problem::new(Code::KafkaUnreachable, format!("{doing}: no answer"))
            .hint("look at the broker that leads it"),
    })
}

fn offsets(list: &TopicPartitionList) -> BTreeMap<i32, i64> {
    list.elements()
        .iter()
        .filter_map(|e| match e.offset() {
            Offset::Offset(offset) => Some((e.partition(), offset)),
            _ => None,
        })
        .collect()
}

/// Copies a message out of the client's buffers.
pub(super) fn record(message: &rdkafka::message::BorrowedMessage<'_>) -> Record {
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) if millis >= 0 => {
                Some(millis)
            }
            _ => None,
        },
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: raw::headers(message),
    }
}
