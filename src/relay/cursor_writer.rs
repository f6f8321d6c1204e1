//! The steps of a term: when one is due, and what it says.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::term::Lead;
use crate::store::Fault;
use crate::store::outbox::{Aside, LEASE, Lost, Parking, Saying, Session, Turn};
use rules::error_policy;
use rules::health::age;
use rules::problem::Problem;
use rules::produce_error::{Blame, Refusal};
use rules::window::End;

/// How long settled rows wait for the cursor: each step is a transaction.
const STEP: Duration = Duration::from_millis(20);
/// How often the lease is renewed.
const RENEW: Duration = Duration::from_secs(LEASE.as_secs() / 3);
/// How often the next turn of the tables is tried; more often where rows are kept for a short time only.
const TURN: Duration = Duration::from_secs(60);
/// How long a turn may go on because its next table is in use before that is told.
const OVERDUE: Duration = Duration::from_secs(600);
/// How many steps are kept at least; twice as many at most.
const KEPT_STEPS: i64 = 1000;

/// Whether a step is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    Yes,
}

impl Lead<'_> {
    /// When the next step has to be written.
    pub(super) fn step_at(&self) -> Instant {
        let (said_trouble, said_asleep) = &self.said;
        if self.topics.has_news()
            || *said_trouble != self.trouble
            || (self.sleeps() && !said_asleep)
        {
            return Instant::now();
        }
        let due = self.stepped_at + if self.window.can_move() { STEP } else { RENEW };
        match *said_asleep && !self.sleeps() {
            // Until it is taken back, every publisher pays for a NOTIFY. A lone row is settled sooner than
            // that, and one step says both.
            true => due.min(self.woke_at + STEP),
            false => due,
        }
    }

    /// Writes a step: the cursor past everything settled, the lease renewed, how things are.
    pub(super) async fn write_step(
        &mut self,
        leaving: Leaving,
    ) -> Result<Result<(), Lost>, Problem> {
        let aside = self.take_settled();
        let saying = Saying {
            published: std::mem::take(&mut self.published),
            in_flight: i32::try_from(self.window.in_flight()).unwrap_or(i32::MAX),
            asleep: self.sleeps(),
            leaving: leaving == Leaving::Yes,
            trouble: self.trouble.clone(),
            top_seq: self.top_seq,
            remark: self.remark.clone(),
        };
        let moved = match aside.is_empty() {
            true => self.session.step(self.step, &self.cursor, &saying).await,
            false => self.session.step_parking(self.step, &self.cursor, &saying, &aside).await,
        };
        let Ok(step) = moved.map_err(unwritable)? else { return Ok(Err(Lost)) };
        (self.step, self.stepped_at) = (step, Instant::now());
        self.said = (saying.trouble, saying.asleep);
        if !aside.sent_again.is_empty() && !self.retrying {
            // A topic takes messages again: what it left behind goes at once.
            self.retries_at = Instant::now();
        }
        if !aside.sent_again.is_empty() || !aside.refused_again.is_empty() {
            self.blocked = blocked(&self.session).await?;
        }
        if self.retrying && self.window.is_empty() {
            // Every other time: a topic that drains is through when nothing new was parked meanwhile.
            self.others_turn = !self.others_turn;
            (self.retrying, self.others_first) = (false, self.others_turn);
            self.look_for_retries().await?;
        }
        self.tidy().await.map(Ok)
    }

    /// Takes the settled rows out of the window, and the cursor with them.
    fn take_settled(&mut self) -> Aside {
        let mut aside = Aside {
            sent_again: std::mem::take(&mut self.topics.sent),
            refused_again: std::mem::take(&mut self.topics.refused),
            ..Aside::default()
        };
        for (item, end) in self.window.take_settled() {
            self.window_bytes -= item.row.payload.len();
            self.published += i64::from(end == End::Delivered);
            let seq = item.row.seq;
            if matches!(&end, End::Parked(Some(refusal)) if refusal.blame == Blame::World) {
                self.topics.written(&item.row.topic);
            }
            match (item.passed.is_some(), end) {
                (true, End::Delivered) => {}
                (true, End::Parked(refusal)) => aside.parking.push(parking(seq, refusal)),
                (false, End::Delivered) => aside.sent_again.push(seq),
                (false, End::Parked(refusal)) => aside.refused_again.push(parking(seq, refusal)),
            }
            if let Some(cursor) = item.passed {
                self.cursor = cursor;
            }
        }
        if self.window.is_empty() {
            self.cursor = self.reading.cursor().clone();
        }
        aside
    }

    /// Trims old steps, and empties the next table when its turn has come.
    async fn tidy(&mut self) -> Result<(), Problem> {
        if self.step % KEPT_STEPS == 0 {
            self.session.trim(self.step - KEPT_STEPS).await.map_err(unwritable)?;
        }
        if self.relay.shard.number == 0 && self.turn_at <= Instant::now() {
            self.turn_at = Instant::now() + TURN.min(self.relay.retention / 4);
            // No rows of another server that came meanwhile are to wait for the next claim.
            self.session.adopt().await.map_err(unwritable)?;
            match self.session.turn(self.relay.retention).await {
                Ok(Turn::Early) => self.remark = None,
                Ok(Turn::Busy(lasted)) => {
                    debug!("the outbox's next table is still in use");
                    self.remark = self.overdue(lasted).await?;
                }
                Ok(Turn::Begun) => {
                    debug!("emptied the outbox's oldest table");
                    self.remark = None;
                }
                // Rows go on to Kafka whether or not old ones can be removed.
                Err(fault @ Fault::Refused { .. }) => {
                    let hint = error_policy::advice(fault.sqlstate());
                    warn!(hint, "cannot empty the outbox's oldest table: {fault}");
                    self.remark = Some(format!(
                        "the outbox's oldest table cannot be emptied: {fault}. {hint}"
                    ));
                }
                Err(fault) => return Err(unwritable(fault)),
            }
        }
        Ok(())
    }

    /// What to say of a turn that cannot end because its next table is in use: nothing at first, then by whom.
    async fn overdue(&self, lasted: Duration) -> Result<Option<String>, Problem> {
        let turn = self.relay.retention / 2;
        if lasted < turn + turn.min(OVERDUE) {
            return Ok(None);
        }
        let late = age(lasted.saturating_sub(turn));
        let blocker = self.session.blocker().await.map_err(unwritable)?;
        Ok(blocker.map(|who| {
            format!(
                "published rows have stayed {late} longer than they should, because {who} uses their table; \
                 end that transaction, if need be by SELECT pg_terminate_backend(pid)"
            )
        }))
    }
}

/// The keys that wait behind a row parked.
pub(super) async fn blocked(session: &Session) -> Result<HashSet<(String, String)>, Problem> {
    let keys = session.parked_keys().await;
    Ok(keys.map_err(|f| f.problem("cannot read what is parked"))?.into_iter().collect())
}

fn parking(seq: i64, refusal: Option<Refusal>) -> Parking {
    let by_topic = refusal.as_ref().is_some_and(|refusal| refusal.blame == Blame::World);
    Parking { seq, refusal: refusal.map(|r| (r.reason, r.advice)), by_topic }
}

fn unwritable(fault: Fault) -> Problem {
    fault.problem("cannot write the outbox's step")
}
