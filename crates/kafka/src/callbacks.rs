//! What librdkafka calls back, inside `poll` and on no other thread: rebalances and commit answers.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self as std_mpsc, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka_sys::types::RDKafkaRespErr;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::commit_queue::OffsetBoard;
use super::complaint::Complaint;
use super::consumer::Event;
use super::token;
use rules::ids::Offset;
use rules::numfmt;
use telemetry::progress::Pulse;

/// What the callbacks need.
pub(super) struct Callbacks {
    pub topic: String,
    pub board: OffsetBoard,
    pub events: mpsc::UnboundedSender<Event>,
    /// Counts what the group said of the partitions, assignments and revokes alike.
    pub assignment: Arc<AtomicU64>,
    pub pulse: Arc<Pulse>,
    /// How long a revoke waits for the batches in flight; a late one is fenced by the position's step.
    pub patience: Duration,
    /// What the client complains of.
    pub complaint: Complaint,
}

impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, of: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token::generate(of)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        self.complaint.log(level, facility, words);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition comes as an error too, many times a second under load.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            debug!(error = super::reason(&error), reason, "kafka client");
            self.complaint.note(&error, reason);
            super::count(&error);
        }
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assignment = self.assignment.fetch_add(1, Ordering::Relaxed) + 1;
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.complaint.clear();
            // Accept, but read nothing yet: positions are claimed first.
            let accepted = consumer.assign(&TopicPartitionList::new());
            let partitions: Vec<i32> = list.elements().iter().map(|e| e.partition()).collect();
            info!(
                topic = self.topic,
                partitions = numfmt::list(&partitions),
                "partitions assigned"
            );
            if let Err(error) = accepted {
                error!(error = super::reason(&error), "cannot accept the assignment");
            }
            #[cfg(feature = "failpoints")]
            if self.failed("rebalance.assigned") {
                return;
            }
            let _ = self.events.send(Event::Assigned { assignment, partitions });
            return;
        }
        info!(topic = self.topic, lost = consumer.assignment_lost(), "partitions revoked");
        #[cfg(feature = "failpoints")]
        if self.failed("rebalance.revoked") {
            self.board.clear();
            let _ = consumer.unassign();
            return;
        }
        let (done, wait) = std_mpsc::sync_channel(1);
        if self.events.send(Event::Revoked { done }).is_ok() && !self.answered(&wait) {
            warn!(
                "a batch did not end before its partition was given back; its commit will be refused"
            );
        }
        if !consumer.assignment_lost() {
            commit(consumer, &self.topic, &self.board);
        }
        self.board.clear();
        if let Err(error) = consumer.unassign() {
            error!(error = super::reason(&error), "cannot give the partitions back");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let Err(error) = result else { return };
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) {
            return;
        }
        // Kafka's copy is a courtesy; PostgreSQL has the position. It is tried again all the same.
        debug!(error = super::reason(&error), "an offset commit failed");
        for entry in offsets.elements() {
            if let rdkafka::Offset::Offset(offset) = entry.offset() {
                self.board.put_back(entry.partition(), Offset(offset));
            }
        }
    }
}

impl Callbacks {
    /// Whether a step of the group failed: by an error, which the loop hears of, or without a word.
    #[cfg(feature = "failpoints")]
    fn failed(&self, point: &str) -> bool {
        let failure = failpoints::reached_by_thread(point);
        if failure == Some(failpoints::Failure::Error) {
            let code = rules::problem::Code::Kafka;
            let problem = rules::problem::Problem::new(code, format!("failpoint {point}"));
            let _ = self.events.send(Event::Broken(problem));
        }
        failure.is_some()
    }

    /// Whether the loop answered in time. Waiting for it is a sign of life.
    fn answered(&self, wait: &Receiver<()>) -> bool {
        let deadline = Instant::now() + self.patience;
        while Instant::now() < deadline {
            self.pulse.beat();
            if wait.recv_timeout(Duration::from_millis(100)) != Err(RecvTimeoutError::Timeout) {
                return true;
            }
        }
        false
    }
}

/// Sends what is on the board to Kafka, without waiting for the answer.
pub(super) fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    board: &OffsetBoard,
) {
    let offsets = board.take();
    if offsets.is_empty() {
        return;
    }
    #[cfg(feature = "failpoints")]
    match failpoints::reached_by_thread("offset_commit.before") {
        None => {}
        Some(failpoints::Failure::Error) => {
            offsets.iter().for_each(|(partition, offset)| board.put_back(*partition, *offset));
            return;
        }
        Some(failpoints::Failure::Drop) => return,
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in &offsets {
        let _ = list.add_partition_offset(topic, *partition, crate::at(*offset));
    }
    if let Err(error) = consumer.commit(&list, CommitMode::Async) {
        debug!(error = super::reason(&error), "an offset commit was refused");
    }
    #[cfg(feature = "failpoints")]
    let _ = failpoints::reached_by_thread("offset_commit.after");
}
