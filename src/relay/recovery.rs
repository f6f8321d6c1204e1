//! After a message was not delivered: a new client, and an answer to why.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::lead::Lead;
use crate::kafka::sender::Sender;
use crate::pure::backoff::Backoff;
use crate::pure::problem::Problem;
use crate::pure::refusal::{Blame, Refusal};
use crate::pure::window::End;

/// Pauses before the same rows are sent again.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) };
/// How often Kafka may refuse a row before it is set aside.
const TRIES: u32 = 3;
/// How long closing a client may take.
const CLOSE: Duration = Duration::from_secs(5);
/// How long Kafka may say nothing before the status says so, and before a new client is tried: a wedged one
/// looks like a broker that is away.
const QUIET: Duration = Duration::from_secs(3);
const SILENT: Duration = Duration::from_secs(60);

impl Lead<'_> {
    /// Replaces the client, which takes nothing more after its first failure, and decides what the failures
    /// mean. All that is not acknowledged is sent again, in order.
    pub(super) async fn recover(&mut self) -> Result<(), Problem> {
        let (to_us, reports) = mpsc::unbounded_channel();
        let new = Sender::new(&self.relay.kafka, to_us)?;
        std::mem::replace(&mut self.sender, new).close(CLOSE).await;
        let mut old = std::mem::replace(&mut self.reports, reports);
        while let Ok(report) = old.try_recv() {
            self.note(report);
        }
        self.window.resend();
        self.heard_at = Instant::now();
        let failed = std::mem::take(&mut self.failed);
        let worst = failed.iter().map(|(_, refusal)| refusal).find(|r| r.blame == Blame::World);
        let own_doing = failed.iter().any(|(_, refusal)| refusal.blame == Blame::Row);
        if let Some(refusal) = worst {
            self.hold(refusal);
        } else if own_doing {
            for (token, refusal) in failed {
                if refusal.blame == Blame::Row {
                    self.suspect(token, refusal);
                }
            }
        } else if let Some((_, refusal)) = failed.first() {
            // The client failed, not Kafka: once is nothing to speak of.
            debug!(reason = refusal.reason, "a new Kafka client sends what is not acknowledged");
            self.pause();
        }
        Ok(())
    }

    /// A row that Kafka refused for its own sake goes alone from now on, with all of its key; after some tries
    /// it is set aside. Its neighbours in a batch are refused with it, and are through with the next try.
    fn suspect(&mut self, token: u64, refusal: Refusal) {
        let tries = self.tries.entry(token).or_default();
        *tries += 1;
        if *tries >= TRIES {
            self.set_aside(token, refusal);
            return;
        }
        debug!(reason = refusal.reason, tries, "Kafka refused a row; it is sent alone");
        let companions = self.of_same_key(token);
        self.careful.extend(companions);
    }

    /// Sets a row aside, and whatever of its key comes after it.
    pub(super) fn set_aside(&mut self, token: u64, refusal: Refusal) {
        let Some(item) = self.window.open(token) else { return };
        warn!(
            event = %item.row.id,
            topic = item.row.topic,
            hint = refusal.advice,
            "set aside: {}; the events of its key wait behind it (makegood outbox list)",
            refusal.reason
        );
        if let Some(key) = &item.row.key {
            self.blocked.insert((item.row.topic.clone(), key.clone()));
        }
        let behind: Vec<u64> = self.of_same_key(token).into_iter().filter(|t| *t > token).collect();
        self.window.settle(token, End::Parked(Some(refusal)));
        for token in behind {
            self.window.settle(token, End::Parked(None));
            self.careful.remove(&token);
        }
        self.tries.remove(&token);
        self.careful.remove(&token);
    }

    /// The open rows of the same topic and key, the row itself included.
    fn of_same_key(&self, token: u64) -> Vec<u64> {
        let Some(item) = self.window.open(token) else { return Vec::new() };
        let (topic, key) = (&item.row.topic, &item.row.key);
        let same = |row: &crate::store::outbox::Row| {
            key.is_some() && row.key == *key && row.topic == *topic
        };
        self.window
            .all_open()
            .filter(|(other, item)| *other == token || same(&item.row))
            .map(|(other, _)| other)
            .collect()
    }

    /// Nothing can be sent: the rows stay, nobody is to blame.
    fn hold(&mut self, refusal: &Refusal) {
        let trouble = Some((refusal.reason.clone(), refusal.advice.clone()));
        if self.trouble != trouble {
            warn!(hint = refusal.advice, "the outbox is held: {}", refusal.reason);
        }
        self.trouble = trouble;
        self.pause();
    }

    fn pause(&mut self) {
        self.hold_until = Some(Instant::now() + BACKOFF.delay(self.holds, fastrand::f64()));
        self.holds = self.holds.saturating_add(1);
    }

    /// Says what the client complains of when nothing is acknowledged, and in the end replaces it.
    pub(super) fn check_silence(&mut self) {
        if self.window.in_flight() == 0 || self.heard_at.elapsed() < QUIET {
            return;
        }
        let words = self.sender.trouble().map_or_else(
            || ("Kafka acknowledges nothing".to_owned(), "is the broker well?".to_owned()),
            |trouble| (trouble.reason, trouble.advice),
        );
        if self.trouble.is_none() {
            warn!(hint = words.1, "the outbox waits: {}", words.0);
            self.trouble = Some(words);
        }
        if self.heard_at.elapsed() >= SILENT {
            let reason = "no acknowledgement for a minute".to_owned();
            self.failed
                .push((u64::MAX, Refusal { blame: Blame::Client, reason, advice: String::new() }));
        }
    }
}
