//! Small batches: bounded by rows and bytes, and never waiting longer than the linger.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What one batch may hold, and how long it may stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most items; 0 counts as 1.
    pub rows: usize,
    /// The most bytes; one item that alone is larger still goes, as a batch of its own.
    pub bytes: usize,
    /// How long two or more items wait for others, from the arrival of the first.
    pub linger: Duration,
}

/// Items in order of arrival, cut into batches at their front.
#[derive(Debug)]
pub struct Batcher<T> {
    limits: Limits,
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    bytes: usize,
    arrived: Instant,
}

impl<T> Batcher<T> {
    /// An empty batcher.
    pub fn new(limits: Limits) -> Self {
        Batcher { limits, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Adds an item of so many bytes that came at `now`. It is never refused: the caller stops
    /// pushing when [`Batcher::is_full`], or what is too much stays for the next batch.
    pub fn push(&mut self, item: T, bytes: usize, now: Instant) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.push_back(Waiting { item, bytes, arrived: now });
    }

    /// Whether the next batch has no room left.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.rows.max(1)
            || (self.bytes >= self.limits.bytes && !self.is_empty())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the next batch is due; a time in the past means now. A lone item is due at its arrival,
    /// for waiting would only delay it; once a second one has come there is a stream worth
    /// gathering, and the batch is due a linger after its first item, or at once when full.
    pub fn deadline(&self) -> Option<Instant> {
        let opened = self.waiting.front()?.arrived;
        if self.waiting.len() == 1 || self.is_full() {
            return Some(opened);
        }
        Some(opened.checked_add(self.limits.linger).unwrap_or(opened))
    }

    /// The next batch, within the limits; empty only when nothing waits. What does not fit stays.
    pub fn take(&mut self) -> Vec<T> {
        let (mut rows, mut bytes) = (0, 0usize);
        for waiting in self.waiting.iter().take(self.limits.rows.max(1)) {
            let sum = bytes.saturating_add(waiting.bytes);
            if rows > 0 && sum > self.limits.bytes {
                break;
            }
            (rows, bytes) = (rows + 1, sum);
        }
        let batch = self.waiting.drain(..rows).map(|waiting| waiting.item).collect();
        // Summed anew, because a sum that once saturated cannot be counted down.
        self.bytes = self.waiting.iter().fold(0, |sum, w| sum.saturating_add(w.bytes));
        batch
    }

    /// Forgets everything that waits, as when a partition was lost to another worker.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(20);
    const MS: Duration = Duration::from_millis(1);

    fn batcher() -> Batcher<u32> {
        Batcher::new(Limits { rows: 3, bytes: 100, linger: LINGER })
    }

    #[test]
    fn a_lone_item_is_due_at_its_arrival() {
        let (mut batcher, now) = (batcher(), Instant::now());
        assert_eq!(batcher.deadline(), None);
        batcher.push(1, 10, now);
        assert_eq!(batcher.deadline(), Some(now));
    }

    #[test]
    fn a_second_item_makes_the_batch_wait_a_linger_from_its_first() {
        let (mut batcher, now) = (batcher(), Instant::now());
        batcher.push(1, 10, now);
        batcher.push(2, 10, now + 5 * MS);
        assert!(!batcher.is_full());
        assert_eq!(batcher.deadline(), Some(now + LINGER));
    }

    #[test]
    fn a_full_batch_is_due_at_once() {
        let (mut rows, mut bytes, now) = (batcher(), batcher(), Instant::now());
        (0..3).for_each(|n| rows.push(n, 10, now + n * MS));
        assert!(rows.is_full());
        assert_eq!(rows.deadline(), Some(now));
        (0..2).for_each(|n| bytes.push(n, 50, now + n * MS));
        assert!(bytes.is_full());
        assert_eq!(bytes.deadline(), Some(now));
    }

    #[test]
    fn what_does_not_fit_stays_for_the_next_batch_with_its_own_deadline() {
        let (mut batcher, now) = (batcher(), Instant::now());
        batcher.push(1, 60, now);
        batcher.push(2, 60, now + MS);
        batcher.push(3, 500, now + 2 * MS);
        assert_eq!(batcher.take(), [1]);
        assert_eq!(batcher.take(), [2]);
        assert_eq!(batcher.deadline(), Some(now + 2 * MS));
        assert_eq!(batcher.take(), [3]);
        assert!(batcher.take().is_empty() && batcher.is_empty() && !batcher.is_full());
    }

    #[test]
    fn limits_of_nothing_still_let_items_through_one_by_one() {
        let limits = Limits { rows: 0, bytes: 0, linger: Duration::MAX };
        let (mut batcher, now) = (Batcher::new(limits), Instant::now());
        (0..3).for_each(|n| batcher.push(n, usize::MAX, now));
        assert_eq!([batcher.take(), batcher.take(), batcher.take()], [[0], [1], [2]]);
        batcher.push(9, 1, now);
        batcher.clear();
        assert!(batcher.is_empty());
    }
}
