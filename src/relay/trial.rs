//! How a held topic is tried: with its oldest row, by a client of its own, so that a refusal harms nobody else's
//! messages.

use std::time::Duration;

use tokio::time::Instant;

use super::message::Texts;
use super::producer::Line;
use super::term::Lead;
use super::topics::State;
use crate::kafka::sender::{Delivered, HandOver, Outgoing, Pace};
use crate::store::outbox::{Parking, Row};
use rules::problem::Problem;
use rules::produce_error::{Blame, Refusal};

/// How long a trial may take. A missing topic is refused within five seconds; a silent one never.
pub(super) const TRIAL: Duration = Duration::from_secs(15);
/// Topics tried at once.
const TRIED: usize = 20;

impl Lead<'_> {
    /// Tries the topics whose time has come, unless some are being tried.
    pub(super) async fn try_topics(&mut self) -> Result<(), Problem> {
        while let Some(report) = self.topics.trial.as_mut().and_then(|(line, _)| line.ready()) {
            self.note_trial(report);
        }
        if let Some((_, began)) = &self.topics.trial {
            if began.elapsed() >= TRIAL {
                for row in std::mem::take(&mut self.topics.rows).into_values() {
                    self.topics.again(&row.topic);
                }
            }
            self.end_trial();
            return Ok(());
        }
        let now = Instant::now();
        let due = self.topics.waiting().filter(|(at, _)| *at <= now);
        let due: Vec<String> = due.map(|(_, topic)| topic.clone()).take(TRIED).collect();
        if due.is_empty() {
            return Ok(());
        }
        let line = Line::open(&self.relay.kafka, Pace::Apart)?;
        for (token, topic) in (0..).zip(due) {
            let oldest = self.session.oldest_of(&topic).await;
            match oldest.map_err(|f| f.problem("cannot read what is parked"))? {
                Some(row) => self.try_topic(&line, token, row),
                // None yet: they are in the window, to be parked; or none any more, which know_topics finds.
                None => self.topics.again(&topic),
            }
        }
        self.topics.trial = Some((line, now));
        self.end_trial();
        Ok(())
    }

    fn try_topic(&mut self, line: &Line, token: u64, row: Row) {
        let texts = Texts::of(&row);
        let message = Outgoing {
            topic: &row.topic,
            key: row.key.as_deref().map(str::as_bytes),
            value: row.payload.as_bytes(),
            headers: &texts.headers(&row),
        };
        let handed = line.sender.hand_over(token, &message);
        if let Some(held) = self.topics.held.get_mut(&row.topic) {
            held.state = State::Trying;
        }
        match handed {
            Ok(()) => drop(self.topics.rows.insert(token, row)),
            Err(HandOver::Full) => self.topics.again(&row.topic),
            Err(HandOver::Refused(refusal)) => self.refused_trial(row, refusal),
        }
    }

    /// Notes what became of a row that tries its topic.
    pub(super) fn note_trial(&mut self, report: Delivered) {
        let Some(row) = self.topics.rows.remove(&report.token) else { return };
        match report.outcome {
            Ok(()) => {
                self.published += 1;
                self.works(&row.topic);
                self.topics.sent.push(row.seq);
                if let Some(held) = self.topics.held.get_mut(&row.topic) {
                    held.state = State::Draining;
                }
            }
            Err(refusal) => self.refused_trial(row, refusal),
        }
    }

    fn refused_trial(&mut self, row: Row, refusal: Refusal) {
        let said = Some((refusal.reason.clone(), refusal.advice.clone()));
        match refusal.blame {
            // Its own fault: the next one tries the topic.
            Blame::Row => {
                self.topics.refused.push(Parking { seq: row.seq, refusal: said, by_topic: false });
                self.blocked.extend(row.key.map(|key| (row.topic.clone(), key)));
                if let Some(held) = self.topics.held.get_mut(&row.topic) {
                    held.state = State::Until(Instant::now());
                }
            }
            Blame::World => {
                self.topics.refused.push(Parking { seq: row.seq, refusal: said, by_topic: true });
                self.topics.hold(&row.topic, refusal);
            }
            Blame::Client => self.topics.again(&row.topic),
        }
    }

    /// Closes the client once it has said everything; that may take a while, and nobody waits for it.
    fn end_trial(&mut self) {
        if self.topics.rows.is_empty()
            && let Some((line, _)) = self.topics.trial.take()
        {
            tokio::spawn(line.close());
        }
    }
}
