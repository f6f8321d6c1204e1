//! The group's member: one OS thread owns a `BaseConsumer` and polls it, whatever else happens.
//!
//! Being a member and fetching are two things here. On an assignment the thread accepts the
//! partitions without fetching and says so; the loop claims positions in PostgreSQL and answers
//! with [`Command::Fetch`]. The same command mends a hold, a collision and an offset out of range,
//! so there is one way to begin reading, and it always begins at a claimed position.
//!
//! A lane that is full stops the thread for ten seconds at most; after that it gives up fetching,
//! stays a member, and says [`Event::Stopped`]. No pause: pause state outlives assignments
//! (librdkafka#5591).
//!
//! A thread that gives no sign of life any more cannot be ended. [`GroupMember::retire`] leaves it behind:
//! its client is closed through the other handle on it, and whatever the thread does on waking is of
//! the past, because offsets, deliveries and events of another member are others.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak, mpsc as std_mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::warn;

use super::callbacks::Callbacks;
use super::commit_queue::OffsetBoard;
use super::complaint::Complaint;
use super::poller::{Poller, Ties};
use super::settings;
use super::test_hook::Wedge;
use rules::ids::Offset;
use rules::problem::{Code, Problem};
use rules::record::Record;
use telemetry::progress::{Pulse, Track};

/// How long the client of a thread that was left behind may take to leave the group.
const RETIRE: Duration = Duration::from_secs(60);

/// One record on its way to a lane.
pub struct Delivery {
    /// Which [`Command::Fetch`] it belongs to; a lane drops those of an older one.
    pub generation: u64,
    /// Where its partition's delivery before it ended, or where the fetch began: what lies between that
    /// and the record is not in the log.
    pub follows: Offset,
    /// The record.
    pub record: Record,
    /// Its share of the buffer, given back when the delivery is dropped.
    pub room: OwnedSemaphorePermit,
}

/// Where a partition's records begin and where they go.
pub struct PartitionSource {
    /// The partition.
    pub partition: i32,
    /// The position: what Kafka hears.
    pub offset: Offset,
    /// The first offset to read, which may lie before it.
    pub read_from: Offset,
    /// The lane's queue.
    pub lane: mpsc::Sender<Delivery>,
    /// Where it shows how far it is.
    pub track: Arc<Track>,
}

/// What the loop asks of the thread.
pub enum Command {
    /// Read these partitions from these offsets, and nothing else.
    Fetch {
        /// The assignment that the partitions are of; one of the past is not obeyed.
        assignment: u64,
        /// A number larger than any before.
        generation: u64,
        /// The partitions.
        sources: Vec<PartitionSource>,
    },
    /// Read nothing, stay a member.
    Unfetch,
    /// Commit what is known, leave the group, end.
    Close,
}

/// What the thread tells the loop.
pub enum Event {
    /// The group gave this member partitions. Nothing is read yet.
    Assigned {
        /// Its number: other ones are of the past, or of another member.
        assignment: u64,
        /// All the partitions it now has.
        partitions: Vec<i32>,
    },
    /// The group takes all partitions back; send on `done` when no batch of theirs is in flight.
    Revoked {
        /// Answered by the loop; dropping it answers too.
        done: std_mpsc::SyncSender<()>,
    },
    /// The thread stopped reading by itself; the loop claims and starts again when it can.
    Stopped(&'static str),
    /// The thread stopped reading, for a record of a partition could not be read; the client does not say of which.
    Unreadable(Problem),
    /// Something is wrong, and the client goes on trying.
    Trouble {
        /// What.
        problem: Problem,
        /// Whether only a person can mend it.
        wants_help: bool,
    },
    /// The group does not take this member in, and the client goes on asking.
    Barred(Problem),
    /// This client cannot go on; a new one may.
    Broken(Problem),
    /// No client can go on.
    Fatal(Problem),
}

/// The loop's end of the thread.
pub struct GroupMember {
    commands: std_mpsc::Sender<Command>,
    /// Where lanes post what may be committed to Kafka.
    pub board: OffsetBoard,
    /// The thread's signs of life.
    pub pulse: Arc<Pulse>,
    // Weak, so that the thread is who drops the client: that waits for the broker.
    consumer: Weak<BaseConsumer<Callbacks>>,
    ended: oneshot::Receiver<()>,
}

impl GroupMember {
    /// Joins `group` and subscribes to `topic`; answers come on the returned channel.
    pub fn join(
        kafka: &config::Kafka,
        topic: &str,
        group: &str,
        client_id: &str,
    ) -> Result<(GroupMember, mpsc::UnboundedReceiver<Event>), Problem> {
        let board = OffsetBoard::default();
        let (events, listener) = mpsc::unbounded_channel();
        let (commands, orders) = std_mpsc::channel();
        let (end, ended) = oneshot::channel();
        let pulse = Pulse::new();
        let assignment = Arc::new(AtomicU64::new(0));
        let context = Callbacks {
            topic: topic.to_owned(),
            board: board.clone(),
            events: events.clone(),
            assignment: assignment.clone(),
            pulse: pulse.clone(),
            patience: settings::longest_pause(kafka),
            complaint: Complaint::default(),
        };
        let settings = settings::member(kafka, group, client_id);
        let consumer: BaseConsumer<Callbacks> =
            settings.create_with_context(context).map_err(|e| super::unusable(&settings, &e))?;
        consumer.subscribe(&[topic]).map_err(|e| super::problem(&e, "cannot subscribe"))?;
        let shared = Arc::new(consumer);
        let consumer = Arc::downgrade(&shared);
        let ties = Ties {
            orders,
            events,
            board: board.clone(),
            assignment,
            pulse: pulse.clone(),
            wedge: Wedge::of(client_id),
            patience: settings::longest_pause(kafka),
        };
        let poller = Poller::new(shared, topic, ties);
        thread::Builder::new()
            .name("kafka".to_owned())
            .spawn(move || {
                poller.run();
                let _ = end.send(());
            })
            .map_err(|e| {
                Problem::new(Code::System, format!("cannot start the Kafka thread: {e}"))
            })?;
        Ok((GroupMember { commands, board, pulse, consumer, ended }, listener))
    }

    /// Whether the client's login is refused.
    pub fn is_refused(&self) -> bool {
        let client = self.consumer.upgrade();
        client.is_some_and(|client| client.context().complaint.of_login().is_some())
    }

    /// Sends a command; lost if the thread has ended, which [`GroupMember::close`] or an event will tell.
    pub fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Leaves a thread behind that does not answer any more. Its client is told to leave the group by
    /// a thread of its own, because that can hang too (rust-rdkafka#453); a member that could not
    /// leave is missed after `max.poll.interval.ms`, for it goes on sending heartbeats by itself.
    pub fn retire(&self) {
        self.pulse.retire();
        let Some(consumer) = self.consumer.upgrade() else { return };
        let closing = thread::Builder::new().name("kafka-retire".to_owned());
        let closing = closing.spawn(move || {
            let deadline = Instant::now() + RETIRE;
            if consumer.close_queue().is_ok() {
                while !consumer.closed() && Instant::now() < deadline {
                    let _ = consumer.poll(Duration::from_millis(100));
                }
            }
        });
        if let Err(error) = closing {
            warn!(%error, "no thread to close the old Kafka client; the group will miss it by itself");
        }
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
