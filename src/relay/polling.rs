//! When a term looks for rows, and what it does with them.

use std::time::Duration;

use tokio::time::Instant;

use super::term::{Item, Lead};
use crate::store::outbox::{Cursor, Row};
use rules::backoff::Backoff;
use rules::idle_backoff::{Pace, pace};
use rules::problem::Problem;
use rules::window::End;

/// Rows in the window, about; the next ones are read while these are on their way.
const WINDOW: usize = 6000;
/// Bytes of payload in the window, about.
const WINDOW_BYTES: usize = 12 << 20;
/// Rows parked that are sent again together.
const RETRIES: i64 = 2000;
/// What they may weigh together, about.
const RETRIES_BYTES: i64 = 8 << 20;
/// How often they are looked for untold: nobody heard who asked while no relay listened.
const RETRIES_LOOK: Duration = Duration::from_secs(2);
/// Pauses between two readings while one topic after the other is held and nothing is acknowledged.
const SLOW: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) };

impl Lead<'_> {
    /// Whether publishers should wake the relay.
    pub(super) fn sleeps(&self) -> bool {
        // Rows on their way are no reason to stay awake; a full window is, for nobody would look.
        self.pace().asleep && self.look_at().is_some()
    }

    fn pace(&self) -> Pace {
        pace(self.empty_looks, self.session.can_be_woken)
    }

    /// When to look next, if there is room.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let can_take = if self.retries.is_empty() {
            let has_room = self.window.len() < WINDOW && self.window_bytes < WINDOW_BYTES;
            has_room && !self.retrying && self.careful.is_empty()
        } else {
            self.window.is_empty()
        };
        let at_once = self.reading.has_more() && !self.unproven || !self.retries.is_empty();
        can_take.then(|| if at_once { Instant::now() } else { self.look_at })
    }

    /// Takes new rows into the window.
    pub(super) async fn look(&mut self) -> Result<(), Problem> {
        // A key with many rows parked takes many rounds; what is new goes between them.
        if !std::mem::take(&mut self.others_first) {
            for row in std::mem::take(&mut self.retries) {
                self.retrying = true;
                self.take_in(row, None);
            }
        }
        if self.retrying {
            return Ok(());
        }
        let rows = self.reading.next(&self.session).await?;
        let nothing_new = rows.is_empty() && !self.reading.has_more();
        if !nothing_new && self.empty_looks > 0 {
            self.woke_at = Instant::now();
        }
        self.empty_looks = if nothing_new { self.empty_looks.saturating_add(1) } else { 0 };
        let slow = self.unproven.then(|| SLOW.delay(self.holds, fastrand::f64()));
        self.look_at = Instant::now() + slow.unwrap_or(self.pace().wait);
        for (row, passed) in rows {
            self.take_in(row, Some(passed));
        }
        Ok(())
    }

    /// A publisher, or somebody who asked for a retry, wakes the relay.
    pub(super) async fn woken(&mut self) -> Result<(), Problem> {
        self.look_at = Instant::now();
        self.look_for_retries().await
    }

    /// Whether somebody wants rows that were parked to be sent again.
    pub(super) async fn look_for_retries(&mut self) -> Result<(), Problem> {
        self.retries_at = Instant::now() + RETRIES_LOOK;
        if !self.retrying {
            self.know_topics().await?;
            let draining = self.topics.draining();
            let found = self.session.retries(RETRIES, RETRIES_BYTES, &draining).await;
            self.retries = found.map_err(|f| f.problem("cannot read what is parked"))?;
            if self.retries.is_empty() {
                self.topics.drained();
            }
        }
        Ok(())
    }

    /// When the loop has to wake up by itself.
    pub(super) fn wake_at(&self) -> Instant {
        let always = self.step_at().min(self.retries_at);
        [self.look_at(), self.hold_until, self.topics.due_at()]
            .into_iter()
            .flatten()
            .fold(always, Instant::min)
    }

    fn take_in(&mut self, row: Row, passed: Option<Cursor>) {
        // A row that is tried again is the first of its key: it is what the key waits for.
        let waits = passed.is_some()
            && row.key.as_ref().is_some_and(|key| {
                !self.blocked.is_empty() && self.blocked.contains(&(row.topic.clone(), key.clone()))
            });
        let held = match passed.is_some() && !waits {
            true => self.topics.refusal(&row.topic),
            false => None,
        };
        self.top_seq = self.top_seq.max(row.seq);
        self.window_bytes += row.payload.len();
        let token = self.window.push(Item { row, passed });
        if waits || held.is_some() {
            self.window.settle(token, End::Parked(held));
        }
    }
}
