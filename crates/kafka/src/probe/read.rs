//! Records, read back by their offsets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, Timestamp};

use super::{PerPartition, Probe, Question, Watermarks};
use crate::complaint::Asker;
use crate::{name, problem, raw};
use rules::error_policy::kafka::{ClientDisposition, OLD_FORMAT, OLD_FORMAT_ADVICE, disposition};
use rules::ids::Offset;
use rules::problem::{Code, Problem};
use rules::record::{Header, Record};

/// How long the others may take to answer once the client has complained of a record.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// How often records that the client says are out of range are asked for again.
const AGAIN: u32 = 3;

impl Probe {
    /// Reads the record at each given offset; asks for at most a few times the time-out. An offset without a record
    /// was compacted away, or belongs to nothing that anybody is given.
    pub fn records_at(
        &self,
        wanted: &BTreeMap<i32, Offset>,
    ) -> Result<PerPartition<Record>, Problem> {
        let PerPartition { records, failed } = self.first_from(wanted)?;
        let there =
            records.into_iter().filter_map(|(partition, record)| Some((partition, record?)));
        let is_asked = |(partition, record): &(i32, Record)| wanted[partition] == record.offset;
        Ok(PerPartition { records: there.filter(is_asked).collect(), failed })
    }

    /// Reads the first record that waits in each partition for a consumer whose next offsets are `next`, as
    /// [`Probe::first_from`] does; a partition that has been read to its end is not asked.
    pub fn first_waiting(
        &self,
        ends: &BTreeMap<i32, Watermarks>,
        next: impl Iterator<Item = (i32, Offset)>,
    ) -> Result<PerPartition<Option<Record>>, Problem> {
        let ahead = next.filter_map(|(p, next)| Some((p, ends.get(&p)?.ahead_of(next)?)));
        self.first_from(&ahead.collect())
    }

    /// Reads the first record at or after each given offset. `None` says that there is none up to the end of what
    /// may be read: only what no consumer is given, such as the marks of transactions and records that were
    /// aborted. Waits while another thread reads through this handle.
    pub fn first_from(
        &self,
        wanted: &BTreeMap<i32, Offset>,
    ) -> Result<PerPartition<Option<Record>>, Problem> {
        let mut found = PerPartition::default();
        if wanted.is_empty() {
            return Ok(found);
        }
        let _turn = self.handle.turn();
        self.handle.ask_each(Question::Records, |client| {
            let mut open = wanted.clone();
            let trouble = self.firsts(client, &mut open, &mut found)?;
            let is_one = open.len() == 1;
            // The client does not say which partition it complains of, so each is asked alone.
            let until = Instant::now() + self.timeout * 2;
            for (partition, offset) in open {
                let mut alone = BTreeMap::from([(partition, offset)]);
                let mut said = None;
                if !is_one && trouble.as_ref().is_some_and(|t| !passes(t)) && Instant::now() < until
                {
                    said = self.firsts(client, &mut alone, &mut found)?;
                }
                if !alone.is_empty() {
                    let said = said.or_else(|| trouble.clone());
                    found.failed.insert(partition, silence(partition, offset, said.as_ref()));
                }
            }
            Ok(found)
        })
    }

    /// Reads on from each offset of `open` for at most the time-out, and takes out of it what is answered. Returns
    /// the first complaint that does not pass, or the last that does: what follows the first is its consequence.
    fn firsts(
        &self,
        client: &BaseConsumer<Asker>,
        open: &mut BTreeMap<i32, Offset>,
        found: &mut PerPartition<Option<Record>>,
    ) -> Result<Option<KafkaError>, Problem> {
        let is_one = open.len() == 1;
        self.ask_from(client, open)?;
        let mut again = AGAIN;
        let mut deadline = Instant::now() + self.timeout;
        // Those whose answer may lie behind a record that could not be read.
        let (mut unsure, mut trouble) = (BTreeMap::new(), None);
        while !open.is_empty() && Instant::now() < deadline {
            let Some(answer) = client.poll(Duration::from_millis(50)) else { continue };
            let is_doubtful = trouble.as_ref().is_some_and(|t| !passes(t));
            let (partition, first) = match answer {
                Ok(message) => (message.partition(), Some(record(&message))),
                Err(KafkaError::PartitionEOF(partition)) => (partition, None),
                Err(error) => {
                    if !passes(&error) && !is_doubtful {
                        deadline = deadline.min(Instant::now() + AFTERWARDS);
                    }
                    // What was asked for before can be said to be out of range late, and the client then stops
                    // fetching what is asked for now.
                    if means(&error) == ClientDisposition::Reclaim && again > 0 {
                        again -= 1;
                        self.ask_from(client, open)?;
                    }
                    trouble = trouble.filter(|t| !passes(t)).or(Some(error));
                    if is_one && trouble.as_ref().is_some_and(|t| !passes(t)) {
                        break;
                    }
                    continue;
                }
            };
            let Some(offset) = open.remove(&partition) else { continue };
            match first {
                Some(Err(problem)) => {
                    found.failed.insert(partition, problem);
                }
                Some(Ok(record)) if !is_doubtful || record.offset == offset => {
                    found.records.insert(partition, Some(record));
                }
                None if !is_doubtful => {
                    found.records.insert(partition, None);
                }
                _ => {
                    unsure.insert(partition, offset);
                }
            }
        }
        let_go(client);
        open.append(&mut unsure);
        Ok(trouble)
    }

