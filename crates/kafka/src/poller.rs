//! The thread itself: obeys orders, polls, hands records to their lanes, sends offsets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self as std_mpsc, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

use super::callbacks::{Callbacks, commit};
use super::commit_queue::OffsetBoard;
use super::consumer::{Command, Delivery, Event, PartitionSource};
use super::test_hook::Wedge;
use super::{probe, raw};
use rules::error_policy::kafka::{ClientDisposition, disposition};
use rules::ingest::outlets::{Outlet, Outlets};
use rules::problem::Problem;
use rules::record::Record;
use telemetry::progress::{Pulse, Track};

/// How often offsets go to Kafka. It follows PostgreSQL for the tools, so it need not be at once.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// What all records on their way to the lanes may hold, in KiB.
const ROOM_KIB: usize = 16 * 1024;

/// What the thread is tied to.
pub(super) struct Ties {
    pub orders: std_mpsc::Receiver<Command>,
    pub events: mpsc::UnboundedSender<Event>,
    pub board: OffsetBoard,
    /// The present assignment's number, counted by the callbacks.
    pub assignment: Arc<AtomicU64>,
    pub pulse: Arc<Pulse>,
    pub wedge: Wedge,
    /// How long full lanes may stop the thread.
    pub patience: Duration,
}

/// The thread's state.
pub(super) struct Poller {
    consumer: Arc<BaseConsumer<Callbacks>>,
    topic: String,
    ties: Ties,
    room: Arc<Semaphore>,
    outlets: Outlets<Way>,
    flushed_at: Instant,
}

/// The way to a lane, and where a partition's progress is shown.
#[derive(Clone)]
struct Way {
    lane: mpsc::Sender<Delivery>,
    track: Arc<Track>,
}

/// What came of an order.
enum Next {
    Go,
    End,
}

impl Poller {
    pub(super) fn new(consumer: Arc<BaseConsumer<Callbacks>>, topic: &str, ties: Ties) -> Poller {
        Poller {
            consumer,
            topic: topic.to_owned(),
            ties,
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            outlets: Outlets::default(),
            flushed_at: Instant::now(),
        }
    }

    /// Runs until it is told to close, until nobody is left to tell it, or until another thread has
    /// taken its place.
    pub(super) fn run(mut self) {
        loop {
            self.ties.wedge.stop_if_told();
            if self.ties.pulse.is_retired() {
                return;
            }
            self.ties.pulse.beat();
            while let Ok(order) = self.ties.orders.try_recv() {
                if let Next::End = self.obey(order) {
                    return;
                }
            }
            if self.flushed_at.elapsed() >= COMMIT_EVERY {
                commit(&self.consumer, &self.topic, &self.ties.board);
                self.flushed_at = Instant::now();
            }
            let delivery = match self.consumer.poll(Duration::from_millis(50)) {
                None => None,
                Some(Ok(message)) => match probe::record(&message) {
                    Ok(record) => Some(record),
                    Err(problem) => {
                        self.unreadable(problem);
                        None
                    }
                },
                Some(Err(error)) => {
                    self.report(&error);
                    None
                }
            };
            if let Some(record) = delivery
                && let Next::End = self.deliver(record)
            {
                return;
            }
        }
    }

    fn obey(&mut self, order: Command) -> Next {
        match order {
            Command::Fetch { assignment, generation, sources } => {
                let present = self.ties.assignment.load(Ordering::Relaxed);
                let mut list = TopicPartitionList::new();
                let mut outlets = BTreeMap::new();
                let mut positions = Vec::new();
                for PartitionSource { partition, offset, read_from, lane, track } in sources {
                    let first = crate::at(read_from);
                    let _ = list.add_partition_offset(&self.topic, partition, first);
                    let lane = Way { lane, track };
                    outlets.insert(partition, Outlet { lane, next: read_from });
                    positions.push((partition, offset));
                }
                if !self.outlets.fetch((assignment, present), generation, outlets) {
                    debug!(assignment, "an order of a past assignment is not obeyed");
                    return Next::Go;
                }
                for (partition, offset) in positions {
                    // Kafka hears of the start at once, so that no tool ever shows `-`.
                    self.ties.board.post(partition, offset);
                }
                self.assign(&list);
                Next::Go
            }
            Command::Unfetch => {
                self.unfetch();
                Next::Go
            }
            Command::Close => {
                commit(&self.consumer, &self.topic, &self.ties.board);
                Next::End
            }
        }
    }

    fn unfetch(&mut self) {
        self.outlets.unfetch();
        self.assign(&TopicPartitionList::new());
    }

    /// Sets what is fetched. An empty list is not the same as `unassign`, which would answer a
    /// rebalance that nobody asked about.
    fn assign(&self, list: &TopicPartitionList) {
        if let Err(error) = self.consumer.assign(list) {
            let problem = super::problem(&error, "cannot set what to read");
            let _ = self.ties.events.send(Event::Trouble { problem, wants_help: false });
        }
    }

