//! The thread itself: obeys orders, polls, hands records to their lanes, sends offsets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self as std_mpsc, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

use super::board::OffsetBoard;
use super::callbacks::{Callbacks, commit};
use super::consumer::{Command, Delivery, Event};
use super::probe;
use crate::pure::record::Record;

/// How long full lanes may stop the thread: well below `max.poll.interval.ms`.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often offsets go to Kafka. It follows PostgreSQL for the tools, so it need not be at once.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// What all records on their way to the lanes may hold, in KiB.
const ROOM_KIB: usize = 16 * 1024;

/// The thread's state.
pub(super) struct Poller {
    consumer: BaseConsumer<Callbacks>,
    topic: String,
    orders: std_mpsc::Receiver<Command>,
    events: mpsc::UnboundedSender<Event>,
    board: OffsetBoard,
    room: Arc<Semaphore>,
    lanes: BTreeMap<i32, mpsc::Sender<Delivery>>,
    generation: u64,
    flushed_at: Instant,
}

/// What came of an order.
enum Next {
    Go,
    End,
}

impl Poller {
    pub(super) fn new(
        consumer: BaseConsumer<Callbacks>,
        topic: &str,
        orders: std_mpsc::Receiver<Command>,
        events: mpsc::UnboundedSender<Event>,
        board: OffsetBoard,
    ) -> Poller {
        Poller {
            consumer,
            topic: topic.to_owned(),
            orders,
            events,
            board,
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            lanes: BTreeMap::new(),
            generation: 0,
            flushed_at: Instant::now(),
        }
    }

    /// Runs until it is told to close, or until nobody is left to tell it.
    pub(super) fn run(mut self) {
        loop {
            while let Ok(order) = self.orders.try_recv() {
                if let Next::End = self.obey(order) {
                    return;
                }
            }
            if self.flushed_at.elapsed() >= COMMIT_EVERY {
                commit(&self.consumer, &self.topic, &self.board);
                self.flushed_at = Instant::now();
            }
            let delivery = match self.consumer.poll(Duration::from_millis(50)) {
                None => None,
                Some(Ok(message)) => Some(probe::record(&message)),
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
            Command::Fetch { generation, sources } => {
                let mut list = TopicPartitionList::new();
                self.lanes.clear();
                for source in sources {
                    let _ = list.add_partition_offset(
                        &self.topic,
                        source.partition,
                        Offset::Offset(source.offset),
                    );
                    // Kafka hears of the start at once, so that no tool ever shows `-`.
                    self.board.post(source.partition, source.offset);
                    self.lanes.insert(source.partition, source.lane);
                }
                self.generation = generation;
                self.assign(&list);
                Next::Go
            }
            Command::Unfetch => {
                self.unfetch();
                Next::Go
            }
            Command::Close => {
                commit(&self.consumer, &self.topic, &self.board);
                Next::End
            }
        }
    }

    fn unfetch(&mut self) {
        self.lanes.clear();
        self.assign(&TopicPartitionList::new());
    }

    /// Sets what is fetched. An empty list is not the same as `unassign`, which would answer a
    /// rebalance that nobody asked about.
    fn assign(&self, list: &TopicPartitionList) {
        if let Err(error) = self.consumer.assign(list) {
            let _ =
                self.events.send(Event::Trouble(super::problem(&error, "cannot set what to read")));
        }
    }

    /// Hands a record to its lane, waiting for room up to [`PATIENCE`].
    fn deliver(&mut self, record: Record) -> Next {
        let Some(lane) = self.lanes.get(&record.partition).cloned() else { return Next::Go };
        let kib = (record.size() / 1024 + 1).min(ROOM_KIB) as u32;
        let generation = self.generation;
        let started = Instant::now();
        let mut waiting = Waiting::ForRoom(record);
        loop {
            waiting = match waiting {
                Waiting::ForRoom(record) => match self.room.clone().try_acquire_many_owned(kib) {
                    Ok(room) => Waiting::ForLane(Delivery { generation, record, room }),
                    Err(_) => Waiting::ForRoom(record),
                },
                same => same,
            };
            if let Waiting::ForLane(delivery) = waiting {
                waiting = match lane.try_send(delivery) {
                    Ok(()) => return Next::Go,
                    // The lane is gone: the loop is ending, and its orders will say so.
                    Err(TrySendError::Closed(_)) => return Next::Go,
                    Err(TrySendError::Full(delivery)) => Waiting::ForLane(delivery),
                };
            }
            if started.elapsed() > PATIENCE {
                self.unfetch();
                let _ = self.events.send(Event::Stopped("the lanes were full for too long"));
                return Next::Go;
            }
            match self.orders.recv_timeout(Duration::from_millis(2)) {
                // Both orders make the record at hand one of the past; it will be read again.
                Ok(order) => return self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Next::End,
            }
        }
    }

    fn report(&mut self, error: &KafkaError) {
        let event = match (error, error.rdkafka_error_code()) {
            (KafkaError::MessageConsumptionFatal(_), _) => {
                Event::Fatal(super::problem(error, "the Kafka client cannot go on"))
            }
            (_, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => {
                self.unfetch();
                Event::Stopped("the log does not have the offset that was asked for")
            }
            _ => Event::Trouble(super::problem(error, "Kafka")),
        };
        let _ = self.events.send(event);
    }
}

/// A record that cannot be handed over yet.
enum Waiting {
    ForRoom(Record),
    ForLane(Delivery),
}
