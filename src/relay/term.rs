//! One term as the outbox's relay: read ahead, send in order, move the cursor behind what is acknowledged.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Relay;
use super::cursor_writer::{self, Leaving};
use super::message::Texts;
use super::outbox_reader::Reading;
use super::producer::Line;
use super::topics::Topics;
use crate::kafka::sender::{Delivered, HandOver, Outgoing, Pace};
use crate::meter;
use crate::store::outbox::{Cursor, Lost, Row, Session};
use crate::trace;
use rules::problem::Problem;
use rules::produce_error::{Blame, Refusal};
use rules::window::{End, Window};

/// How long a stop waits for acknowledgements.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a term ended.
pub(super) enum Ending {
    /// It was told to stop, and gave the lease up.
    Stopped,
    /// Another daemon took over.
    Lost,
}

/// A row in the window.
pub(super) struct Item {
    pub(super) row: Row,
    /// The cursor that has passed it; none for a row that was parked and is tried again.
    pub(super) passed: Option<Cursor>,
}

/// The state of a term.
pub(super) struct Lead<'a> {
    pub(super) relay: &'a Relay,
    pub(super) session: Session,
    pub(super) step: i64,
    pub(super) cursor: Cursor,
    pub(super) reading: Reading,
    pub(super) window: Window<Item, Refusal>,
    pub(super) window_bytes: usize,
    /// The highest number of a row that was read.
    pub(super) top_seq: i64,
    /// The last row that was handed over, and so the last that a term which ends has to settle.
    pub(super) last_sent: u64,
    /// The spans of the messages in it.
    pub(super) spans: trace::Sends,
    pub(super) line: Line,
    /// Messages that were not delivered, and not answered for yet.
    pub(super) failed: Vec<(u64, Refusal)>,
    /// Rows that go alone.
    pub(super) careful: BTreeSet<u64>,
    /// How often Kafka refused a row for its own sake.
    pub(super) tries: HashMap<u64, u32>,
    /// Topics and keys that wait behind a row parked.
    pub(super) blocked: HashSet<(String, String)>,
    /// Topics that take nothing.
    pub(super) topics: Topics,
    /// A topic was held, and nothing has been acknowledged since: the rest of the world may be no better.
    pub(super) unproven: bool,
    /// When each row on its way was handed over, the oldest first.
    pub(super) handed: BTreeMap<u64, Instant>,
    /// When the newest of those acknowledged was.
    pub(super) acknowledged: Option<Instant>,
    /// Nothing is sent before then.
    pub(super) hold_until: Option<Instant>,
    pub(super) holds: u32,
    /// Why nothing is sent, and advice.
    pub(super) trouble: Option<(String, String)>,
    /// What else a person should know.
    pub(super) remark: Option<String>,
    /// What the last step said of the trouble, and whether it announced sleep.
    pub(super) said: (Option<(String, String)>, bool),
    pub(super) stepped_at: Instant,
    /// Rows acknowledged since the last step.
    pub(super) published: i64,
    /// Looks in a row that found nothing.
    pub(super) empty_looks: usize,
    pub(super) look_at: Instant,
    /// When a look last found rows after one that found none.
    pub(super) woke_at: Instant,
    pub(super) turn_at: Instant,
    /// When Kafka last said anything, or got something after a pause.
    pub(super) heard_at: Instant,
    /// A message whose way is timed, and when it was handed over.
    pub(super) timed: Option<(u64, Instant)>,
    /// When to look whether somebody wants rows parked to be sent again: their word may be lost.
    pub(super) retries_at: Instant,
    /// Those rows; they go when the window is empty.
    pub(super) retries: Vec<Row>,
    /// The window holds such rows; nothing else is read until it is empty.
    pub(super) retrying: bool,
    /// New rows are looked for once before the next of those.
    pub(super) others_first: bool,
    /// Whether that was so before the last of those.
    pub(super) others_turn: bool,
}

