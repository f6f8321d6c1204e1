//! A fresh look at Kafka itself, because the database only knows what a daemon saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::connections::TopicProbe;
use crate::kafka::probe::{PerPartition, Probe, Watermarks};
use rules::ids::Offset;
use rules::problem::{Code, Problem};

/// What Kafka says of one topic.
#[derive(Clone, Debug, Default)]
pub struct TopicSnapshot {
    /// The topic's id; `None` when the topic does not exist or the broker gives no ids.
    pub topic_id: Option<Uuid>,
    /// Where each partition's log begins and ends; empty when the topic does not exist.
    pub ends: BTreeMap<i32, Watermarks>,
    /// The partitions of which Kafka did not tell, and why.
    pub silent: BTreeMap<i32, Problem>,
    /// When the next record to read was written, for those partitions where one waits.
    pub waiting_since: BTreeMap<i32, Timestamp>,
    /// The partitions whose log goes on behind the position, with nothing that a consumer is given.
    pub all_read: BTreeSet<i32>,
}

/// Looks at a topic, within `patience` even if each of many partitions takes its time. `next` is the next
/// offset to read of each partition of the topic id given.
pub(super) async fn look(
    eye: Arc<Mutex<TopicProbe>>,
    next: BTreeMap<i32, Offset>,
    of: Option<Uuid>,
    patience: Duration,
) -> Result<TopicSnapshot, Problem> {
    let silent = move || {
        let cause = format!("Kafka has not answered within {} s", patience.as_secs());
        Problem::new(Code::KafkaUnreachable, cause)
    };
    let task = tokio::task::spawn_blocking(move || match eye.try_lock() {
        Ok(mut eye) => ask(eye.probe()?, &next, of),
        // The look before, which nobody waits for any more, still does.
        Err(_) => Err(silent()),
    });
    match tokio::time::timeout(patience, task).await {
        Ok(Ok(look)) => look,
        Ok(Err(e)) => Err(Problem::new(Code::System, format!("the look at Kafka failed: {e}"))),
        Err(_) => Err(silent()),
    }
}

fn ask(
    probe: &Probe,
    next: &BTreeMap<i32, Offset>,
    of: Option<Uuid>,
) -> Result<TopicSnapshot, Problem> {
    let partitions = probe.partitions()?;
    if partitions.is_empty() {
        return Ok(TopicSnapshot::default());
    }
    // Kafka's own ids are random ones (version 4); one derived from the name tells nothing.
    let topic_id = probe.topic_id().ok().filter(|id| id.get_version_num() != 5);
    let mut look = TopicSnapshot { topic_id, ..TopicSnapshot::default() };
    let PerPartition { records: ends, failed } = probe.ends(&partitions)?;
    if let (true, Some(problem)) = (ends.is_empty(), failed.values().next()) {
        return Err(problem.clone());
    }
    (look.ends, look.silent) = (ends, failed);
    if topic_id.is_some() && of.is_some() && topic_id != of {
        return Ok(look);
    }
    let next = next.iter().map(|(partition, next)| (*partition, *next));
    for (partition, record) in probe.first_waiting(&look.ends, next)?.records {
        let Some(record) = record else {
            look.all_read.insert(partition);
            continue;
        };
        if let Some(at) = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
            look.waiting_since.insert(partition, at);
        }
    }
    Ok(look)
}
