//! Reads a range of a partition for somebody who wants to know what is in it.

use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::packed::Search;
use super::read::means;
use crate::complaint::{Asker, attend};
use crate::{problem, settings, unusable};
use rules::error_policy::kafka::ClientDisposition;
use rules::ids::Offset;
use rules::problem::{Code, Problem};
use rules::record::Record;

/// How long nothing may come before the broker counts as out of reach.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reader of one partition, outside of the group: nothing it does moves an offset.
pub struct PartitionReader {
    consumer: BaseConsumer<Asker>,
    topic: String,
    partition: i32,
    next: Offset,
    end: Offset,
    ended: bool,
}

impl PartitionReader {
    /// Begins at the first offset of a range.
    pub fn open(
        kafka: &config::Kafka,
        topic: &str,
        group: &str,
        partition: i32,
        range: Range<Offset>,
    ) -> Result<PartitionReader, Problem> {
        let settings = settings::onlooker(kafka, group, "makegood-reader");
        let consumer: BaseConsumer<Asker> =
            settings.create_with_context(Asker::default()).map_err(|e| unusable(&settings, &e))?;
        attend(consumer.client(), &settings);
        let (topic, ended) = (topic.to_owned(), range.is_empty());
        let reader = PartitionReader {
            consumer,
            topic,
            partition,
            next: range.start,
            end: range.end,
            ended,
        };
        reader.begin()?;
        Ok(reader)
    }

    fn begin(&self) -> Result<(), Problem> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, self.partition, crate::at(self.next))
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|e| problem(&e, "cannot read the records"))
    }

    /// Goes past a batch that cannot be unpacked, as the daemon does.
    fn go_past(&mut self, error: &KafkaError) -> Result<(), Problem> {
        let (client, topic, partition) = (&self.consumer, self.topic.as_str(), self.partition);
        let search = Search { client, topic, partition, until: Instant::now() + PATIENCE };
        match search.run(self.next, self.end)? {
            Some(range) => self.next = range.end,
            None => return Err(problem(error, "cannot read the records")),
        }
        self.ended = self.next >= self.end;
        self.begin()
    }

    /// The next records, at most so many; none at the end of the range. Blocks.
    pub fn next(&mut self, most: usize) -> Result<Vec<Record>, Problem> {
        let mut records = Vec::new();
        let mut heard = Instant::now();
        while !self.ended && records.len() < most {
            match self.consumer.poll(Duration::from_millis(100)) {
                None if heard.elapsed() > PATIENCE => {
                    let cause = format!("no record has come for {} s", PATIENCE.as_secs());
                    let problem = Problem::new(Code::KafkaUnreachable, cause);
                    return Err(self.consumer.context().complaint.explain(problem));
                }
                None => continue,
                Some(Ok(message)) if message_is_past(&message, self.end) => self.ended = true,
                Some(Ok(message)) => {
                    let record = super::record(&message)?;
                    self.next = record.offset.next();
                    records.push(record);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.ended = true,
                Some(Err(error)) if means(&error) == ClientDisposition::Unreadable => {
                    self.go_past(&error)?
                }
                // Trouble with a connection is retried by the client.
                Some(Err(error)) if heard.elapsed() > PATIENCE => {
                    let problem = problem(&error, "cannot read the records");
                    return Err(self.consumer.context().complaint.explain(problem));
                }
                Some(Err(_)) => continue,
            }
            heard = Instant::now();
        }
        self.ended |= self.next >= self.end;
        Ok(records)
    }
}

fn message_is_past(message: &rdkafka::message::BorrowedMessage<'_>, end: Offset) -> bool {
    Offset(rdkafka::Message::offset(message)) >= end
}
