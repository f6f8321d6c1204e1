//! What goes to Kafka next, and what it means that something did not.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::{Action, RelayRow, Term};
use crate::backoff::Backoff;
use crate::first_ack_gate::Trust;
use crate::produce_error::{Blame, ProduceError};
use crate::window::End;

/// Pauses before the same rows are sent again.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) };
/// How often Kafka may refuse a row before it is parked: once in a batch, where a neighbour may be to blame, and then
/// alone.
const TRIES: u32 = 3;

/// How much a client may have on its way at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// As much as there is room for. The first message that is not delivered stops the client.
    #[default]
    Pipelined,
    /// One message: its refusal is its own. A [`Blame::Row`] does not stop such a client; it is how the culprit is found
    /// among those that were refused in one batch.
    OneByOne,
    /// Messages of as many topics: none waits for another, and a refusal stops nothing.
    Apart,
}

/// What sending is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// All that wait go.
    Pipelined,
    /// Rows go one by one, for one of them is refused for its own sake.
    Careful,
    /// Messages were not delivered: nothing goes before another client is there, so that nothing overtakes them.
    Failed,
    /// The client failed again: nothing goes for a while.
    Paused,
}

/// How messages go.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// What the client at hand keeps to.
    pace: Pace,
    /// Which keys may have more than one message on their way through it.
    trust: Trust,
    gate: Gate,
    /// How often in a row the client failed, or a topic was held, and nothing was acknowledged since.
    pub(super) failures: u32,
}

/// Whether messages may go.
#[derive(Debug, Default)]
enum Gate {
    #[default]
    Open,
    /// These were not delivered, and are not judged yet.
    Failed(Vec<(u64, ProduceError)>),
    Paused(Instant),
}

impl Sending {
    /// When messages may go again.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        match self.gate {
            Gate::Paused(until) => Some(until),
            Gate::Open | Gate::Failed(_) => None,
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.gate, Gate::Failed(_))
    }

    /// Notes a message that was not delivered.
    pub(super) fn failed(&mut self, token: u64, refusal: ProduceError) {
        match &mut self.gate {
            Gate::Failed(failed) => failed.push((token, refusal)),
            gate => *gate = Gate::Failed(vec![(token, refusal)]),
        }
    }
}

/// Rows that Kafka may have refused for their own sake.
#[derive(Debug, Default)]
pub(super) struct SuspectRows {
    /// These go alone.
    alone: BTreeSet<u64>,
    /// How often each was refused.
    tries: HashMap<u64, u32>,
}

impl SuspectRows {
    pub(super) fn is_empty(&self) -> bool {
        self.alone.is_empty()
    }

    pub(super) fn forget(&mut self, token: u64) {
        self.alone.remove(&token);
        self.tries.remove(&token);
    }
}

impl<R: RelayRow, C: Clone> Term<R, C> {
    /// What sending is in.
    pub fn state(&self) -> State {
        match (&self.sending.gate, self.sending.pace) {
            (Gate::Failed(_), _) => State::Failed,
            (Gate::Paused(_), _) => State::Paused,
            (Gate::Open, Pace::OneByOne) => State::Careful,
            (Gate::Open, _) => State::Pipelined,
        }
    }

    /// The next message to hand over, at `from` or after it and not after `last`: any that waits, or one by one those that
    /// Kafka may have refused for a neighbour's sake.
    pub fn next_to_send(&mut self, mut from: u64, last: u64, now: Instant) -> Option<(u64, &R)> {
        if self.sending.paused_until().is_some_and(|until| until <= now) {
            self.sending.gate = Gate::Open;
        }
        if !matches!(self.sending.gate, Gate::Open) || self.wanted_client().is_some() {
            return None;
        }
        let token = loop {
            let token = match self.suspects.alone.first() {
                Some(_) if self.window.in_flight() > 0 => return None,
                Some(token) => *token,
                None => self.window.next_waiting_from(from)?.0,
            };
            let (topic, key) = way_of(&self.window.open(token)?.row);
            // One by one, the message before is settled anyway. All of its key wait, and nobody else.
            if self.sending.pace != Pace::Pipelined || self.sending.trust.admits(topic, key) {
                break token;
            }
            from = token + 1;
        };
        let item = self.window.open(token).filter(|_| token <= last)?;
        Some((token, &item.row))
    }

    /// Notes that the client took a message.
    pub fn handed_over(&mut self, token: u64, now: Instant) {
        if let Some(item) = self.window.open(token) {
            self.sending.trust.sent(item.row.topic(), item.row.key());
        }
        self.acknowledgements.awaits(token, self.window.in_flight() == 0, now);
        self.window.sent(token);
    }

    /// Notes what became of a message.
    pub(super) fn delivered(
        &mut self,
        token: u64,
        outcome: Result<(), ProduceError>,
        now: Instant,
        chance: f64,
    ) -> Vec<Action> {
        self.acknowledgements.came(token, outcome.is_ok(), now);
        let Err(refusal) = outcome else {
            if let Some(item) = self.window.open(token) {
                let (topic, key) = way_of(&item.row);
                self.sending.trust.acknowledged(topic, key);
                let topic = topic.to_owned();
                self.takes(&topic, now);
            }
            self.window.settle(token, End::Delivered);
            self.suspects.forget(token);
            return Vec::new();
        };
        let is_alone =
            matches!(self.sending.gate, Gate::Open) && self.sending.pace == Pace::OneByOne;
        if is_alone && refusal.blame == Blame::Row {
            self.send_again();
            return self.judge(vec![(token, refusal)], now, chance);
        }
        self.sending.failed(token, refusal);
        Vec::new()
    }

