//! Topics that take nothing: missing, forbidden, without a leader. Kafka says of one message at a time that it was not
//! taken, so it is the message's topic that is held, whatever the reason: its rows are parked, and all others go on.
//! Where nothing works at all, every topic comes to be held in turn, slowly, because only an acknowledgement shows that
//! the rest of the world is well.
//!
//! A held topic is tried with its oldest row, at growing intervals, by a client of its own, which harms nobody else's
//! messages when it is refused. When that row is through, what was parked goes, in order, and what is new waits behind
//! it; then the topic is like any other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::producer::Line;
use super::term::Lead;
use super::trial::TRIAL;
use crate::kafka::sender::Delivered;
use crate::store::outbox::{Parking, Row, Waiting};
use rules::backoff::Backoff;
use rules::problem::Problem;
use rules::produce_error::{Blame, Refusal};
use rules::window::End;

/// Pauses before a topic is tried again.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), max: Duration::from_secs(10) };

/// Topics that are remembered because they took a message.
const SEEN: usize = 100;

/// The topics that take nothing, and what tries them.
#[derive(Default)]
pub(super) struct Topics {
    pub(super) held: HashMap<String, Held>,
    /// Topics that took a message in this term.
    seen: HashSet<String>,
    /// The client that tries some of them, since when.
    pub(super) trial: Option<(Line, Instant)>,
    /// The rows that it has.
    pub(super) rows: BTreeMap<u64, Row>,
    /// What came of rows that were tried, until the next step: with Kafka.
    pub(super) sent: Vec<i64>,
    /// And refused once more.
    pub(super) refused: Vec<Parking>,
}

/// A topic that takes nothing.
pub(super) struct Held {
    refusal: Refusal,
    pub(super) state: State,
    tries: u32,
    /// Its rows in the window that are to be parked by the next steps.
    unwritten: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is tried again then.
    Until(Instant),
    /// Its oldest row is on its way.
    Trying,
    /// It takes messages: what was parked goes before what is new.
    Draining,
}

impl Topics {
    /// Notes that a topic took a message.
    pub(super) fn works(&mut self, topic: &str) {
        if self.seen.len() < SEEN && !self.seen.contains(topic) {
            self.seen.insert(topic.to_owned());
        }
    }

    /// Whether a topic took a message in this term that is not held.
    fn others_work(&self) -> bool {
        self.seen.iter().any(|topic| !self.held.contains_key(topic))
    }

    /// Whether any is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Why a new row of this topic is to be parked, if it is.
    pub(super) fn refusal(&mut self, topic: &str) -> Option<Refusal> {
        if self.held.is_empty() {
            return None;
        }
        let held = self.held.get_mut(topic)?;
        held.unwritten += 1;
        Some(held.refusal.clone())
    }

    /// A row that was parked by its topic left the window, and will be written down with the step at hand.
    pub(super) fn written(&mut self, topic: &str) {
        if let Some(held) = self.held.get_mut(topic) {
            held.unwritten = held.unwritten.saturating_sub(1);
        }
    }

    /// Those whose rows may go.
    pub(super) fn draining(&self) -> Vec<String> {
        let draining = self.held.iter().filter(|(_, held)| held.state == State::Draining);
        draining.map(|(topic, _)| topic.clone()).collect()
    }

    /// No row that was parked is left of those that drain: from here on what is new goes at once.
    pub(super) fn drained(&mut self) {
        self.held.retain(|topic, held| {
            let done = held.state == State::Draining && held.unwritten == 0;
            if done {
                info!(topic, "the topic's events go again");
            }
            !done
        });
    }

    /// When to look after them next.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match &self.trial {
            Some((_, began)) => Some(*began + TRIAL),
            None => self.waiting().map(|(at, _)| at).min(),
        }
    }

    /// The next report of the client that tries them; waits for ever where there is none.
    pub(super) async fn report(&mut self) -> Delivered {
        match &mut self.trial {
            Some((line, _)) => line.report().await,
            None => std::future::pending().await,
        }
    }

    /// Whether rows that were tried have to be written down.
    pub(super) fn has_news(&self) -> bool {
        !self.sent.is_empty() || !self.refused.is_empty()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = (Instant, &String)> {
        self.held.iter().filter_map(|(topic, held)| match held.state {
            State::Until(at) => Some((at, topic)),
            State::Trying | State::Draining => None,
        })
    }

    pub(super) fn hold(&mut self, topic: &str, refusal: Refusal) {
        let delay = |tries| BACKOFF.delay(tries, fastrand::f64());
        let held = self.held.entry(topic.to_owned()).or_insert_with(|| Held {
            refusal: refusal.clone(),
            state: State::Draining,
            tries: 0,
            unwritten: 0,
        });
        held.refusal = refusal;
        held.state = State::Until(Instant::now() + delay(held.tries));
        held.tries = held.tries.saturating_add(1);
    }

    /// The database's word on which rows wait: of another relay's time, or asked for or taken away by a person.
    fn know(&mut self, waiting: Vec<Waiting>) {
        let now = Instant::now();
        self.held.retain(|topic, held| {
            let gone = waiting.iter().all(|known| known.topic != *topic);
            !(gone && held.unwritten == 0 && matches!(held.state, State::Until(_)))
        });
        for Waiting { topic, reason, advice, asked } in waiting {
            let refusal = Refusal { blame: Blame::World, reason, advice };
            let state = State::Until(now);
            let fresh = Held { refusal, state, tries: 0, unwritten: 0 };
            let held = self.held.entry(topic).or_insert(fresh);
            if asked && matches!(held.state, State::Until(_)) {
                held.state = state;
            }
        }
    }
}

impl Lead<'_> {
    /// Holds the topic of a row that was not taken, and parks what the window has of it.
    pub(super) fn hold(&mut self, token: u64, refusal: &Refusal) {
        let Some(item) = self.window.open(token) else { return };
        let topic = item.row.topic.clone();
        warn!(
            topic,
            hint = refusal.advice,
            "the topic takes nothing: {}; its events wait, all others go on (makegood outbox list)",
            refusal.reason
        );
        (self.unproven, self.holds) = (true, self.holds.saturating_add(1));
        self.topics.hold(&topic, refusal.clone());
        // What was said before of the silence is answered.
        let said = format!("topic {topic}: {}", refusal.reason);
        self.trouble = (!self.topics.others_work()).then(|| (said, refusal.advice.clone()));
        let open = self.window.all_open().filter(|(_, item)| item.row.topic == topic);
        let tokens: Vec<u64> = open.map(|(token, _)| token).collect();
        for token in tokens {
            if let Some(item) = self.window.open(token) {
                self.spans.ended(token, &item.row, Some("its topic takes nothing"));
            }
            if let Some(refusal) = self.topics.refusal(&topic) {
                self.window.settle(token, End::Parked(Some(refusal)));
            }
            self.careful.remove(&token);
            self.tries.remove(&token);
        }
    }

    /// Asks the database which topics are waited for.
    pub(super) async fn know_topics(&mut self) -> Result<(), Problem> {
        let waiting = self.session.waiting_topics().await;
        self.topics.know(waiting.map_err(|f| f.problem("cannot read what is parked"))?);
        if self.topics.is_empty() && self.unproven {
            (self.trouble, self.unproven) = (None, false);
        }
        Ok(())
    }
}

impl Topics {
    /// Nothing is known of it that was not known before: another time.
    pub(super) fn again(&mut self, topic: &str) {
        if let Some(held) = self.held.get(topic) {
            let refusal = held.refusal.clone();
            self.hold(topic, refusal);
        }
    }
}
