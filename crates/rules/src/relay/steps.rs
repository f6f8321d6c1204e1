//! The steps of a term: when one is due, and what it says.

use std::time::{Duration, Instant};

use super::{Action, RelayRow, Term};
use crate::diagnosis::Diagnosis;
use crate::produce_error::{Blame, ProduceError};
use crate::window::End;

/// How long a relay that says nothing keeps its shard.
pub const LEASE: Duration = Duration::from_secs(6);
/// How often the lease is renewed.
const RENEW: Duration = Duration::from_secs(LEASE.as_secs() / 3);
/// How long settled rows wait for the cursor: each step is a transaction.
const STEP: Duration = Duration::from_millis(20);

/// What a step says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorStep<C> {
    /// The cursor past everything that is settled.
    pub cursor: C,
    /// What it does to rows that are parked.
    pub aside: Aside,
    /// Rows acknowledged by Kafka since the last step.
    pub published: i64,
    /// Rows handed to Kafka and not acknowledged.
    pub in_flight: usize,
    /// Whether publishers should wake the relay.
    pub asleep: bool,
    /// Why nothing is sent, and what to do about it.
    pub trouble: Option<Diagnosis>,
    /// The highest number of a row that was read.
    pub top_seq: i64,
}

impl<C> CursorStep<C> {
    /// One that says nothing but where it is.
    pub fn at(cursor: C) -> CursorStep<C> {
        CursorStep {
            cursor,
            aside: Aside::default(),
            published: 0,
            in_flight: 0,
            asleep: false,
            trouble: None,
            top_seq: 0,
        }
    }
}

/// A row to be parked, or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parking {
    /// The row's number.
    pub seq: i64,
    /// Why Kafka refused it, and what to do about it; none behind such a row.
    pub refusal: Option<Diagnosis>,
    /// Whether it waits for its topic, which takes nothing.
    pub by_topic: bool,
}

/// What a step does to the rows parked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Parked now.
    pub parking: Vec<Parking>,
    /// Parked before, and with Kafka at last: taken away.
    pub sent_again: Vec<i64>,
    /// Parked before, and refused once more: kept until the next request.
    pub refused_again: Vec<Parking>,
}

impl Aside {
    /// Whether nothing is done to any.
    pub fn is_empty(&self) -> bool {
        self.parking.is_empty() && self.sent_again.is_empty() && self.refused_again.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct CursorSteps<C> {
    cursor: C,
    /// Where the last step that was written left the cursor.
    written: C,
    /// What everything that was read has been passed by, which the cursor may take once all of it is settled.
    pub(super) read_to: C,
    /// The highest number of a row that was read.
    pub(super) top_seq: i64,
    /// Rows acknowledged since the last step.
    pub(super) published: i64,
    /// Why nothing is sent.
    pub(super) trouble: Option<Diagnosis>,
    /// What the last step said of the trouble, and whether it announced sleep.
    said: (Option<Diagnosis>, bool),
    stepped_at: Instant,
}

impl<C: Clone> CursorSteps<C> {
    pub(super) fn begin(cursor: C, now: Instant) -> CursorSteps<C> {
        CursorSteps {
            read_to: cursor.clone(),
            written: cursor.clone(),
            cursor,
            top_seq: 0,
            published: 0,
            trouble: None,
            said: (None, false),
            stepped_at: now,
        }
    }
}

impl<R: RelayRow, C: Clone> Term<R, C> {
    /// When the next step has to be written.
    pub(super) fn steps_at(&self, now: Instant) -> Instant {
        let CursorSteps { said: (said_trouble, said_asleep), trouble, stepped_at, .. } =
            &self.steps;
        if self.topics.has_news() || said_trouble != trouble || self.sleeps() && !said_asleep {
            return now;
        }
        let due = *stepped_at + if self.window.can_move() { STEP } else { RENEW };
        match *said_asleep && !self.sleeps() {
            // Until it is taken back, every publisher pays for a NOTIFY. A lone row is settled sooner than
            // that, and one step says both.
            true => due.min(self.polling.woke_at() + STEP),
            false => due,
        }
    }

    /// What the next step says. What it takes out of the window is lost with the term if it is not written.
    pub fn step(&mut self) -> CursorStep<C> {
        let aside = self.take_settled();
        CursorStep {
            cursor: self.steps.cursor.clone(),
            aside,
            published: std::mem::take(&mut self.steps.published),
            in_flight: self.window.in_flight(),
            asleep: self.sleeps(),
            trouble: self.steps.trouble.clone(),
            top_seq: self.steps.top_seq,
        }
    }

    /// What the last step of a term says that could not go on: where the last one that was written stood, and why nothing
    /// is sent. What a step that was not written had taken out of the window is passed by no cursor.
    pub fn step_in_trouble(&self, why: Diagnosis) -> CursorStep<C> {
        CursorStep { trouble: Some(why), ..CursorStep::at(self.steps.written.clone()) }
    }

    pub(super) fn written(&mut self, step: CursorStep<C>, now: Instant) -> Vec<Action> {
        let CursorStep { cursor, aside, trouble, asleep, .. } = step;
        self.steps.written = cursor;
        self.steps.stepped_at = now;
        self.steps.said = (trouble, asleep);
        if !aside.sent_again.is_empty() {
            // A topic takes messages again: what it left behind goes at once.
            self.retries.look_now(now);
        }
        if self.window.is_empty() {
            self.retries.end_round(now);
        }
        let has_changed = !aside.sent_again.is_empty() || !aside.refused_again.is_empty();
        if has_changed { vec![Action::ReadBlocked] } else { Vec::new() }
    }

    /// Takes the settled rows out of the window, and the cursor with them.
    fn take_settled(&mut self) -> Aside {
        let mut aside = Aside {
            sent_again: std::mem::take(&mut self.topics.sent),
            refused_again: std::mem::take(&mut self.topics.refused),
            ..Aside::default()
        };
        for (item, end) in self.window.take_settled() {
            self.polling.left(item.row.bytes());
            self.steps.published += i64::from(end == End::Delivered);
            let seq = item.row.seq();
            if matches!(&end, End::Parked(Some(refusal)) if refusal.blame == Blame::World) {
                self.topics.written(item.row.topic());
            }
            match (item.passed.is_some(), end) {
                (true, End::Delivered) => {}
                (true, End::Parked(refusal)) => aside.parking.push(parking(seq, refusal)),
                (false, End::Delivered) => aside.sent_again.push(seq),
                (false, End::Parked(refusal)) => aside.refused_again.push(parking(seq, refusal)),
            }
            if let Some(cursor) = item.passed {
                self.steps.cursor = cursor;
            }
        }
        if self.window.is_empty() {
            self.steps.cursor = self.steps.read_to.clone();
        }
        aside
    }
}

fn parking(seq: i64, refusal: Option<ProduceError>) -> Parking {
    let by_topic = refusal.as_ref().is_some_and(|refusal| refusal.blame == Blame::World);
    Parking { seq, refusal: refusal.map(ProduceError::diagnosis), by_topic }
}
