//! How long Kafka took to acknowledge the newest messages, for the page. Prometheus has the histogram.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many of the newest count.
const KEPT: usize = 1000;

static ACKNOWLEDGED: Mutex<Ring> = Mutex::new(Ring::EMPTY);

/// The newest times, the next one's place, and how many there are.
struct Ring {
    times: [Duration; KEPT],
    next: usize,
    filled: usize,
}

impl Ring {
    const EMPTY: Ring = Ring { times: [Duration::ZERO; KEPT], next: 0, filled: 0 };

    fn put(&mut self, took: Duration) {
        self.times[self.next] = took;
        self.next = (self.next + 1) % KEPT;
        self.filled = (self.filled + 1).min(KEPT);
    }

    /// The times that half and 99 of 100 of them keep within.
    fn quantiles(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.times[..self.filled].to_vec();
        sorted.sort_unstable();
        let at =
            |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?);
        Some((*at(50)?, *at(99)?))
    }
}

pub(super) fn acknowledged(took: Duration) {
    ACKNOWLEDGED.lock().unwrap_or_else(PoisonError::into_inner).put(took);
}

/// The times within which Kafka acknowledged half, and 99 of 100, of the last thousand messages that this process
/// sent; `None` before the first.
pub fn acknowledging() -> Option<(Duration, Duration)> {
    ACKNOWLEDGED.lock().unwrap_or_else(PoisonError::into_inner).quantiles()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_the_newest() {
        let mut ring = Ring::EMPTY;
        assert_eq!(ring.quantiles(), None);
        let millis = Duration::from_millis;
        ring.put(millis(7));
        assert_eq!(ring.quantiles(), Some((millis(7), millis(7))));
        for time in 1..=1000 {
            ring.put(millis(time));
        }
        assert_eq!(ring.quantiles(), Some((millis(500), millis(990))));
    }
}
