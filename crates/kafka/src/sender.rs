//! Sends messages in order, and says what became of each.
//!
//! A sender stops at the first message that is not delivered: it takes nothing more, so that no later
//! message of the same key can overtake the one that failed. End it, and resend what has no good
//! report, in order, through a new one: those that were refused with [`Blame::Row`] one by one,
//! because a broker refuses whole batches.
//!
//! One thing is left to the caller. Until a partition has taken a batch of a producer, the broker takes
//! any sequence number from it, so a second request already on its way is taken after the first was
//! refused (seen on Kafka 4.1 with librdkafka 2.12.1, with `max.in.flight=1` too). So the second message
//! of a key must wait until the first is acknowledged (`crates/rules`, `first_ack_gate.rs`).

use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::complaint::Complaint;
use super::refusal::refusal;
pub use super::reports::Delivered;
use super::reports::{Reports, State, lock};
use super::{login, settings};
use rules::diagnosis::Trouble;
use rules::problem::{Code, Problem};
use rules::produce_error::{Blame, ProduceError, topic_fault};
pub use rules::relay::Pace;

/// How long one poll serves delivery reports; a close, or the purge after a failure, waits for its end. rdkafka (0.39)
/// spins through the last millisecond of each poll, which cost an idle daemon two thirds of its processor time: where
/// nothing is on its way the thread sleeps instead, until something is handed over.
const POLL: Duration = Duration::from_millis(100);

/// One message to send. Borrowed: librdkafka copies key, value and headers.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Messages of one key go to one partition, in order; those without go anywhere.
    pub key: Option<&'a [u8]>,
    /// The content.
    pub value: &'a [u8],
    /// Names and values, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Why a message was not handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// Enough is on its way: try the same message again when a report has come, and one will.
    Full,
    /// Nothing was queued, and no report will come.
    Refused(ProduceError),
}

/// A producer and the thread that collects its delivery reports.
pub struct Sender {
    client: Arc<BaseProducer<Reports>>,
    pace: Pace,
    state: Arc<Mutex<State>>,
    closed: oneshot::Receiver<()>,
    /// Serves the reports.
    server: Thread,
    /// Its login.
    login: u64,
}

impl Sender {
    /// Opens a producer; it connects by itself and goes on trying. `reports` gets one [`Delivered`]
    /// for each message handed over, until the sender is closed. Give each sender a channel of its
    /// own: reports of a closed one may still come. Fails on settings that librdkafka refuses.
    ///
    /// The first acknowledgement takes half a second (librdkafka asks for its producer id before it is
    /// connected, and again 500 ms later), so a sender is kept for as long as it works.
    pub fn new(
        kafka: &config::Kafka,
        pace: Pace,
        reports: mpsc::UnboundedSender<Delivered>,
    ) -> Result<Sender, Problem> {
        let state = Arc::new(Mutex::new(State::default()));
        let context =
            Reports { pace, reports, state: state.clone(), complaint: Complaint::default() };
        let login = login::version();
        let settings = settings::relay(kafka, "makegood-relay", pace);
        let client: BaseProducer<Reports> =
            settings.create_with_context(context).map_err(|e| super::unusable(&settings, &e))?;
        let client = Arc::new(client);
        let (close, closed) = oneshot::channel();
        let (polled, watched) = (client.clone(), state.clone());
        let server = thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(move || {
                poll(polled, &watched);
                let _ = close.send(());
            })
            .map_err(|e| {
                Problem::new(Code::System, format!("cannot start the Kafka thread: {e}"))
            })?;
        let server = server.thread().clone();
        Ok(Sender { client, pace, state, closed, server, login })
    }

