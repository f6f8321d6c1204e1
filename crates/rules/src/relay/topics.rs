//! Topics that take nothing: missing, forbidden, without a leader. Kafka says of one message at a time that it was not
//! taken, so it is the message's topic that is held, whatever the reason: its rows are parked, and all others go on.
//! Where nothing works at all, every topic comes to be held in turn, slowly, because only an acknowledgement shows that
//! the rest of the world is well.
//!
//! A held topic is tried with its oldest row, at growing intervals, by a client of its own, which harms nobody else's
//! messages when it is refused. When that row is through, what was parked goes, in order, and what is new waits behind
//! it; then the topic is like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::steps::Parking;
use super::{Action, RelayRow, Task, Term, TopicTrial};
use crate::backoff::Backoff;
use crate::diagnosis::Diagnosis;
use crate::produce_error::{Blame, ProduceError};
use crate::window::End;

/// Pauses before a topic is tried again.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), max: Duration::from_secs(10) };
/// How long a trial may take. A missing topic is refused within five seconds; a silent one never.
const TRIAL: Duration = Duration::from_secs(15);
/// Topics tried at once.
const TRIED: usize = 20;
/// Topics that are remembered because they took a message.
const SEEN: usize = 100;

/// The topics that take nothing.
#[derive(Debug, Default)]
pub(super) struct Topics {
    held: BTreeMap<String, Held>,
    /// Topics that took a message in this term.
    seen: BTreeSet<String>,
    /// Since when some of them are tried.
    trial: Option<Instant>,
    /// What came of rows that were tried, until the next step: with Kafka.
    pub(super) sent: Vec<i64>,
    /// And refused once more.
    pub(super) refused: Vec<Parking>,
}

/// A topic that takes nothing.
#[derive(Debug)]
struct Held {
    refusal: ProduceError,
    state: State,
    tries: u32,
    /// Its rows in the window that are to be parked by the next steps.
    unwritten: usize,
}

/// What a held topic is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is tried again then.
    Until(Instant),
    /// Its oldest row is on its way.
    Trying,
    /// It takes messages: what was parked goes before what is new.
    Draining,
}

/// A topic that rows which are parked wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingTopic {
    /// Its name.
    pub topic: String,
    /// Why it takes nothing, and what to do about it.
    pub diagnosis: Diagnosis,
    /// Whether somebody asked to try it now.
    pub asked: bool,
}

impl Topics {
    /// Notes that a topic took a message.
    pub(super) fn takes(&mut self, topic: &str) {
        if self.seen.len() < SEEN && !self.seen.contains(topic) {
            self.seen.insert(topic.to_owned());
        }
    }

    /// Whether a topic took a message in this term that is not held.
    fn others_work(&self) -> bool {
        self.seen.iter().any(|topic| !self.held.contains_key(topic))
    }

    /// Why a new row of this topic is to be parked, if it is.
    pub(super) fn refusal(&mut self, topic: &str) -> Option<ProduceError> {
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
    pub(super) fn drained(&mut self) -> Vec<Action> {
        let mut freed = Vec::new();
        self.held.retain(|topic, held| {
            let is_done = held.state == State::Draining && held.unwritten == 0;
            if is_done {
                freed.push(Action::Freed(topic.clone()));
            }
            !is_done
        });
        freed
    }

    /// Whether rows that were tried have to be written down.
    pub(super) fn has_news(&self) -> bool {
        !self.sent.is_empty() || !self.refused.is_empty()
    }

    /// When to look after them next.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.trial {
            Some(began) => Some(began + TRIAL),
            None => self.waiting().map(|(at, _)| at).min(),
        }
    }

    /// What is to be done about them now.
    pub(super) fn due(&self, now: Instant) -> Option<Task> {
        if self.due_at().is_none_or(|at| at > now) {
            return None;
        }
        if self.trial.is_some() {
            return Some(Task::EndTrial);
        }
        let due = self.waiting().filter(|(at, _)| *at <= now);
        Some(Task::Try(due.map(|(_, topic)| topic.clone()).take(TRIED).collect()))
    }

    fn waiting(&self) -> impl Iterator<Item = (Instant, &String)> {
        self.held.iter().filter_map(|(topic, held)| match held.state {
            State::Until(at) => Some((at, topic)),
            State::Trying | State::Draining => None,
        })
    }

    pub(super) fn tried(&mut self, topic: &str, now: Instant) -> Vec<Action> {
        self.trial.get_or_insert(now);
        self.becomes(topic, State::Trying)
    }

    /// Rows that have said nothing tell nothing that was not known before.
    pub(super) fn trial_over(&mut self, now: Instant, chance: f64) -> Vec<Action> {
        self.trial = None;
        let trying = self.held.iter().filter(|(_, held)| held.state == State::Trying);
        let trying: Vec<String> = trying.map(|(topic, _)| topic.clone()).collect();
        trying.iter().for_each(|topic| self.again(topic, now, chance));
        Vec::new()
    }

    fn becomes(&mut self, topic: &str, state: State) -> Vec<Action> {
        if let Some(held) = self.held.get_mut(topic) {
            held.state = state;
        }
        Vec::new()
    }

    fn hold(&mut self, topic: &str, refusal: ProduceError, now: Instant, chance: f64) {
        let held = self.held.entry(topic.to_owned()).or_insert_with(|| Held {
            refusal: refusal.clone(),
            state: State::Until(now),
            tries: 0,
            unwritten: 0,
        });
        held.refusal = refusal;
        held.state = State::Until(now + BACKOFF.delay(held.tries, chance));
        held.tries = held.tries.saturating_add(1);
    }

    /// Nothing is known of it that was not known before: another time.
    fn again(&mut self, topic: &str, now: Instant, chance: f64) {
        if let Some(held) = self.held.get(topic) {
            let refusal = held.refusal.clone();
            self.hold(topic, refusal, now, chance);
        }
    }

    /// The database's word on which rows wait: of another relay's time, or asked for or taken away by a person.
    fn know(&mut self, waiting: Vec<WaitingTopic>, now: Instant) {
        self.held.retain(|topic, held| {
            let is_gone = waiting.iter().all(|known| known.topic != *topic);
            !(is_gone && held.unwritten == 0 && matches!(held.state, State::Until(_)))
        });
        let state = State::Until(now);
        for WaitingTopic { topic, diagnosis: Diagnosis { reason, advice, .. }, asked } in waiting {
            let refusal = ProduceError { blame: Blame::World, reason, advice };
            let fresh = Held { refusal, state, tries: 0, unwritten: 0 };
            let held = self.held.entry(topic).or_insert(fresh);
            if asked && matches!(held.state, State::Until(_)) {
                held.state = state;
            }
        }
    }
}

