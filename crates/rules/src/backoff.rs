//! How long to wait before the next attempt.

use std::time::Duration;

/// Doubling delays with jitter, so that many workers do not come back in step
/// (Brooker, "Exponential Backoff And Jitter", the "equal jitter" form).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay of attempt 0 before jitter.
    pub first: Duration,
    /// No delay is longer.
    pub max: Duration,
}

impl Backoff {
    /// The delay before attempt `attempt` (from 0): at least half of `first` doubled `attempt`
    /// times and capped at `max`, at most all of it; `unit` in `0..1` chooses within. Any other
    /// `unit` counts as the nearer end, no number as 1.
    pub fn delay(&self, attempt: u32, unit: f64) -> Duration {
        let unit = if unit.is_nan() { 1.0 } else { unit.clamp(0.0, 1.0) };
        // 2^94 ns is more than a Duration can hold, so further doubling changes nothing.
        let full = (0..attempt.min(94))
            .fold(self.first.min(self.max), |delay, _| delay.saturating_mul(2).min(self.max));
        let half = full / 2;
        (half + half.mul_f64(unit)).min(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(100), max: Duration::from_secs(30) };

    #[test]
    fn doubles_up_to_the_maximum() {
        let seconds: Vec<f64> =
            [0, 1, 2, 8, 9].map(|n| BACKOFF.delay(n, 1.0).as_secs_f64()).to_vec();
        assert_eq!(seconds, [0.1, 0.2, 0.4, 25.6, 30.0]);
    }

    #[test]
    fn jitter_never_takes_more_than_half() {
        assert_eq!(BACKOFF.delay(0, 0.0), Duration::from_millis(50));
        assert_eq!(BACKOFF.delay(0, 0.5), Duration::from_millis(75));
    }

    #[test]
    fn no_attempt_and_no_unit_overflows() {
        let endless = Backoff { first: Duration::from_nanos(1), max: Duration::MAX };
        assert!(endless.delay(u32::MAX, 1.0) > Duration::from_secs(u64::MAX / 2));
        for unit in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 2.0] {
            assert!(BACKOFF.delay(u32::MAX, unit) <= BACKOFF.max);
        }
        assert_eq!(
            Backoff { first: BACKOFF.max, max: Duration::ZERO }.delay(9, 1.0),
            Duration::ZERO
        );
    }
}