    /// Kafka has taken something: what does not go has reasons of its own.
    pub(super) fn takes(&mut self, topic: &str, now: Instant) {
        self.topics.takes(topic);
        self.steps.trouble = None;
        self.sending.failures = 0;
        self.polling.is_proven(now);
    }

    /// What the client never takes there is no use in trying again.
    pub(super) fn not_taken(&mut self, token: u64, refusal: ProduceError) -> Vec<Action> {
        if refusal.blame == Blame::Row {
            return self.park(token, refusal);
        }
        self.sending.failed(token, refusal);
        Vec::new()
    }

    /// The pace of the client that has to take this one's place, if one has to: after its first failure a pipelined one
    /// takes nothing more.
    pub(super) fn wanted_client(&self) -> Option<Pace> {
        let is_doubted = match &self.sending.gate {
            Gate::Failed(failed) => failed.iter().any(|(_, refusal)| refusal.blame == Blame::Row),
            _ if self.sending.pace == Pace::OneByOne && self.suspects.is_empty() => false,
            _ => return None,
        };
        let is_careful = is_doubted || !self.suspects.is_empty();
        Some(if is_careful { Pace::OneByOne } else { Pace::Pipelined })
    }

    pub(super) fn replaced(&mut self, pace: Pace, now: Instant, chance: f64) -> Vec<Action> {
        self.send_again();
        self.acknowledgements.heard(now);
        (self.sending.pace, self.sending.trust) = (pace, Trust::default());
        match std::mem::take(&mut self.sending.gate) {
            Gate::Failed(failed) => self.judge(failed, now, chance),
            gate => {
                self.sending.gate = gate;
                Vec::new()
            }
        }
    }

    fn send_again(&mut self) {
        self.window.resend();
        self.acknowledgements.await_nothing();
    }

    /// What the failures mean: what is not the message's own fault holds its topic; a message refused for its own sake
    /// is looked at alone; a client that failed is replaced, after a pause.
    fn judge(
        &mut self,
        failed: Vec<(u64, ProduceError)>,
        now: Instant,
        chance: f64,
    ) -> Vec<Action> {
        let is_any = |blame| failed.iter().any(|(_, refusal)| refusal.blame == blame);
        let blame = [Blame::World, Blame::Row].into_iter().find(|blame| is_any(*blame));
        let Some(blame) = blame else {
            let Some((_, refusal)) = failed.first() else { return Vec::new() };
            let delay = BACKOFF.delay(self.sending.failures, chance);
            self.sending.gate = Gate::Paused(now + delay);
            self.sending.failures = self.sending.failures.saturating_add(1);
            return vec![Action::ClientFailed(refusal.reason.clone())];
        };
        let blamed = failed.into_iter().filter(|(_, refusal)| refusal.blame == blame);
        let judge = |(token, refusal)| match blame {
            Blame::Row => self.suspect(token, refusal),
            Blame::World | Blame::Client => self.hold(token, refusal, now, chance),
        };
        blamed.flat_map(judge).collect()
    }

    /// A row that Kafka refused for its own sake goes alone, and so do all of its key; after some tries it is parked. Its
    /// neighbours in a batch are refused with it, and get through alone.
    fn suspect(&mut self, token: u64, refusal: ProduceError) -> Vec<Action> {
        let tries = self.suspects.tries.entry(token).or_default();
        *tries += 1;
        if *tries >= TRIES {
            return self.park(token, refusal);
        }
        let companions = self.of_same_key(token);
        self.suspects.alone.extend(companions);
        vec![Action::Suspected(refusal.reason)]
    }

    /// Parks a row, and whatever of its key comes after it.
    fn park(&mut self, token: u64, refusal: ProduceError) -> Vec<Action> {
        let Some(item) = self.window.open(token) else { return Vec::new() };
        // Kafka has answered. With nothing left to send, no acknowledgement would take back what the
        // client complained of meanwhile, and the outbox be shown as held for ever.
        self.steps.trouble = None;
        if let Some(key) = item.row.key() {
            self.blocked.insert((item.row.topic().to_owned(), key.to_owned()));
        }
        let behind: Vec<u64> = self.of_same_key(token).into_iter().filter(|t| *t > token).collect();
        self.window.settle(token, End::Parked(Some(refusal.clone())));
        self.suspects.forget(token);
        let mut actions = vec![Action::Parked(token, refusal)];
        for token in behind {
            self.window.settle(token, End::Parked(None));
            self.suspects.alone.remove(&token);
            actions.push(Action::Behind(token));
        }
        actions
    }

    /// The open rows of the same topic and key, the row itself included.
    fn of_same_key(&self, token: u64) -> Vec<u64> {
        let Some(item) = self.window.open(token) else { return Vec::new() };
        let (topic, key) = way_of(&item.row);
        let is_same = |row: &R| key.is_some() && row.key() == key && row.topic() == topic;
        let open = self.window.all_open();
        let same = open.filter(|(other, item)| *other == token || is_same(&item.row));
        same.map(|(other, _)| other).collect()
    }
}

/// A row's topic and key.
fn way_of<R: RelayRow>(row: &R) -> (&str, Option<&str>) {
    (row.topic(), row.key())
}
