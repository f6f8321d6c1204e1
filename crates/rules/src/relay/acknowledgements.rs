//! Which messages wait for an acknowledgement, and what it means that none comes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Action, RelayRow, Term};
use crate::diagnosis::Diagnosis;
use crate::produce_error::{Blame, ProduceError};

/// How long Kafka may acknowledge nothing before another client is tried: a wedged one looks like a broker that is away.
const SILENT: Duration = Duration::from_secs(60);
/// How long a row may have no acknowledgement while others get theirs: longer than a partition takes to get another
/// leader.
const STUCK: Duration = Duration::from_secs(15);
/// What to do about a topic that says nothing.
const UNACKNOWLEDGED: &str = "has each partition a leader, and as many in-sync replicas as min.insync.replicas? \
     kafka-topics --describe shows it";

#[derive(Debug)]
pub(super) struct Acknowledgements {
    /// When each row on its way was handed over, by its token, the oldest first.
    awaited: BTreeMap<u64, Instant>,
    /// When the newest of those acknowledged was handed over.
    newest: Option<Instant>,
    /// When Kafka last said anything, or got something after a pause.
    heard_at: Instant,
    /// The last row that was handed over, and so the last that a term which ends has to settle.
    last: u64,
}

impl Acknowledgements {
    pub(super) fn begin(now: Instant) -> Acknowledgements {
        Acknowledgements { awaited: BTreeMap::new(), newest: None, heard_at: now, last: 0 }
    }

    pub(super) fn awaits(&mut self, token: u64, is_first: bool, now: Instant) {
        if is_first {
            self.heard_at = now;
        }
        self.awaited.insert(token, now);
        self.last = self.last.max(token);
    }

    pub(super) fn await_nothing(&mut self) {
        self.awaited.clear();
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    pub(super) fn came(&mut self, token: u64, is_good: bool, now: Instant) {
        self.heard_at = now;
        let handed = self.awaited.remove(&token);
        if is_good {
            self.newest = self.newest.max(handed);
        }
    }

    /// The oldest that waits, and since when.
    fn oldest(&self) -> Option<(u64, Instant)> {
        self.awaited.first_key_value().map(|(token, handed)| (*token, *handed))
    }
}

impl<R: RelayRow, C: Clone> Term<R, C> {
    /// The last row that was handed over.
    pub fn last_sent(&self) -> u64 {
        self.acknowledgements.last
    }

    /// When a message was handed over that waits for its acknowledgement.
    pub fn handed_over_at(&self, token: u64) -> Option<Instant> {
        self.acknowledgements.awaited.get(&token).copied()
    }

    /// Whether anything is to be known of what the client complains of.
    pub fn wonders(&self) -> bool {
        self.in_flight() > 0 && self.steps.trouble.is_none()
    }

    pub(super) fn complains(&mut self, diagnosis: Diagnosis) -> Vec<Action> {
        self.steps.trouble.get_or_insert_with(|| diagnosis.clone());
        vec![Action::Waits(diagnosis)]
    }

    /// A row that has no acknowledgement although one handed over after it has: its topic, or a partition of it, is what
    /// is wrong. The client says nothing of it, for it tries again for as long as it takes.
    pub(super) fn look_for_stuck(&mut self, now: Instant) {
        let Some((token, handed)) = self.acknowledgements.oldest() else { return };
        let is_passed = self.acknowledgements.newest.is_some_and(|newest| newest > handed);
        if is_passed && now >= handed + STUCK && !self.sending.has_failed() {
            let reason = format!("no acknowledgement for {} s, while others came", STUCK.as_secs());
            let advice = UNACKNOWLEDGED.to_owned();
            self.sending.failed(token, ProduceError { blame: Blame::World, reason, advice });
        }
    }

    /// Whether nothing at all was heard for too long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let is_waiting = self.in_flight() > 0 && !self.sending.has_failed();
        is_waiting && now >= self.acknowledgements.heard_at + SILENT
    }

    /// A broker that answers is no broker that is away: it is what was sent that it does not take.
    pub(super) fn silent(&mut self, answered: bool) -> Vec<Action> {
        let blame = if answered { Blame::World } else { Blame::Client };
        self.oldest_failed(blame, "no acknowledgement for a minute", UNACKNOWLEDGED)
    }

    pub(super) fn login_changed(&mut self) -> Vec<Action> {
        self.oldest_failed(Blame::Client, "the login to Kafka is another", "")
    }

    fn oldest_failed(&mut self, blame: Blame, reason: &str, advice: &str) -> Vec<Action> {
        let token = self.acknowledgements.oldest().map_or(u64::MAX, |(token, _)| token);
        let (reason, advice) = (reason.to_owned(), advice.to_owned());
        self.sending.failed(token, ProduceError { blame, reason, advice });
        Vec::new()
    }
}