    /// Hands a record to its lane, waiting for room for as long as it may.
    fn deliver(&mut self, record: Record) -> Next {
        let (partition, end) = (record.partition, record.offset.next());
        let Some(Outlet { lane: Way { lane, track }, next }) = self.outlets.of(partition).cloned()
        else {
            return Next::Go;
        };
        track.delivered(end);
        #[cfg(feature = "failpoints")]
        match failpoints::reached_by_thread("poll.record") {
            None => {}
            Some(failpoints::Failure::Error) => {
                self.unreadable(Problem::new(rules::problem::Code::Kafka, "failpoint poll.record"));
                return Next::Go;
            }
            Some(failpoints::Failure::Drop) => {
                self.outlets.delivered(partition, end);
                return Next::Go;
            }
        }
        let kib = (record.size() / 1024 + 1).min(ROOM_KIB) as u32;
        let generation = self.outlets.generation();
        let started = Instant::now();
        let mut waiting = Waiting::ForRoom(record);
        loop {
            self.ties.pulse.beat();
            waiting = match waiting {
                Waiting::ForRoom(record) => match self.room.clone().try_acquire_many_owned(kib) {
                    Ok(room) => {
                        Waiting::ForLane(Delivery { generation, follows: next, record, room })
                    }
                    Err(_) => Waiting::ForRoom(record),
                },
                same => same,
            };
            if let Waiting::ForLane(delivery) = waiting {
                waiting = match lane.try_send(delivery) {
                    Ok(()) => {
                        self.outlets.delivered(partition, end);
                        return Next::Go;
                    }
                    // The lane is gone: the loop is ending, and its orders will say so.
                    Err(TrySendError::Closed(_)) => return Next::Go,
                    Err(TrySendError::Full(delivery)) => Waiting::ForLane(delivery),
                };
            }
            if started.elapsed() > self.ties.patience {
                self.unfetch();
                let _ = self.ties.events.send(Event::Stopped("the lanes were full for too long"));
                return Next::Go;
            }
            match self.ties.orders.recv_timeout(Duration::from_millis(2)) {
                // Both orders make the record at hand one of the past; it will be read again.
                Ok(order) => return self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Next::End,
            }
        }
    }

    fn report(&mut self, error: &KafkaError) {
        if let KafkaError::PartitionEOF(partition) = error {
            let end = raw::known_end(self.consumer.client(), &self.topic, *partition);
            if let (Some(outlet), Some(end)) = (self.outlets.of(*partition), end) {
                outlet.lane.track.ended(end);
            }
            return;
        }
        let code = error.rdkafka_error_code().map(super::name).unwrap_or_default();
        let complaint = &self.consumer.context().complaint;
        let problem = complaint.explain(super::problem(error, "Kafka"));
        let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let event = match disposition(&code) {
            ClientDisposition::Stop => Event::Fatal(problem),
            ClientDisposition::Rebuild => Event::Broken(problem),
            _ if is_fatal => Event::Broken(problem),
            ClientDisposition::Unreadable => return self.unreadable(problem),
            ClientDisposition::Reclaim => {
                self.unfetch();
                Event::Stopped("the log does not have the offset that was asked for")
            }
            ClientDisposition::Barred => Event::Barred(problem),
            ClientDisposition::Retry | ClientDisposition::Hold
                if complaint.of_login().is_some() =>
            {
                Event::Barred(problem)
            }
            ClientDisposition::Hold => Event::Trouble { problem, wants_help: true },
            ClientDisposition::Retry => Event::Trouble { problem, wants_help: false },
        };
        let _ = self.ties.events.send(event);
    }

    /// A record of some partition could not be read. The client would go on behind it; so nothing more is taken
    /// from it until the loop has found which partition that is.
    fn unreadable(&mut self, problem: Problem) {
        if !self.outlets.is_empty() {
            self.unfetch();
            let _ = self.ties.events.send(Event::Unreadable(problem));
        }
    }
}

/// A record that cannot be handed over yet.
enum Waiting {
    ForRoom(Record),
    ForLane(Delivery),
}

#[cfg(test)]
mod tests {
    use super::super::complaint::Complaint;
    use rules::ids::Offset;

    use super::*;

    /// A poller of a client that reaches nobody, and the counter of its assignments.
    fn poller() -> (Poller, Arc<AtomicU64>) {
        let (board, pulse, assignment) = (OffsetBoard::default(), Pulse::new(), Arc::default());
        let (events, _) = mpsc::unbounded_channel();
        let patience = Duration::from_secs(1);
        let context = Callbacks {
            topic: "paid".to_owned(),
            board: board.clone(),
            events: events.clone(),
            assignment: Arc::clone(&assignment),
            pulse: pulse.clone(),
            patience,
            complaint: Complaint::default(),
        };
        let mut settings = rdkafka::ClientConfig::new();
        settings.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "workers");
        let consumer = settings.create_with_context(context).unwrap();
        let ties = Ties {
            orders: std_mpsc::channel().1,
            events,
            board,
            assignment: Arc::clone(&assignment),
            pulse,
            wedge: Wedge::of("test"),
            patience,
        };
        (Poller::new(Arc::new(consumer), "paid", ties), assignment)
    }

    fn fetch(assignment: u64) -> Command {
        let (lane, _) = mpsc::channel(1);
        let source = PartitionSource {
            partition: 3,
            offset: Offset(50),
            read_from: Offset(49),
            lane,
            track: Track::new(Offset(50)),
        };
        Command::Fetch { assignment, generation: 1, sources: vec![source] }
    }

    #[test]
    fn an_order_to_read_what_was_taken_back_meanwhile_is_not_obeyed() {
        let (mut poller, assignment) = poller();
        assignment.store(2, Ordering::Relaxed);
        poller.obey(fetch(1));
        assert!(poller.consumer.assignment().unwrap().elements().is_empty());
        assert!(poller.ties.board.take().is_empty(), "an offset of somebody else's partition");
        poller.obey(fetch(2));
        assert_eq!(poller.consumer.assignment().unwrap().count(), 1);
        assert_eq!(poller.ties.board.take(), BTreeMap::from([(3, Offset(50))]));
    }
}