impl<R: RelayRow, C: Clone> Term<R, C> {
    /// Topics whose rows that were parked may go.
    pub fn draining(&self) -> Vec<String> {
        self.topics.draining()
    }

    /// Holds the topic of a row that was not taken, and parks what the window has of it.
    pub(super) fn hold(
        &mut self,
        token: u64,
        refusal: ProduceError,
        now: Instant,
        chance: f64,
    ) -> Vec<Action> {
        let Some(item) = self.window.open(token) else { return Vec::new() };
        let topic = item.row.topic().to_owned();
        self.polling.is_unproven();
        self.sending.failures = self.sending.failures.saturating_add(1);
        self.topics.hold(&topic, refusal.clone(), now, chance);
        // What was said before of the silence is answered.
        let reason = format!("topic {topic}: {}", refusal.reason);
        let said = Diagnosis { reason, ..refusal.clone().diagnosis() };
        self.steps.trouble = (!self.topics.others_work()).then_some(said);
        let open = self.window.all_open().filter(|(_, item)| item.row.topic() == topic);
        let tokens: Vec<u64> = open.map(|(token, _)| token).collect();
        for token in &tokens {
            let refusal = self.topics.refusal(&topic);
            self.window.settle(*token, End::Parked(refusal));
            self.suspects.forget(*token);
        }
        vec![Action::Held(topic, refusal, tokens)]
    }

    pub(super) fn now_waiting(&mut self, waiting: Vec<WaitingTopic>, now: Instant) -> Vec<Action> {
        self.topics.know(waiting, now);
        if self.topics.held.is_empty() && self.polling.is_proven(now) {
            self.steps.trouble = None;
        }
        Vec::new()
    }

    pub(super) fn trial_ended(
        &mut self,
        trial: TopicTrial,
        now: Instant,
        chance: f64,
    ) -> Vec<Action> {
        let TopicTrial { topic, key, seq, outcome } = trial;
        let Err(refusal) = (match outcome {
            None => {
                self.topics.again(&topic, now, chance);
                return Vec::new();
            }
            Some(outcome) => outcome,
        }) else {
            self.steps.published += 1;
            self.takes(&topic, now);
            self.topics.sent.push(seq);
            return self.topics.becomes(&topic, State::Draining);
        };
        let by_topic = match refusal.blame {
            // Its own fault: the next one tries the topic.
            Blame::Row => false,
            Blame::World => true,
            Blame::Client => {
                self.topics.again(&topic, now, chance);
                return Vec::new();
            }
        };
        let said = refusal.clone().diagnosis();
        self.topics.refused.push(Parking { seq, refusal: Some(said), by_topic });
        if by_topic {
            self.topics.hold(&topic, refusal, now, chance);
        } else {
            self.blocked.extend(key.map(|key| (topic.clone(), key)));
            self.topics.becomes(&topic, State::Until(now));
        }
        Vec::new()
    }
}
