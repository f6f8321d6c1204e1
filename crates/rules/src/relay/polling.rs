//! When the outbox is read on, and what becomes of the rows.

use std::time::{Duration, Instant};

use super::{Action, Item, RelayRow, Term};
use crate::backoff::Backoff;
use crate::idle_backoff::{IdleBackoff, pace};
use crate::window::End;

/// Rows in the window, about; the next ones are read while these are on their way.
const WINDOW: usize = 6000;
/// Bytes of payload in the window, about.
const WINDOW_BYTES: usize = 12 << 20;
/// Pauses between two readings while one topic after the other is held and nothing is acknowledged.
const SLOW: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) };

#[derive(Debug)]
pub(super) struct Polling {
    can_be_woken: bool,
    /// Readings in a row that found nothing.
    empty: usize,
    next_at: Instant,
    /// When a reading last found rows after one that found none.
    woke_at: Instant,
    /// Whether there are rows that are known and not read yet.
    more: bool,
    /// A topic was held, and nothing has been acknowledged since: the rest of the world may be no better.
    unproven: bool,
    /// The payloads in the window.
    bytes: usize,
}

impl Polling {
    pub(super) fn begin(can_be_woken: bool, now: Instant) -> Polling {
        let (next_at, woke_at) = (now, now);
        Polling { can_be_woken, empty: 0, next_at, woke_at, more: false, unproven: false, bytes: 0 }
    }

    pub(super) fn is_unproven(&mut self) {
        self.unproven = true;
    }

    /// Kafka takes messages. Returns whether that was in doubt.
    pub(super) fn is_proven(&mut self, now: Instant) -> bool {
        let was_unproven = std::mem::take(&mut self.unproven);
        if was_unproven {
            self.next_at = now;
        }
        was_unproven
    }

    pub(super) fn left(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    pub(super) fn woke_at(&self) -> Instant {
        self.woke_at
    }

    fn pace(&self) -> IdleBackoff {
        pace(self.empty, self.can_be_woken)
    }
}

impl<R: RelayRow, C: Clone> Term<R, C> {
    /// Whether publishers should wake the relay.
    pub(super) fn sleeps(&self) -> bool {
        // Rows on their way are no reason to stay awake; a full window is, for nobody would look.
        self.polling.pace().asleep && self.can_take()
    }

    fn can_take(&self) -> bool {
        let has_room = self.window.len() < WINDOW && self.polling.bytes < WINDOW_BYTES;
        match self.retries.rows() {
            Some([]) => has_room && self.suspects.is_empty(),
            Some(_) => self.window.is_empty(),
            None => false,
        }
    }

    /// When to read next, if there is room.
    pub(super) fn reads_at(&self, now: Instant) -> Option<Instant> {
        let are_found = self.retries.rows().is_some_and(|rows| !rows.is_empty());
        let at_once = self.polling.more && !self.polling.unproven || are_found;
        self.can_take().then_some(if at_once { now } else { self.polling.next_at })
    }

    /// Takes the rows in that were parked and may go, if it is their turn. Returns whether it was.
    pub(super) fn take_retries(&mut self) -> bool {
        let rows = self.retries.take();
        let are_any = !rows.is_empty();
        rows.into_iter().for_each(|row| self.take_in(row, None));
        are_any
    }

    pub(super) fn read(
        &mut self,
        rows: Vec<(R, C)>,
        read_to: C,
        more: bool,
        now: Instant,
        chance: f64,
    ) -> Vec<Action> {
        let is_nothing_new = rows.is_empty() && !more;
        let polling = &mut self.polling;
        if !is_nothing_new && polling.empty > 0 {
            polling.woke_at = now;
        }
        polling.more = more;
        polling.empty = if is_nothing_new { polling.empty.saturating_add(1) } else { 0 };
        let slow = polling.unproven.then(|| SLOW.delay(self.sending.failures, chance));
        polling.next_at = now + slow.unwrap_or(polling.pace().wait);
        self.steps.read_to = read_to;
        rows.into_iter().for_each(|(row, passed)| self.take_in(row, Some(passed)));
        Vec::new()
    }

    pub(super) fn woken(&mut self, now: Instant) -> Vec<Action> {
        self.polling.next_at = now;
        self.retries.look_now(now);
        Vec::new()
    }

    fn take_in(&mut self, row: R, passed: Option<C>) {
        // A row that is tried again is the first of its key: it is what the key waits for.
        let waits = passed.is_some()
            && !self.blocked.is_empty()
            && row.key().is_some_and(|key| {
                self.blocked.contains(&(row.topic().to_owned(), key.to_owned()))
            });
        let held = match passed.is_some() && !waits {
            true => self.topics.refusal(row.topic()),
            false => None,
        };
        self.steps.top_seq = self.steps.top_seq.max(row.seq());
        self.polling.bytes += row.bytes();
        let token = self.window.push(Item { row, passed });
        if waits || held.is_some() {
            self.window.settle(token, End::Parked(held));
        }
    }
}
