//! The machine of one term as the outbox's relay: rows are read ahead, sent in order, and the cursor follows what Kafka
//! acknowledged. The loop tells it what happened, does what is due, and carries the actions out.
//!
//! All of a term can be lost: the newest step in PostgreSQL says where the next one begins.

mod acknowledgements;
mod polling;
mod retries;
mod sending;
mod steps;
/// Topics that take nothing.
mod topics;

use std::collections::HashSet;
use std::time::Instant;

use super::diagnosis::Diagnosis;
use super::produce_error::ProduceError;
use super::window::Window;
use acknowledgements::Acknowledgements;
use polling::Polling;
use retries::Retries;
pub use sending::{Pace, State};
use sending::{Sending, SuspectRows};
use steps::CursorSteps;
pub use steps::{Aside, CursorStep, LEASE, Parking};
use topics::Topics;
pub use topics::WaitingTopic;

/// A row of the outbox.
pub trait RelayRow {
    /// Its number: the rows of one key go in this order.
    fn seq(&self) -> i64;
    /// Its topic.
    fn topic(&self) -> &str;
    /// Its key.
    fn key(&self) -> Option<&str>;
    /// How much it weighs, in bytes.
    fn bytes(&self) -> usize;
}

/// A row on its way.
#[derive(Clone, Debug)]
struct Item<R, C> {
    row: R,
    /// The cursor that has passed it; none for a row that was parked and is tried again.
    passed: Option<C>,
}

/// What happens to a term.
#[derive(Clone, Debug)]
pub enum Event<R, C> {
    /// Kafka has a message, or the client failed with it.
    Delivered(u64, Result<(), ProduceError>),
    /// The client did not take a message at the hand-over, and queued nothing.
    NotTaken(u64, ProduceError),
    /// Another client of this pace sends from now on. The former one has said all that it had to say.
    Replaced(Pace),
    /// The client complains while messages wait.
    Complains(Diagnosis),
    /// The login to Kafka that the client was refused with is another by now.
    LoginChanged,
    /// Nothing was acknowledged for long, and a broker was asked whether it is there.
    Silent {
        /// Whether it answered.
        answered: bool,
    },
    /// The outbox was read.
    Read {
        /// The next rows, each with the cursor that has passed it.
        rows: Vec<(R, C)>,
        /// The cursor that everything read has passed.
        read_to: C,
        /// Whether there are more that are known.
        more: bool,
    },
    /// A publisher, or somebody who asked for rows that were parked, wakes the relay.
    Woken,
    /// The keys that wait behind a row that is parked: topic and key.
    Blocked(HashSet<(String, String)>),
    /// The topics that rows which are parked wait for.
    Waiting(Vec<WaitingTopic>),
    /// Rows that were parked and may go, in order.
    Found(Vec<R>),
    /// A topic's oldest row was handed to a client of its own.
    Tried(String),
    /// What became of a row that tries its topic.
    TrialEnded(TopicTrial),
    /// The client that tries topics has nothing any more.
    TrialOver,
    /// The step was written that [`Term::step`] gave out.
    Written(CursorStep<C>),
}

/// What became of a row that tries its topic.
#[derive(Clone, Debug)]
pub struct TopicTrial {
    /// The topic.
    pub topic: String,
    /// The row's key.
    pub key: Option<String>,
    /// The row's number.
    pub seq: i64,
    /// Whether Kafka has it; `None` if that is not known, and nothing has changed.
    pub outcome: Option<Result<(), ProduceError>>,
}

/// What the loop does at once, in this order: most are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tells that a row is parked.
    Parked(u64, ProduceError),
    /// Tells that a row waits behind one of its key.
    Behind(u64),
    /// Tells that a topic takes nothing, and that its rows in the window are parked.
    Held(String, ProduceError, Vec<u64>),
    /// Tells that a topic takes messages again.
    Freed(String),
    /// Tells that a row was refused, and is sent alone.
    Suspected(String),
    /// Tells that a client failed.
    ClientFailed(String),
    /// Tells what keeps everything waiting.
    Waits(Diagnosis),
    /// Reads which keys wait.
    ReadBlocked,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Ends the client and opens another of this pace.
    Replace(Pace),
    /// Asks a broker whether it is there.
    AskBroker,
    /// Ends the client that tries topics.
    EndTrial,
    /// Tries these topics, each with its oldest row.
    Try(Vec<String>),
    /// Writes a step.
    Step,
    /// Reads which topics are waited for, and the rows that were parked and may go.
    Find,
    /// Hands rows over that were parked and are in the window now.
    Send,
    /// Reads the outbox on.
    Read,
}