    /// Hands a message over, after all those before it; never blocks. Its record gets the time of
    /// this call, not the row's: Kafka's retention goes by the record's timestamp, and a row that
    /// waited for two weeks would be deleted at once.
    pub fn hand_over(&self, token: u64, message: &Outgoing<'_>) -> Result<(), HandOver> {
        if let Some(fault) = topic_fault(message.topic) {
            return Err(HandOver::Refused(ProduceError {
                blame: Blame::Row,
                reason: format!("`{}` cannot be a topic: {fault}", message.topic.escape_debug()),
                advice: "publish to a topic that Kafka can have".to_owned(),
            }));
        }
        let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in message.headers {
            headers = headers.insert(Header { key, value: Some(*value) });
        }
        let mut record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(message.topic, token as usize);
        record.key = message.key;
        record.payload = Some(message.value);
        record.headers = Some(headers);
        // Locked until the message is queued, so that its report cannot be counted before it is.
        let mut state = lock(&self.state);
        if let Some(reason) = &state.stopped_by {
            return Err(HandOver::Refused(ProduceError {
                blame: Blame::Client,
                reason: format!("stopped after {reason}"),
                advice: String::new(),
            }));
        }
        let size = message.value.len();
        if state.full(size) || self.pace == Pace::OneByOne && state.open > 0 {
            return Err(HandOver::Full);
        }
        #[cfg(feature = "failpoints")]
        if failpoints::reached_by_thread("relay.send").is_some() {
            let refusal = refusal(RDKafkaErrorCode::BrokerTransportFailure, "");
            state.stop(&refusal);
            return Err(HandOver::Refused(refusal));
        }
        let Err((error, _)) = self.client.send(record) else {
            state.queued(size);
            self.server.unpark();
            return Ok(());
        };
        let refusal = match error.rdkafka_error_code() {
            Some(code) => refusal(code, ""),
            None => refusal(RDKafkaErrorCode::Fail, &error.to_string()),
        };
        if refusal.blame == Blame::Client
            || refusal.blame == Blame::World && self.pace != Pace::Apart
        {
            state.stop(&refusal);
        }
        Err(HandOver::Refused(refusal))
    }

    /// What is wrong while messages wait, for people: what the client complains of, or that it says
    /// nothing. A delivery clears it.
    pub fn trouble(&self) -> Option<Trouble> {
        lock(&self.state).trouble()
    }

    /// Whether this client's login is refused, and there is another one by now.
    pub fn is_outdated(&self) -> bool {
        let is_refused = self.client.context().complaint.of_login().is_some();
        is_refused && login::is_newer_than(self.login)
    }

    /// Whether a broker answers this client at all.
    pub async fn is_answered(&self, patience: Duration) -> bool {
        let client = self.client.clone();
        // A topic that nobody has: what one knows of all topics may be large.
        let ask = move || client.client().fetch_metadata(Some("makegood"), patience).is_ok();
        tokio::task::spawn_blocking(ask).await.unwrap_or(false)
    }

    /// Ends: what is queued or on its way is given up and reported so. Closing can hang inside
    /// librdkafka (rust-rdkafka#453), so this waits only `patience`.
    pub async fn close(self, patience: Duration) {
        drop(self.client);
        self.server.unpark();
        if tokio::time::timeout(patience, self.closed).await.is_err() {
            warn!("the Kafka producer did not close in time");
        }
    }
}

/// Serves the callbacks for as long as a sender holds the client; then ends the client, which purges
/// it, reports what was purged, and may hang inside librdkafka.
fn poll(client: Arc<BaseProducer<Reports>>, state: &Mutex<State>) {
    while Arc::strong_count(&client) > 1 {
        if client.in_flight_count() > 0 {
            client.poll(POLL);
        } else {
            thread::park_timeout(POLL);
            // The client's own complaints and a login that ran out are told by this as well.
            client.poll(Duration::ZERO);
        }
        if lock(state).stopped_by.is_some() {
            // Messages that were to be retried when the client failed stay in its queue without a
            // report, for ever. What is on its way may still get its true one.
            client.purge(PurgeConfig::default().queue().non_blocking());
        }
    }
}
