//! The group's member: one OS thread owns a `BaseConsumer` and polls it, whatever else happens.
//!
//! Being a member and fetching are two things here. On an assignment the thread accepts the
//! partitions without fetching and says so; the loop claims positions in PostgreSQL and answers
//! with [`Command::Fetch`]. The same command mends a hold, a collision and an offset out of range,
//! so there is one way to begin reading, and it always begins at a claimed position.
//!
//! A lane that is full stops the thread for at most [`PATIENCE`]; after that it gives up fetching,
//! stays a member, and says [`Event::Stopped`]. No pause: pause state outlives assignments
//! (librdkafka#5591).

use std::collections::BTreeMap;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, mpsc::RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use rdkafka_sys::types::RDKafkaRespErr;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::{debug, error, info, warn};

use super::board::OffsetBoard;
use super::{probe, settings};
use crate::config;
use crate::pure::problem::{Code, Problem};
use crate::pure::record::Record;

/// How long full lanes may stop the thread: well below `max.poll.interval.ms`.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a revoke waits for the batches in flight; a late one is fenced by the position's step.
pub const REVOKE_WAIT: Duration = Duration::from_secs(10);
/// How often offsets go to Kafka. It follows PostgreSQL for the tools, so it need not be at once.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// What all records on their way to the lanes may hold, in KiB.
const ROOM_KIB: usize = 16 * 1024;

/// One record on its way to a lane.
pub struct Delivery {
    /// Which [`Command::Fetch`] it belongs to; a lane drops those of an older one.
    pub generation: u64,
    /// The record.
    pub record: Record,
    /// Its share of the buffer, given back when the delivery is dropped.
    _room: OwnedSemaphorePermit,
}

/// Where a partition's records begin and where they go.
pub struct Source {
    /// The partition.
    pub partition: i32,
    /// The first offset to read.
    pub offset: i64,
    /// The lane's queue.
    pub lane: mpsc::Sender<Delivery>,
}

/// What the loop asks of the thread.
pub enum Command {
    /// Read these partitions from these offsets, and nothing else.
    Fetch {
        /// A number larger than any before.
        generation: u64,
        /// The partitions.
        sources: Vec<Source>,
    },
    /// Read nothing, stay a member.
    Unfetch,
    /// Commit what is known, leave the group, end.
    Close,
}

/// What the thread tells the loop.
pub enum Event {
    /// The group gave this member these partitions, all it now has. Nothing is read yet.
    Assigned(Vec<i32>),
    /// The group takes all partitions back; send on `done` when no batch of theirs is in flight.
    Revoked {
        /// Answered by the loop; dropping it answers too.
        done: std_mpsc::SyncSender<()>,
    },
    /// The thread stopped reading by itself; the loop claims and starts again when it can.
    Stopped(&'static str),
    /// Something is wrong that the client goes on trying to mend.
    Trouble(Problem),
    /// The client cannot go on.
    Fatal(Problem),
}

/// The loop's end of the thread.
pub struct Member {
    commands: std_mpsc::Sender<Command>,
    /// Where lanes post what may be committed to Kafka.
    pub board: OffsetBoard,
    ended: oneshot::Receiver<()>,
}

impl Member {
    /// Joins `group` and subscribes to `topic`; answers come on the returned channel.
    pub fn join(
        kafka: &config::Kafka,
        topic: &str,
        group: &str,
        client_id: &str,
    ) -> Result<(Member, mpsc::UnboundedReceiver<Event>), Problem> {
        let board = OffsetBoard::default();
        let (events, listener) = mpsc::unbounded_channel();
        let (commands, orders) = std_mpsc::channel();
        let (end, ended) = oneshot::channel();
        let context =
            Callbacks { topic: topic.to_owned(), board: board.clone(), events: events.clone() };
        let consumer: BaseConsumer<Callbacks> = settings::member(kafka, group, client_id)
            .create_with_context(context)
            .map_err(|e| {
                Problem::new(Code::Config, format!("the Kafka client refuses its settings: {e}"))
                    .hint("see [kafka.properties]; names and values are librdkafka's")
            })?;
        consumer.subscribe(&[topic]).map_err(|e| super::problem(&e, "cannot subscribe"))?;
        let poller = Poller {
            consumer,
            topic: topic.to_owned(),
            orders,
            events,
            board: board.clone(),
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            lanes: BTreeMap::new(),
            generation: 0,
            flushed_at: Instant::now(),
        };
        thread::Builder::new()
            .name("kafka".to_owned())
            .spawn(move || {
                poller.run();
                let _ = end.send(());
            })
            .map_err(|e| {
                Problem::new(Code::System, format!("cannot start the Kafka thread: {e}"))
            })?;
        Ok((Member { commands, board, ended }, listener))
    }

    /// Sends a command; lost if the thread has ended, which [`Member::close`] or an event will tell.
    pub fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Leaves the group. Closing can hang inside librdkafka (rust-rdkafka#453), so this waits only
    /// `patience`; a member that did not leave is missed after its session time-out.
    pub async fn close(self, patience: Duration) {
        self.tell(Command::Close);
        if tokio::time::timeout(patience, self.ended).await.is_err() {
            warn!("the Kafka client did not close in time; the group will miss it by itself");
        }
    }
}

/// Runs inside `poll` and on no other thread.
struct Callbacks {
    topic: String,
    board: OffsetBoard,
    events: mpsc::UnboundedSender<Event>,
}

impl ClientContext for Callbacks {
    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Accept, but read nothing yet: positions are claimed first.
            let accepted = consumer.assign(&TopicPartitionList::new());
            let partitions: Vec<i32> = list.elements().iter().map(|e| e.partition()).collect();
            info!(topic = self.topic, ?partitions, "partitions assigned");
            if let Err(error) = accepted {
                error!(%error, "cannot accept the assignment");
            }
            let _ = self.events.send(Event::Assigned(partitions));
            return;
        }
        info!(topic = self.topic, lost = consumer.assignment_lost(), "partitions revoked");
        let (done, wait) = std_mpsc::sync_channel(1);
        if self.events.send(Event::Revoked { done }).is_ok()
            && wait.recv_timeout(REVOKE_WAIT) == Err(RecvTimeoutError::Timeout)
        {
            warn!(
                "a batch did not end before its partition was given back; its commit will be refused"
            );
        }
        if !consumer.assignment_lost() {
            commit(consumer, &self.topic, &self.board);
        }
        self.board.take();
        if let Err(error) = consumer.unassign() {
            error!(%error, "cannot give the partitions back");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let Err(error) = result else { return };
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) {
            return;
        }
        // Kafka's copy is a courtesy; PostgreSQL has the position. It is tried again all the same.
        debug!(%error, "an offset commit failed");
        for entry in offsets.elements() {
            if let Offset::Offset(offset) = entry.offset() {
                self.board.put_back(entry.partition(), offset);
            }
        }
    }
}

/// Sends what is on the board to Kafka, without waiting for the answer.
fn commit<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, board: &OffsetBoard) {
    let offsets = board.take();
    if offsets.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in &offsets {
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
    }
    if let Err(error) = consumer.commit(&list, CommitMode::Async) {
        debug!(%error, "an offset commit was refused");
    }
}

/// The thread's state.
struct Poller {
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
    fn run(mut self) {
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
                Some(Ok(message)) => Some(copy(&message)),
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
                    Ok(room) => Waiting::ForLane(Delivery { generation, record, _room: room }),
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

fn copy(message: &BorrowedMessage<'_>) -> Record {
    let record = probe::record(message);
    debug_assert_eq!(record.offset, message.offset());
    record
}
