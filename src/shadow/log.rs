//! The topic, read from its first record on by clients that join no group and commit nothing.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Compared, NO_TOPIC};
use crate::config;
use crate::kafka::probe::{PartitionReader, Probe, Watermarks};
use crate::stop::blocking;
use rules::ids::Offset;
use rules::problem::Problem;
use rules::record::Record;

/// How far each partition was read.
pub(super) struct WholeLog {
    kafka: config::Kafka,
    topic: String,
    group: String,
    /// The topic's id.
    pub topic_id: Uuid,
    probe: Option<Probe>,
    next: BTreeMap<i32, Offset>,
    ends: BTreeMap<i32, Watermarks>,
    /// The partitions that cannot be read now, and why.
    pub away: BTreeMap<i32, String>,
    open: Option<(i32, PartitionReader)>,
}

impl WholeLog {
    pub(super) fn new(settings: &Compared) -> WholeLog {
        let route = &settings.route.settings;
        WholeLog {
            kafka: settings.kafka.clone(),
            topic: route.topic.clone(),
            group: format!("{}-shadow", route.group),
            topic_id: NO_TOPIC,
            probe: None,
            next: BTreeMap::new(),
            ends: BTreeMap::new(),
            away: BTreeMap::new(),
            open: None,
        }
    }

    /// Looks where the partitions end, those of them that can be read; tells whether it is another topic than before.
    pub(super) async fn look(&mut self) -> Result<bool, Problem> {
        let (known, kafka) = (self.probe.take(), self.kafka.clone());
        let (topic, group, before) = (self.topic.clone(), self.group.clone(), self.open.take());
        let looked = blocking(move || {
            drop(before);
            let probe = match known {
                Some(probe) => probe,
                None => Probe::new(&kafka, &topic, &group)?,
            };
            let partitions = probe.partitions()?;
            Ok((probe.topic_id()?, probe.ends(&partitions)?, probe))
        });
        let (id, ends, probe) = looked.await?;
        self.probe = Some(probe);
        let is_other = self.topic_id != NO_TOPIC && self.topic_id != id;
        if is_other {
            self.next.clear();
        }
        (self.topic_id, self.ends) = (id, ends.records);
        let why = |(partition, problem): (i32, Problem)| (partition, problem.reason);
        self.away = ends.failed.into_iter().map(why).collect();
        Ok(is_other)
    }

    /// The next records, at most so many, of one partition after the other; none where all are read. One that cannot be read
    /// is left to the next look, and keeps nobody from the others.
    pub(super) async fn next(&mut self, most: usize) -> Result<Vec<Record>, Problem> {
        loop {
            let unread = |(partition, marks): (&i32, &Watermarks)| {
                let next = self.next.get(partition).copied().unwrap_or_default().max(marks.low);
                (next < marks.high).then_some((*partition, next..marks.high))
            };
            let Some((partition, range)) = self.ends.iter().find_map(unread) else {
                return Ok(Vec::new());
            };
            let reader = self.open.take().filter(|(open, _)| *open == partition);
            let (kafka, topic, group) =
                (self.kafka.clone(), self.topic.clone(), self.group.clone());
            let end = range.end;
            let reading = blocking(move || {
                let mut reader = match reader {
                    Some((_, reader)) => reader,
                    None => PartitionReader::open(&kafka, &topic, &group, partition, range)?,
                };
                let records = reader.next(most)?;
                Ok((records, reader))
            });
            let (records, reader) = match reading.await {
                Ok(read) => read,
                Err(problem) => {
                    self.ends.remove(&partition);
                    self.away.insert(partition, problem.reason);
                    continue;
                }
            };
            let Some(last) = records.last() else {
                // Transactions' marks, and what was deleted meanwhile.
                self.next.insert(partition, end);
                continue;
            };
            self.next.insert(partition, last.offset + 1);
            self.open = Some((partition, reader));
            return Ok(records);
        }
    }
}
