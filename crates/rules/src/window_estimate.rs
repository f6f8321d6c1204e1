//! Where a window will end, guessed from the last ones, so that the window behind it can be read at the
//! same time.

use jiff::{SignedDuration, Timestamp};

/// How much time a full window takes in, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stride(Option<SignedDuration>);

impl Stride {
    /// What windows of at most `rows` rows that read `read` of them from one time to another tell.
    pub fn of(from: Timestamp, to: Timestamp, read: i64, rows: i64) -> Stride {
        let micros = i128::from(to.as_microsecond()) - i128::from(from.as_microsecond());
        // Less, so that a window mostly ends where it was guessed to and is not full; and as it must count its
        // payments, which a full one need not, the two then take about the same time.
        let full = micros * i128::from(rows) * 13 / 16 / i128::from(read.max(1));
        let is_usable = read > 0 && full > 0;
        Stride(
            is_usable.then(|| i64::try_from(full).map(SignedDuration::from_micros).ok()).flatten(),
        )
    }

    /// Where to part the time between two windows of which the first begins at `from`; `None` for one
    /// window only, because it is likely to come to `until` or nothing can be said.
    pub fn part(self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        from.checked_add(self.0?).ok().filter(|part| *part < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_window_is_guessed_to_be_a_little_shorter_than_the_last_ones() {
        let stride = Stride::of(at(1000), at(1800), 100, 100);
        assert_eq!(stride.part(at(2000), at(9000)), Some(at(2650)));
        // Two windows that read less than they could.
        let stride = Stride::of(at(1000), at(1800), 50, 100);
        assert_eq!(stride.part(at(2000), at(9000)), Some(at(3300)));
    }

    #[test]
    fn there_is_one_window_where_the_end_is_near_or_nothing_is_known() {
        let stride = Stride::of(at(1000), at(1800), 100, 100);
        assert_eq!(stride.part(at(2000), at(2650)), None);
        for unknown in [
            Stride::default(),
            Stride::of(at(5), at(5), 100, 100),
            Stride::of(at(5), at(4), 100, 100),
            Stride::of(at(4), at(5), 0, 100),
            Stride::of(Timestamp::MIN, Timestamp::MAX, 1, i64::MAX),
        ] {
            assert_eq!(unknown.part(at(0), Timestamp::MAX), None, "{unknown:?}");
        }
        assert_eq!(stride.part(Timestamp::MAX, Timestamp::MAX), None);
    }
}