    fn ask_from(
        &self,
        client: &BaseConsumer<Asker>,
        open: &BTreeMap<i32, Offset>,
    ) -> Result<(), Problem> {
        let list = self.list(open.iter().map(|(p, o)| (*p, crate::at(*o))));
        client.assign(&list).map_err(|e| problem(&e, "cannot read records"))
    }

    /// Reads at most `limit` records: those of each partition from an offset on, up to another. Ends early
    /// when a partition says nothing for the time-out. Waits while another thread reads through this handle.
    pub fn records_between(
        &self,
        ranges: &BTreeMap<i32, (Offset, Offset)>,
        limit: usize,
    ) -> Result<Vec<Record>, Problem> {
        let open: BTreeMap<i32, Offset> = (ranges.iter())
            .filter(|(_, (from, to))| from < to)
            .map(|(partition, (_, to))| (*partition, *to))
            .collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = self.handle.turn();
        let mut found = self
            .handle
            .ask(Question::Records, |client| self.between(client, ranges, open, limit))?;
        found.sort_by_key(|r| (r.partition, r.offset));
        Ok(found)
    }

    fn between(
        &self,
        client: &BaseConsumer<Asker>,
        ranges: &BTreeMap<i32, (Offset, Offset)>,
        mut open: BTreeMap<i32, Offset>,
        limit: usize,
    ) -> Result<Vec<Record>, Problem> {
        let doing = "cannot read the waiting records";
        let mut found = Vec::new();
        let from = |partition: &i32| ranges.get(partition).map_or(Offset(0), |range| range.0);
        let list = self.list(open.keys().map(|p| (*p, crate::at(from(p)))));
        client.assign(&list).map_err(|e| problem(&e, doing))?;
        let mut heard = Instant::now();
        while !open.is_empty() && found.len() < limit && heard.elapsed() < self.timeout {
            let partition = match client.poll(Duration::from_millis(50)) {
                None => continue,
                Some(Ok(message)) => {
                    let (partition, offset) = (message.partition(), Offset(message.offset()));
                    let end = open.get(&partition).copied().unwrap_or(offset);
                    if offset < end {
                        found.push(record(&message).inspect_err(|_| {
                            let_go(client);
                        })?);
                    }
                    if offset.next() < end {
                        heard = Instant::now();
                        continue;
                    }
                    partition
                }
                // The last offsets may be a transaction's marks, which are no records.
                Some(Err(KafkaError::PartitionEOF(partition))) => partition,
                Some(Err(e)) => {
                    let_go(client);
                    return Err(problem(&e, doing));
                }
            };
            open.remove(&partition);
            heard = Instant::now();
        }
        let_go(client);
        // Nothing heard is not nothing there.
        match open.first_key_value() {
            Some((partition, _)) if found.is_empty() => {
                Err(silence(*partition, from(partition), None))
            }
            _ => Ok(found),
        }
    }
}

/// Whether there may be an answer all the same.
fn passes(error: &KafkaError) -> bool {
    matches!(means(error), ClientDisposition::Retry | ClientDisposition::Reclaim)
}

/// What an error means.
pub(super) fn means(error: &KafkaError) -> ClientDisposition {
    disposition(&error.rdkafka_error_code().map(name).unwrap_or_default())
}

/// Reads no more. What has come and was not asked for is dropped by the next poll, and takes memory until then.
pub(super) fn let_go(client: &BaseConsumer<Asker>) {
    let _ = client.unassign();
    let _ = client.poll(Duration::ZERO);
}

/// What is wrong where a partition's record was asked for and it did not answer.
fn silence(partition: i32, offset: Offset, trouble: Option<&KafkaError>) -> Problem {
    let doing = format!("cannot read the record of partition {partition} at offset {offset}");
    match trouble {
        Some(error) => problem(error, &doing),
        None => Problem::new(Code::KafkaUnreachable, format!("{doing}: no answer"))
            .advice("look at the broker that leads it"),
    }
}

/// A record that holds more is not kept as a whole: it is longer than any that a route takes.
const KEPT: usize = 20 << 20;
/// What is kept of it.
const HEAD: usize = 64 << 10;

/// Copies a message out of the client's buffers, of one that is too long its beginning. Fails for one that the client itself cannot have read.
pub(crate) fn record(message: &BorrowedMessage<'_>) -> Result<Record, Problem> {
    let headers = raw::headers(message);
    let (key, value) = (message.key(), message.payload());
    let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
    let is_kept = size + headers.iter().map(Header::size).sum::<usize>() <= KEPT;
    let record = Record {
        partition: message.partition(),
        offset: Offset(message.offset()),
        timestamp_ms: match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) if millis >= 0 => {
                Some(millis)
            }
            _ => None,
        },
        key: key.map(<[u8]>::to_vec),
        value: value.filter(|_| is_kept).map(<[u8]>::to_vec),
        headers,
        cut: None,
    };
    let record = if is_kept { record } else { record.cut(value, HEAD) };
    let is_empty = record.key.is_none() && record.value.is_none() && record.headers.is_empty();
    if is_empty && raw::leader_epoch(message) < 0 {
        let Record { partition, offset, .. } = record;
        let cause = format!("partition {partition}, offset {offset}: {OLD_FORMAT}");
        return Err(Problem::new(Code::Kafka, cause).advice(OLD_FORMAT_ADVICE));
    }
    Ok(record)
}