impl<'a> Lead<'a> {
    /// Begins at a claimed step.
    pub(super) fn begin(
        relay: &'a Relay,
        session: Session,
        line: Line,
        step: i64,
        cursor: Cursor,
    ) -> Lead<'a> {
        let now = Instant::now();
        Lead {
            relay,
            line,
            step,
            reading: Reading::from(cursor.clone()),
            cursor,
            session,
            window: Window::default(),
            window_bytes: 0,
            top_seq: 0,
            last_sent: 0,
            spans: trace::Sends::default(),
            failed: Vec::new(),
            careful: BTreeSet::new(),
            tries: HashMap::new(),
            blocked: HashSet::new(),
            topics: Topics::default(),
            unproven: false,
            handed: BTreeMap::new(),
            acknowledged: None,
            hold_until: None,
            holds: 0,
            trouble: None,
            remark: None,
            said: (None, false),
            stepped_at: now,
            published: 0,
            empty_looks: 0,
            look_at: now,
            woke_at: now,
            turn_at: now,
            heard_at: now,
            timed: None,
            retries_at: now,
            retries: Vec::new(),
            retrying: false,
            others_first: false,
            others_turn: false,
        }
    }

    /// Relays until told to stop or until another daemon has the lease.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Result<Ending, Problem> {
        let outcome = self.work(stop).await;
        match &outcome {
            Ok(Ending::Stopped) => self.leave().await,
            Ok(Ending::Lost) => {}
            // Its lease goes on until the next term, and nobody would see that nothing is sent.
            Err(problem) => {
                self.trouble = Some(super::said(problem));
                let _ = self.write_step(Leaving::No).await;
            }
        }
        self.line.close().await;
        outcome
    }

    async fn work(&mut self, stop: &CancellationToken) -> Result<Ending, Problem> {
        self.blocked = cursor_writer::blocked(&self.session).await?;
        self.know_topics().await?;
        while !stop.is_cancelled() {
            self.relay.sign.tick();
            while let Some(report) = self.line.ready() {
                self.note(report);
            }
            self.check_silence().await;
            self.recover().await?;
            self.try_topics().await?;
            self.hand_over(u64::MAX);
            if self.step_at() <= Instant::now() && self.write_step(Leaving::No).await?.is_err() {
                return Ok(Ending::Lost);
            }
            if self.retries_at <= Instant::now() {
                self.look_for_retries().await?;
            }
            if self.look_at().is_some_and(|at| at <= Instant::now()) {
                self.look().await?;
                continue;
            }
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                report = self.line.report() => self.note(report),
                report = self.topics.report() => self.note_trial(report),
                () = self.session.woken.notified() => self.woken().await?,
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        Ok(Ending::Stopped)
    }

    /// Hands rows to the client: all that wait, or one by one those that Kafka may have refused for a
    /// neighbour's sake; none after `last`.
    fn hand_over(&mut self, last: u64) {
        if self.hold_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.hold_until = None;
        let mut from = 0;
        while self.failed.is_empty() {
            let next = match self.careful.first() {
                Some(_) if self.window.in_flight() > 0 => return,
                Some(token) => self.window.open(*token).map(|item| (*token, item)),
                None => self.window.next_waiting_from(from),
            };
            let Some((token, item)) = next.filter(|(token, _)| *token <= last) else { return };
            let (topic, key) = (item.row.topic.as_str(), item.row.key.as_deref());
            from = token + 1;
            // One by one, the message before is settled anyway. All of its key wait, and nobody else.
            if self.line.pace == Pace::Pipelined && !self.line.trust.admits(topic, key) {
                continue;
            }
            let texts = Texts::of(&item.row);
            let message = Outgoing {
                topic,
                key: key.map(str::as_bytes),
                value: item.row.payload.as_bytes(),
                headers: &texts.headers(&item.row),
            };
            match self.line.sender.hand_over(token, &message) {
                Ok(()) => {
                    self.line.trust.sent(topic, key);
                    self.spans.handed_over(token, &item.row);
                    self.timed.get_or_insert_with(|| (token, Instant::now()));
                    if self.window.in_flight() == 0 {
                        self.heard_at = Instant::now();
                    }
                    self.handed.insert(token, Instant::now());
                    self.last_sent = self.last_sent.max(token);
                    self.window.sent(token);
                }
                Err(HandOver::Full) => return,
                // The client never takes it, so there is nothing to try again.
                Err(HandOver::Refused(refusal)) if refusal.blame == Blame::Row => {
                    self.parked(token, refusal);
                }
                Err(HandOver::Refused(refusal)) => self.failed.push((token, refusal)),
            }
        }
    }

    /// Notes what became of a message.
    pub(super) fn note(&mut self, report: Delivered) {
        self.heard_at = Instant::now();
        if let Some((_, handed)) = self.timed.take_if(|timed| timed.0 == report.token)
            && report.outcome.is_ok()
        {
            meter::acknowledged(handed.elapsed());
        }
        let handed = self.handed.remove(&report.token);
        match report.outcome {
            Ok(()) => {
                self.acknowledged = self.acknowledged.max(handed);
                let mut topic = None;
                if let Some(Item { row, .. }) = self.window.open(report.token) {
                    topic = Some(row.topic.clone());
                    self.line.trust.acknowledged(&row.topic, row.key.as_deref());
                    self.spans.ended(report.token, row, None);
                }
                self.window.settle(report.token, End::Delivered);
                self.careful.remove(&report.token);
                self.tries.remove(&report.token);
                self.works(topic.as_deref().unwrap_or_default());
            }
            Err(refusal) => self.failed.push((report.token, refusal)),
        }
    }

    /// Kafka has taken something: what does not go has reasons of its own.
    pub(super) fn works(&mut self, topic: &str) {
        self.topics.works(topic);
        (self.trouble, self.holds) = (None, 0);
        if std::mem::take(&mut self.unproven) {
            self.look_at = Instant::now();
        }
    }

    /// Waits for what is on its way, then gives the lease up. What is not acknowledged by then is sent
    /// again by the next relay.
    async fn leave(&mut self) {
        let deadline = Instant::now() + DRAIN;
        while self.failed.is_empty() {
            // Rows that waited for another of their key, while later ones of other keys went.
            self.hand_over(self.last_sent);
            if self.window.in_flight() == 0 {
                break;
            }
            match tokio::time::timeout_at(deadline, self.line.report()).await {
                Ok(report) => self.note(report),
                Err(_) => break,
            }
        }
        match self.write_step(Leaving::Yes).await {
            Ok(Ok(())) => {
                info!(shard = self.relay.shard.number, "gave the outbox up");
                // Followers that do not hear of it look soon anyway.
                let _ = self.session.farewell().await;
            }
            Ok(Err(Lost)) | Err(_) => {
                debug!("could not give the outbox up; the lease runs out soon")
            }
        }
    }
}
