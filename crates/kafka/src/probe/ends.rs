//! Questions about many partitions at once: where their logs end, what the group has committed, which offset a
//! time has. Each partition has an answer of its own.

use std::collections::BTreeMap;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{METADATA, PerPartition, Probe, Question, Watermarks};
use crate::complaint::Asker;
use crate::{advice, problem};
use rules::ids::Offset;
use rules::problem::{Code, Problem};
use rules::record::Record;

const ENDS: &str = "cannot read the log's ends";

impl Probe {
    /// Where the partition's log begins, and where what may be read of it ends now: with open
    /// transactions that is where the oldest of them begins.
    pub fn watermarks(&self, partition: i32) -> Result<Watermarks, Problem> {
        self.handle.ask(Question::Ends, |client| self.end(client, partition))
    }

    /// The same for many. One without a leader is not waited for, and a leader that does not answer is asked once;
    /// so this takes at most the time-out for each broker.
    pub fn ends(&self, partitions: &[i32]) -> Result<PerPartition<Watermarks>, Problem> {
        let leaders = self.leaders(partitions)?;
        self.handle.ask_each(Question::Ends, |client| {
            let mut found = PerPartition { records: BTreeMap::new(), failed: leaders.failed };
            let mut silent: BTreeMap<i32, Problem> = BTreeMap::new();
            for (partition, leader) in leaders.records {
                let answer = match silent.get(&leader) {
                    Some(problem) => Err(problem.clone()),
                    None => self.end(client, partition),
                };
                match answer {
                    Ok(ends) => {
                        found.records.insert(partition, ends);
                    }
                    Err(problem) => {
                        if problem.code == Code::KafkaUnreachable {
                            silent.insert(leader, problem.clone());
                        }
                        found.failed.insert(partition, problem);
                    }
                }
            }
            Ok(found)
        })
    }

    /// What the group has committed, for those partitions that have a commit.
    pub fn committed(&self, partitions: &[i32]) -> Result<PerPartition<Offset>, Problem> {
        let doing = "cannot read the group's offsets";
        let list = self.list(partitions.iter().map(|p| (*p, rdkafka::Offset::Invalid)));
        self.handle.ask_each(Question::Committed, |client| {
            let answer = client.committed_offsets(list, self.timeout);
            answer.map(|answer| offsets(&answer, doing)).map_err(|e| problem(&e, doing))
        })
    }

    /// For each partition the first offset at or after a time; absent when all records are older.
    pub fn at_time(
        &self,
        partitions: &[i32],
        millis: i64,
    ) -> Result<PerPartition<Offset>, Problem> {
        let doing = "cannot find the offsets of a time";
        let list = self.list(partitions.iter().map(|p| (*p, rdkafka::Offset::Offset(millis))));
        self.handle.ask_each(Question::Times, |client| {
            let answer = client.offsets_for_times(list, self.timeout);
            answer.map(|answer| offsets(&answer, doing)).map_err(|e| problem(&e, doing))
        })
    }

    fn end(&self, client: &BaseConsumer<Asker>, partition: i32) -> Result<Watermarks, Problem> {
        let (low, high) = client
            .fetch_watermarks(&self.topic, partition, self.timeout)
            .map_err(|e| problem(&e, ENDS))?;
        Ok(Watermarks { low: Offset(low), high: Offset(high) })
    }

    /// The broker that leads each partition.
    fn leaders(&self, partitions: &[i32]) -> Result<PerPartition<i32>, Problem> {
        let metadata = self.metadata(METADATA)?;
        let topic = self.topic_in(&metadata)?;
        let known = topic.map(|topic| topic.partitions()).unwrap_or_default();
        let mut found = PerPartition::default();
        for partition in partitions {
            match known.iter().find(|seen| seen.id() == *partition) {
                Some(seen) if seen.leader() >= 0 => {
                    found.records.insert(*partition, seen.leader());
                }
                Some(_) => {
                    let cause = format!("partition {partition} has no leader");
                    let problem = Problem::new(Code::Kafka, cause).advice(
                        "start the broker that has it: kafka-topics --describe --unavailable-partitions",
                    );
                    found.failed.insert(*partition, problem);
                }
                None => {
                    let code = RDKafkaErrorCode::UnknownTopicOrPartition;
                    let problem = Problem::new(Code::Kafka, format!("{ENDS}: {code}"));
                    found.failed.insert(*partition, problem.advice(advice(Some(code))));
                }
            }
        }
        Ok(found)
    }

    /// Looks back from the ends of the logs, one record of each partition at a time and at most `depth` of each, until
    /// `pick` finds something among them.
    pub fn look_back<T>(
        &self,
        ends: &BTreeMap<i32, Watermarks>,
        depth: i64,
        mut pick: impl FnMut(BTreeMap<i32, Record>) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        for back in 1..=depth {
            let there = ends.iter().filter(|(_, ends)| ends.high - back >= ends.low);
            let wanted: BTreeMap<i32, Offset> =
                there.map(|(p, ends)| (*p, ends.high - back)).collect();
            if wanted.is_empty() {
                break;
            }
            if let Some(picked) = pick(self.records_at(&wanted)?.records) {
                return Ok(Some(picked));
            }
        }
        Ok(None)
    }
}

/// The offsets of an answer. A partition with an error has no answer, which is not the same as no offset.
fn offsets(list: &TopicPartitionList, doing: &str) -> PerPartition<Offset> {
    let mut found = PerPartition::default();
    for entry in list.elements() {
        match (entry.error(), entry.offset()) {
            (Err(error), _) => {
                let error = KafkaError::OffsetFetch(
                    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
                );
                found.failed.insert(entry.partition(), problem(&error, doing));
            }
            (Ok(()), rdkafka::Offset::Offset(offset)) => {
                found.records.insert(entry.partition(), Offset(offset));
            }
            (Ok(()), _) => {}
        }
    }
    found
}
