//! How often an outbox is looked at: at once while rows come, less and less while none do, and from some
//! moment on only when told, with a slow look in case that word was lost.

use std::time::Duration;

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleBackoff {
    /// After that long.
    pub wait: Duration,
    /// Whether publishers have to be told beforehand that they should wake the relay.
    pub asleep: bool,
}

/// Milliseconds between looks while awake.
const AWAKE: [u64; 5] = [1, 2, 4, 8, 16];
/// Milliseconds between looks once asleep was announced. Whoever published before the announcement and
/// commits after it wakes nobody; these looks find what was committed soon after.
const DROWSY: [u64; 4] = [0, 10, 50, 200];
/// Milliseconds between looks while asleep.
const ASLEEP: u64 = 1000;

/// Milliseconds between looks for a relay that nobody can wake.
const INSOMNIAC: u64 = 25;

/// The pace after so many looks in a row that found nothing. `can_be_woken` says whether publishers may send the
/// word at all.
pub fn pace(empty_looks: usize, can_be_woken: bool) -> IdleBackoff {
    let awake = AWAKE.get(empty_looks.saturating_sub(1));
    if !can_be_woken {
        let millis = if empty_looks == 0 { 0 } else { *awake.unwrap_or(&INSOMNIAC) };
        return IdleBackoff { wait: Duration::from_millis(millis), asleep: false };
    }
    let drowsy = DROWSY.get(empty_looks.saturating_sub(1 + AWAKE.len()));
    let millis = if empty_looks == 0 { 0 } else { *awake.or(drowsy).unwrap_or(&ASLEEP) };
    IdleBackoff { wait: Duration::from_millis(millis), asleep: empty_looks > AWAKE.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_it_awake_and_silence_puts_it_to_sleep() {
        assert_eq!(pace(0, true), IdleBackoff { wait: Duration::ZERO, asleep: false });
        assert!((0..=AWAKE.len()).all(|looks| !pace(looks, true).asleep));
        assert!((AWAKE.len() + 1..100).all(|looks| pace(looks, true).asleep));
    }

    #[test]
    fn who_cannot_be_woken_never_sleeps() {
        assert!((0..100).all(|looks| !pace(looks, false).asleep));
        assert!((0..100).all(|looks| pace(looks, false).wait <= Duration::from_millis(INSOMNIAC)));
    }

    #[test]
    fn a_look_follows_the_announcement_at_once() {
        assert_eq!(pace(AWAKE.len() + 1, true).wait, Duration::ZERO);
    }

    #[test]
    fn no_silence_makes_it_look_less_than_once_a_second() {
        assert!(
            (0..1000).chain([usize::MAX]).all(|n| pace(n, true).wait <= Duration::from_secs(1))
        );
    }
}
