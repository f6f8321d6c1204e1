//! Batches that cannot be unpacked: because they would take too much memory, or because whoever packed them did it
//! wrong. What they are they stay, so the way is past them; where they end has to be found out.

use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::{Probe, Question};
use crate::complaint::Asker;
use crate::raw::Said;
use crate::{bounds, problem, raw};
use rules::ids::Offset;
use rules::problem::{Code, Problem};

/// How the client begins its complaint of a batch that it has in full, with the right checksum, and cannot unpack.
const COMPLAINT: &str = "Decompression (codec";

impl Probe {
    /// The offsets of the batch at `offset`, from there on, if it is one that cannot be unpacked. `high` is the log's
    /// end. Waits while another thread reads through this handle.
    pub fn packed_for_good(
        &self,
        partition: i32,
        offset: Offset,
        high: Offset,
    ) -> Result<Option<Range<Offset>>, Problem> {
        let _turn = self.handle.turn();
        self.handle.ask(Question::Records, |client| {
            let until = Instant::now() + self.timeout * 4;
            let found = Search { client, topic: &self.topic, partition, until }.run(offset, high);
            super::read::let_go(client);
            found
        })
    }
}

/// Looks for the end of a batch.
pub(super) struct Search<'p> {
    /// A client that does nothing else meanwhile.
    pub client: &'p BaseConsumer<Asker>,
    pub topic: &'p str,
    pub partition: i32,
    pub until: Instant,
}

impl Search<'_> {
    /// Offsets of one batch lead to the same complaint: doubling the step finds one behind it, halving the first.
    pub(super) fn run(
        &self,
        offset: Offset,
        high: Offset,
    ) -> Result<Option<Range<Offset>>, Problem> {
        let Some(base) = self.complaint(offset)? else { return Ok(None) };
        let (mut inside, mut behind, mut step) = (offset, high.max(offset.next()), 1);
        while inside + step < behind {
            match self.complaint(inside + step)? {
                Some(same) if same == base => (inside, step) = (inside + step, step * 2),
                _ => behind = inside + step,
            }
        }
        while inside + 1 < behind {
            let middle = inside + (behind - inside) / 2;
            match self.complaint(middle)? {
                Some(same) if same == base => inside = middle,
                _ => behind = middle,
            }
        }
        Ok(Some(offset..behind))
    }

    /// Where the batch with this offset begins, if it cannot be unpacked.
    fn complaint(&self, offset: Offset) -> Result<Option<Offset>, Problem> {
        let crowded = bounds::crowded();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic, self.partition, crate::at(offset))
            .and_then(|()| self.client.assign(&list))
            .map_err(|e| problem(&e, "cannot look at a batch"))?;
        while Instant::now() < self.until {
            let heard =
                raw::listen(self.client.client(), self.partition, Duration::from_millis(50));
            match heard {
                None => {}
                Some(Said::Unread(..)) if bounds::crowded() != crowded => return Err(busy()),
                Some(Said::Unread(base, words)) if words.starts_with(COMPLAINT) => {
                    return Ok(Some(base));
                }
                // Late, of the offset before.
                Some(Said::Unread(base, ..)) if base < Offset(0) => {}
                Some(_) => return Ok(None),
            }
        }
        Err(Problem::new(Code::KafkaUnreachable, "no answer about a batch that cannot be read")
            .advice("look at the broker that leads the partition"))
    }
}

fn busy() -> Problem {
    Problem::new(Code::Kafka, "there is no memory left to look at a large batch; it is tried again")
}
