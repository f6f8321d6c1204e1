//! The brake on bad records: a lone one is put away and nobody waits for it, but when most of what came
//! lately is bad, a deploy went wrong, and filling the quarantine would only hide that.

use std::collections::BTreeMap;

/// Which share of bad records holds a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brake {
    /// More than this share of the last records, in percent; 100 never holds.
    pub share: u8,
    /// How many records that is a share of. With fewer read so far nothing holds.
    pub share_from: u64,
}

/// What one partition has read lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// How many records were read, from the first on.
    pub read: u64,
    /// The offset after the last of them.
    pub next: i64,
    /// The offsets of bad ones nobody has decided on, each once, in any order. Only the last count.
    pub bad: Vec<i64>,
}

/// Too many bad records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Where; `None` for all partitions together.
    pub partition: Option<i32>,
    /// How many are bad.
    pub bad: u64,
    /// Of so many records.
    pub of: u64,
}

impl Stretch {
    /// The same partition after `records` more, some of which are bad. One that is read again counts once.
    pub fn after(&self, records: u64, next: i64, bad: &[i64]) -> Stretch {
        let mut all = [self.bad.as_slice(), bad].concat();
        all.sort_unstable();
        all.dedup();
        Stretch { read: self.read.saturating_add(records), next, bad: all }
    }

    /// Bad records among the last ones, and how many those are. Offsets may have holes, so this looks
    /// back over fewer records than `window` rather than over more.
    fn last(&self, window: u64) -> (u64, u64) {
        let of = self.read.min(window);
        let from = self.next.saturating_sub(i64::try_from(window).unwrap_or(i64::MAX));
        let bad = self.bad.iter().filter(|at| (from..self.next).contains(*at)).count();
        ((bad as u64).min(of), of)
    }
}

impl Brake {
    /// Where too many of the last records are bad, if anywhere: in one partition, or in all together,
    /// each then with its share of the last records.
    pub fn excess(&self, stretches: &BTreeMap<i32, Stretch>) -> Option<Excess> {
        let alone = stretches.iter().find_map(|(partition, stretch)| {
            let (bad, of) = stretch.last(self.share_from);
            self.is_over(bad, of).then_some(Excess { partition: Some(*partition), bad, of })
        });
        alone.or_else(|| {
            let window = self.window(stretches)?;
            let parts = stretches.values().map(|stretch| stretch.last(window));
            let (bad, of) = parts.fold((0, 0), |(bad, of), part| (bad + part.0, of + part.1));
            self.is_over(bad, of).then_some(Excess { partition: None, bad, of })
        })
    }

    fn is_over(&self, bad: u64, of: u64) -> bool {
        of >= self.share_from && u128::from(bad) * 100 > u128::from(of) * u128::from(self.share)
    }

    /// The fewest records to look back in each partition so that together they are enough.
    fn window(&self, stretches: &BTreeMap<i32, Stretch>) -> Option<u64> {
        let is_enough = |window: u64| {
            let seen = stretches.values().map(|s| u128::from(s.read.min(window)));
            seen.sum::<u128>() >= u128::from(self.share_from)
        };
        let (mut below, mut enough) = (0, self.share_from);
        if !is_enough(enough) {
            return None;
        }
        while enough - below > 1 {
            let middle = below + (enough - below) / 2;
            if is_enough(middle) { enough = middle } else { below = middle }
        }
        Some(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRAKE: Brake = Brake { share: 50, share_from: 100 };

    /// Partitions that have read so many records, of which so many of the last are bad.
    fn route(parts: &[(u64, i64)]) -> BTreeMap<i32, Stretch> {
        let stretch = |(read, bad): &(u64, i64)| {
            let next = *read as i64;
            Stretch { read: *read, next, bad: (next - bad..next).collect() }
        };
        (0..).zip(parts.iter().map(stretch)).collect()
    }

    #[test]
    fn a_small_topic_never_holds_and_half_is_not_more_than_half() {
        for parts in [&[(99, 99)][..], &[(100, 50)], &[(1_000_000, 50)], &[(60, 60), (39, 39)]] {
            assert_eq!(BRAKE.excess(&route(parts)), None, "{parts:?}");
        }
    }

    #[test]
    fn one_bad_partition_holds_and_so_do_all_with_a_share_each() {
        let excess = |parts: &[(u64, i64)]| BRAKE.excess(&route(parts));
        let alone = Excess { partition: Some(1), bad: 51, of: 100 };
        assert_eq!(excess(&[(9000, 0), (9000, 51)]), Some(alone));
        let together = Excess { partition: None, bad: 52, of: 100 };
        assert_eq!(excess(&[(9000, 13); 4]), Some(together));
        // One that has read nothing yet does not hide the others.
        assert!(excess(&[(9000, 20), (9000, 20), (9000, 20), (0, 0)]).is_some());
    }

    #[test]
    fn what_is_read_again_counts_once_and_what_is_decided_not_at_all() {
        let before = Stretch { read: 100, next: 100, bad: (60..100).collect() };
        let again = before.after(40, 100, &(60..100).collect::<Vec<_>>());
        assert_eq!(BRAKE.excess(&BTreeMap::from([(0, again.clone())])), None, "{again:?}");
        let more = again.after(11, 111, &(100..111).collect::<Vec<_>>());
        assert!(BRAKE.excess(&BTreeMap::from([(0, more.clone())])).is_some());
        let decided = Stretch { bad: vec![110], ..more };
        assert_eq!(BRAKE.excess(&BTreeMap::from([(0, decided)])), None);
    }
}
