//! Rows that were parked and are sent again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{Action, Item, RelayRow, Term};
use crate::produce_error::{Blame, ProduceError};
use crate::window::End;

/// How often they are looked for untold: nobody heard who asked while no relay listened.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Retries<R> {
    round: Round<R>,
    look_at: Instant,
    /// New rows are read once before the next round.
    others_first: bool,
    /// Whether that was so before the last round.
    others_turn: bool,
}

#[derive(Debug)]
enum Round<R> {
    /// These go when the window is empty; there may be none.
    Found(Vec<R>),
    /// The window has such rows; nothing else is read until it is empty.
    Sending,
}

impl<R> Retries<R> {
    pub(super) fn begin(now: Instant) -> Retries<R> {
        let round = Round::Found(Vec::new());
        Retries { round, look_at: now, others_first: false, others_turn: false }
    }

    /// Those that were found and wait; `None` while such rows are sent.
    pub(super) fn rows(&self) -> Option<&[R]> {
        match &self.round {
            Round::Found(rows) => Some(rows),
            Round::Sending => None,
        }
    }

    /// Takes those whose turn it is; none if new rows are to be read first. A key with many rows parked takes many rounds,
    /// and what is new goes between them.
    pub(super) fn take(&mut self) -> Vec<R> {
        if std::mem::take(&mut self.others_first) {
            return Vec::new();
        }
        match &mut self.round {
            Round::Found(rows) if !rows.is_empty() => {
                let rows = std::mem::take(rows);
                self.round = Round::Sending;
                rows
            }
            Round::Found(_) | Round::Sending => Vec::new(),
        }
    }

    pub(super) fn look_now(&mut self, now: Instant) {
        self.look_at = now;
    }

    /// The window is empty: a round is over. Every other time new rows go first: a topic that drains is through when
    /// nothing new was parked meanwhile.
    pub(super) fn end_round(&mut self, now: Instant) {
        if matches!(self.round, Round::Sending) {
            self.round = Round::Found(Vec::new());
            self.others_turn = !self.others_turn;
            (self.others_first, self.look_at) = (self.others_turn, now);
        }
    }
}

impl<R: RelayRow, C: Clone> Term<R, C> {
    /// When to look for them next.
    pub(super) fn finds_at(&self) -> Option<Instant> {
        self.retries.rows().map(|_| self.retries.look_at)
    }

    pub(super) fn found(&mut self, rows: Vec<R>, now: Instant) -> Vec<Action> {
        self.retries.look_at = now + LOOK;
        let are_none = rows.is_empty();
        if let Round::Found(found) = &mut self.retries.round {
            *found = rows;
        }
        if are_none { self.topics.drained() } else { Vec::new() }
    }

    /// Takes over which keys wait. What was parked and is still in the window the database does not know yet.
    pub(super) fn now_blocked(&mut self, keys: HashSet<(String, String)>) -> Vec<Action> {
        let waits = |end: &End<ProduceError>| match end {
            End::Parked(refusal) => refusal.as_ref().is_none_or(|r| r.blame == Blame::Row),
            End::Delivered => false,
        };
        let unwritten = self.window.all_settled().filter(|(_, end)| waits(end));
        let way = |(item, _): (&Item<R, C>, _)| {
            Some((item.row.topic().to_owned(), item.row.key()?.to_owned()))
        };
        self.blocked = unwritten.filter_map(way).chain(keys).collect();
        Vec::new()
    }
}