/// The state of a term. `R` are rows, `C` cursors.
#[derive(Debug)]
pub struct Term<R, C> {
    sending: Sending,
    window: Window<Item<R, C>, ProduceError>,
    suspects: SuspectRows,
    /// Topics and keys that wait behind a row that is parked.
    blocked: HashSet<(String, String)>,
    topics: Topics,
    acknowledgements: Acknowledgements,
    retries: Retries<R>,
    polling: Polling,
    steps: CursorSteps<C>,
}

impl<R: RelayRow, C: Clone> Term<R, C> {
    /// Begins at a claimed cursor. `can_be_woken` says whether publishers may send a word to a relay that sleeps.
    pub fn begin(cursor: C, can_be_woken: bool, now: Instant) -> Term<R, C> {
        Term {
            sending: Sending::default(),
            window: Window::default(),
            suspects: SuspectRows::default(),
            blocked: HashSet::new(),
            topics: Topics::default(),
            acknowledgements: Acknowledgements::begin(now),
            retries: Retries::begin(now),
            polling: Polling::begin(can_be_woken, now),
            steps: CursorSteps::begin(cursor, now),
        }
    }

    /// Takes an event in. `chance` is between 0 and 1 and keeps pauses of several relays apart.
    pub fn on(&mut self, event: Event<R, C>, now: Instant, chance: f64) -> Vec<Action> {
        match event {
            Event::Delivered(token, outcome) => self.delivered(token, outcome, now, chance),
            Event::NotTaken(token, refusal) => self.not_taken(token, refusal),
            Event::Replaced(pace) => self.replaced(pace, now, chance),
            Event::Complains(diagnosis) => self.complains(diagnosis),
            Event::LoginChanged => self.login_changed(),
            Event::Silent { answered } => self.silent(answered),
            Event::Read { rows, read_to, more } => self.read(rows, read_to, more, now, chance),
            Event::Woken => self.woken(now),
            Event::Blocked(keys) => self.now_blocked(keys),
            Event::Waiting(topics) => self.now_waiting(topics, now),
            Event::Found(rows) => self.found(rows, now),
            Event::Tried(topic) => self.topics.tried(&topic, now),
            Event::TrialEnded(trial) => self.trial_ended(trial, now, chance),
            Event::TrialOver => self.topics.trial_over(now, chance),
            Event::Written(step) => self.written(step, now),
        }
    }

    /// What is to be done now, the most urgent first; nothing before [`Term::wakes_at`] otherwise, unless something
    /// happens. Messages that [`Term::next_to_send`] gives out go before it is asked.
    pub fn due(&mut self, now: Instant) -> Option<Task> {
        self.look_for_stuck(now);
        if self.is_silent(now) {
            return Some(Task::AskBroker);
        }
        if let Some(pace) = self.wanted_client() {
            return Some(Task::Replace(pace));
        }
        if let Some(task) = self.topics.due(now) {
            return Some(task);
        }
        if self.steps_at(now) <= now {
            return Some(Task::Step);
        }
        if self.finds_at().is_some_and(|at| at <= now) {
            return Some(Task::Find);
        }
        if self.reads_at(now).is_none_or(|at| at > now) {
            return None;
        }
        Some(if self.take_retries() { Task::Send } else { Task::Read })
    }

    /// When something is due by itself.
    pub fn wakes_at(&self, now: Instant) -> Instant {
        let may_be = [
            self.finds_at(),
            self.reads_at(now),
            self.sending.paused_until(),
            self.topics.due_at(),
        ];
        may_be.into_iter().flatten().fold(self.steps_at(now), Instant::min)
    }

    /// A row of the window, whatever became of it.
    pub fn row(&self, token: u64) -> Option<&R> {
        self.window.any(token).map(|item| &item.row)
    }

    /// How many messages are on their way.
    pub fn in_flight(&self) -> usize {
        self.window.in_flight()
    }
}

#[cfg(test)]
mod tests;
