//! What comes back from a producer: delivery reports, complaints, silence. librdkafka's callbacks run
//! on the sender's polling thread and on no other.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::mpsc;
use tracing::debug;

use super::complaint::Complaint;
use super::refusal::refusal;
use super::sender::Pace;
use super::token;
use rules::diagnosis::{Code, Diagnosis, Trouble};
use rules::produce_error::{Blame, ProduceError};

/// How long no report may come for a waiting message before that is a trouble.
const SILENCE: Duration = Duration::from_secs(5);

/// How many messages may be on their way: more than enough to fill every partition's next batch.
const MOST_MESSAGES: usize = 20_000;
/// What their values may weigh together.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The token given at the hand-over.
    pub token: u64,
    /// Acknowledged by all in-sync replicas, or not taken.
    pub outcome: Result<(), ProduceError>,
}

/// What the callbacks and the sender share.
#[derive(Default)]
pub(super) struct State {
    /// Messages handed over that have no report yet, and what their values weigh.
    pub(super) open: usize,
    bytes: usize,
    /// When the last report came, or the first of those messages went.
    quiet_since: Option<Instant>,
    /// Since the first complaint, or the beginning of the silence, after the last delivery.
    trouble: Option<Trouble>,
    /// The first failure; nothing is taken after it.
    pub(super) stopped_by: Option<String>,
}

impl State {
    /// Whether a message has to wait for reports. One that is larger than the room goes alone.
    ///
    /// Counted here, because librdkafka gives room back a moment after the report: who waits for a
    /// report when its queue is full may wait for one that has come.
    pub(super) fn full(&self, size: usize) -> bool {
        self.open > 0 && (self.open >= MOST_MESSAGES || self.bytes + size > MOST_BYTES)
    }

    /// A message was handed over.
    pub(super) fn queued(&mut self, size: usize) {
        if self.open == 0 {
            let now = Instant::now();
            self.quiet_since = Some(now);
            // What was complained of before troubled nobody until now.
            self.trouble.iter_mut().for_each(|trouble| trouble.since = now);
        }
        self.open += 1;
        self.bytes += size;
    }

    /// A message has its report; `stops` says whether its refusal ends the sender.
    fn reported(
        &mut self,
        size: usize,
        outcome: &Result<(), ProduceError>,
        stops: impl Fn(&ProduceError) -> bool,
    ) {
        self.open = self.open.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        self.quiet_since = Some(Instant::now());
        match outcome {
            Ok(()) => self.trouble = None,
            Err(refusal) if stops(refusal) => self.stop(refusal),
            Err(_) => {}
        }
    }

    /// What is wrong while messages wait.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        // An idle connection that the broker closes is no trouble to anybody.
        if self.open == 0 {
            return None;
        }
        let quiet = self.quiet_since.filter(|since| since.elapsed() > SILENCE);
        self.trouble.clone().or_else(|| quiet.map(silence))
    }

    /// The sender takes nothing any more.
    pub(super) fn stop(&mut self, refusal: &ProduceError) {
        self.stopped_by.get_or_insert_with(|| refusal.reason.clone());
    }
}

/// librdkafka's callbacks; they run on the polling thread.
pub(super) struct Reports {
    pub(super) pace: Pace,
    pub(super) reports: mpsc::UnboundedSender<Delivered>,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) complaint: Complaint,
}

/// The trouble of a client that retries without a word. It does so for as long as it takes.
fn silence(since: Instant) -> Trouble {
    let why = Diagnosis::new(Code::Kafka, "no acknowledgement and no error").advice(
        "is the broker frozen, its disk full, its topic short of in-sync replicas (min.insync.replicas)? its log says which",
    );
    Trouble { since, diagnosis: why }
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, of: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token::generate(of)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        self.complaint.log(level, facility, words);
    }

    fn error(&self, error: KafkaError, words: &str) {
        debug!(error = super::reason(&error), words, "kafka producer");
        super::count(&error);
        self.complaint.note(&error, words);
        let said = refusal(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail), words);
        let mut state = lock(&self.state);
        if said.blame == Blame::Client {
            // The client is beyond repair; messages will get no other word of it.
            state.stop(&said);
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
            && state.trouble.is_some()
        {
            // It follows from what was said before, which tells more.
            return;
        }
        let since = state.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
        let advice = self.complaint.of_login().map_or(said.advice, str::to_owned);
        let diagnosis = Diagnosis::new(Code::Kafka, said.reason).advice(advice);
        state.trouble = Some(Trouble { since, diagnosis });
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let (Ok(message) | Err((_, message))) = result;
        let outcome = match result {
            Ok(_) => Ok(()),
            // The code only. librdkafka 2.12 has two texts for a report: one is the message's content,
            // the other (the broker's words) is freed before the report is read.
            Err((error, _)) => {
                Err(refusal(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail), ""))
            }
        };
        #[cfg(feature = "failpoints")]
        let outcome = match failpoints::reached_by_thread("relay.report") {
            None => outcome,
            Some(_) => Err(refusal(RDKafkaErrorCode::BrokerTransportFailure, "")),
        };
        let stops = |refusal: &ProduceError| match self.pace {
            Pace::Pipelined => true,
            Pace::OneByOne => refusal.blame != Blame::Row,
            Pace::Apart => refusal.blame == Blame::Client,
        };
        if outcome.is_ok() {
            self.complaint.clear();
        }
        lock(&self.state).reported(message.payload_len(), &outcome, stops);
        let _ = self.reports.send(Delivered { token: token as u64, outcome });
    }
}

/// The state, from either thread.
pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Each field is whole at every moment, so a panic elsewhere does not spoil it.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
