//! After a message was not delivered: an answer to why, and another client, which sends again whatever is not
//! acknowledged.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::producer::Line;
use super::term::Lead;
use crate::kafka::sender::Pace;
use crate::store::outbox::Row;
use rules::backoff::Backoff;
use rules::problem::Problem;
use rules::produce_error::{Blame, Refusal};
use rules::trace::{self, TraceContext};
use rules::window::End;

/// Pauses before the same rows are sent again.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) };
/// How often Kafka may refuse a row before it is parked: once in a batch, where a neighbour may be to
/// blame, and then alone.
const TRIES: u32 = 3;
/// How long Kafka may acknowledge nothing before another client is tried: a wedged one looks like a broker
/// that is away.
const SILENT: Duration = Duration::from_secs(60);
/// How long a row may have no acknowledgement while others get theirs: longer than a partition takes to get another
/// leader.
const STUCK: Duration = Duration::from_secs(15);

/// How long a broker may take to answer whether it is there.
const ANSWER: Duration = Duration::from_secs(2);
/// What to do about a topic that says nothing.
const UNACKNOWLEDGED: &str = "has each partition a leader, and as many in-sync replicas as min.insync.replicas? \
     kafka-topics --describe shows it";

impl Lead<'_> {
    /// Decides what the failures mean, and changes the client where that is needed: after its first failure a
    /// pipelined one takes nothing more, so that nothing overtakes the message that failed.
    pub(super) async fn recover(&mut self) -> Result<(), Problem> {
        let failed = std::mem::take(&mut self.failed);
        let all_own_doing = failed.iter().all(|(_, refusal)| refusal.blame == Blame::Row);
        if self.line.pace == Pace::OneByOne && all_own_doing {
            if !failed.is_empty() {
                self.resend();
                self.judge(failed);
            }
            if self.careful.is_empty() {
                self.change_line(Vec::new()).await?;
            }
        } else if !failed.is_empty() {
            self.change_line(failed).await?;
        }
        Ok(())
    }

    /// Closes the client and opens another, which suits the rows that have to go next.
    async fn change_line(&mut self, failed: Vec<(u64, Refusal)>) -> Result<(), Problem> {
        // Opened with the pace that the failures at hand ask for; the late ones only add to them.
        let doubted = failed.iter().any(|(_, refusal)| refusal.blame == Blame::Row);
        let pace = match doubted || !self.careful.is_empty() {
            true => Pace::OneByOne,
            false => Pace::Pipelined,
        };
        let new = Line::open(&self.relay.kafka, pace)?;
        for report in std::mem::replace(&mut self.line, new).close().await {
            self.note(report);
        }
        let mut failed = failed;
        failed.append(&mut self.failed);
        self.resend();
        self.timed = None;
        self.heard_at = Instant::now();
        self.judge(failed);
        Ok(())
    }

    fn resend(&mut self) {
        self.window.resend();
        self.handed.clear();
    }

    /// What the failures mean: what is not the message's own fault holds its topic; a message refused for its own sake
    /// is looked at alone; a client that failed is replaced.
    fn judge(&mut self, failed: Vec<(u64, Refusal)>) {
        if failed.iter().any(|(_, refusal)| refusal.blame == Blame::World) {
            for (token, refusal) in failed.iter().filter(|(_, r)| r.blame == Blame::World) {
                self.hold(*token, refusal);
            }
        } else if failed.iter().any(|(_, refusal)| refusal.blame == Blame::Row) {
            for (token, refusal) in failed {
                if refusal.blame == Blame::Row {
                    self.suspect(token, refusal);
                }
            }
        } else if let Some((_, refusal)) = failed.first() {
            debug!(reason = refusal.reason, "another Kafka client sends what is not acknowledged");
            self.pause();
        }
    }

    /// A row that Kafka refused for its own sake goes alone, and so do all of its key; after some tries it is set
    /// aside. Its neighbours in a batch are refused with it, and get through alone.
    fn suspect(&mut self, token: u64, refusal: Refusal) {
        let tries = self.tries.entry(token).or_default();
        *tries += 1;
        if *tries >= TRIES {
            self.parked(token, refusal);
            return;
        }
        debug!(reason = refusal.reason, tries, "Kafka refused a row; it is sent alone");
        let companions = self.of_same_key(token);
        self.careful.extend(companions);
    }

    /// Parks a row, and whatever of its key comes after it.
    pub(super) fn parked(&mut self, token: u64, refusal: Refusal) {
        let Some(item) = self.window.open(token) else { return };
        warn!(
            event = %item.row.id,
            topic = item.row.topic,
            trace_id = trace_of(&item.row),
            hint = refusal.advice,
            "parked: {}; the events of its key wait behind it (makegood outbox list)",
            refusal.reason
        );
        self.spans.ended(token, &item.row, Some(&refusal.reason));
        // Kafka has answered. With nothing left to send, no acknowledgement would take back what the
        // client complained of meanwhile, and the outbox be shown as held for ever.
        self.trouble = None;
        if let Some(key) = &item.row.key {
            self.blocked.insert((item.row.topic.clone(), key.clone()));
        }
        let behind: Vec<u64> = self.of_same_key(token).into_iter().filter(|t| *t > token).collect();
        self.window.settle(token, End::Parked(Some(refusal)));
        for token in behind {
            if let Some(item) = self.window.open(token) {
                self.spans.ended(token, &item.row, Some("waits behind an event of its key"));
            }
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
        let same = |row: &Row| key.is_some() && row.key == *key && row.topic == *topic;
        self.window
            .all_open()
            .filter(|(other, item)| *other == token || same(&item.row))
            .map(|(other, _)| other)
            .collect()
    }

    /// A row that has no acknowledgement although one handed over after it has: its topic, or a partition of it, is
    /// what is wrong. The client says nothing of it, for it tries again for as long as it takes.
    fn stuck(&self) -> Option<(u64, Refusal)> {
        let (token, handed) = self.handed.first_key_value()?;
        let passed = self.acknowledged.is_some_and(|newest| newest > *handed);
        let stuck = passed && handed.elapsed() >= STUCK && self.failed.is_empty();
        stuck.then(|| {
            let reason = format!("no acknowledgement for {} s, while others came", STUCK.as_secs());
            let advice = UNACKNOWLEDGED.to_owned();
            (*token, Refusal { blame: Blame::World, reason, advice })
        })
    }

    fn pause(&mut self) {
        self.hold_until = Some(Instant::now() + BACKOFF.delay(self.holds, fastrand::f64()));
        self.holds = self.holds.saturating_add(1);
    }

    /// Says what the client complains of while nothing is acknowledged, and in the end replaces it.
    pub(super) async fn check_silence(&mut self) {
        if self.window.in_flight() == 0 {
            return;
        }
        if self.trouble.is_none()
            && let Some(trouble) = self.line.sender.trouble()
        {
            warn!(hint = trouble.advice, "the outbox waits: {}", trouble.reason);
            self.trouble = Some((trouble.reason, trouble.advice));
        }
        if let Some((token, refusal)) = self.stuck() {
            self.failed.push((token, refusal));
        } else if self.line.sender.is_outdated() {
            let oldest = self.handed.first_key_value().map_or(u64::MAX, |(token, _)| *token);
            let (reason, advice) = ("the login to Kafka is another".to_owned(), String::new());
            self.failed.push((oldest, Refusal { blame: Blame::Client, reason, advice }));
        } else if self.heard_at.elapsed() >= SILENT {
            // A broker that answers is no broker that is away: it is what was sent that it does not take.
            let blame = match self.line.sender.is_answered(ANSWER).await {
                true => Blame::World,
                false => Blame::Client,
            };
            let oldest = self.handed.first_key_value().map_or(u64::MAX, |(token, _)| *token);
            let reason = "no acknowledgement for a minute".to_owned();
            let refusal = Refusal { blame, reason, advice: UNACKNOWLEDGED.to_owned() };
            self.failed.push((oldest, refusal));
        }
    }
}

/// The trace that a row belongs to, for the log.
fn trace_of(row: &Row) -> Option<String> {
    let header = row.headers.get(trace::HEADER)?;
    TraceContext::parse(header.as_bytes()).map(|context| context.trace_id())
}
