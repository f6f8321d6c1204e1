//! How long Kafka took to acknowledge the newest messages, for the page. Prometheus has the histogram.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rules::numfmt::quantile;

/// How many of the newest count.
const KEPT: usize = 1000;

static ACKNOWLEDGED: Mutex<VecDeque<Duration>> = Mutex::new(VecDeque::new());

pub(super) fn acknowledged(took: Duration) {
    put(&mut ACKNOWLEDGED.lock().unwrap_or_else(PoisonError::into_inner), took);
}

/// The times within which Kafka acknowledged half, and 99 of 100, of the last thousand messages that this process
/// sent; `None` before the first.
pub fn acknowledging() -> Option<(Duration, Duration)> {
    quantiles(&ACKNOWLEDGED.lock().unwrap_or_else(PoisonError::into_inner))
}

fn put(times: &mut VecDeque<Duration>, took: Duration) {
    if times.len() == KEPT {
        times.pop_front();
    }
    times.push_back(took);
}

fn quantiles(times: &VecDeque<Duration>) -> Option<(Duration, Duration)> {
    let mut sorted: Vec<Duration> = times.iter().copied().collect();
    sorted.sort_unstable();
    quantile(&sorted, 500).zip(quantile(&sorted, 990))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_the_newest() {
        let mut times = VecDeque::new();
        assert_eq!(quantiles(&times), None);
        let millis = Duration::from_millis;
        put(&mut times, millis(7));
        assert_eq!(quantiles(&times), Some((millis(7), millis(7))));
        for time in 1..=1000 {
            put(&mut times, millis(time));
        }
        assert_eq!(quantiles(&times), Some((millis(500), millis(990))));
    }
}
