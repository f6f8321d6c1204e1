//! Finds the items that make a batch fail, and lets the others through in order.

use std::ops::Range;

/// Steps through a batch from left to right: try [`Bisect::next`], say how it went, repeat.
///
/// Every range that passed can be committed with its position at once, because everything to its
/// left has passed or stands alone as a culprit. With `k` culprits among `n` items it takes at most
/// `1 + 2k·⌈log2 n⌉` tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bisect {
    /// Ranges still to try; the leftmost is last.
    open: Vec<Range<usize>>,
    culprits: Vec<usize>,
}

impl Bisect {
    /// Starts with the whole batch of `len` items. If it is known to fail, call
    /// [`Bisect::failed`] at once.
    pub fn new(len: usize) -> Self {
        let open = if len == 0 { Vec::new() } else { std::iter::once(0..len).collect() };
        Bisect { open, culprits: Vec::new() }
    }

    /// The range to try now, half-open, never empty; the same one until its result is told. `None`
    /// when every item has passed or is a culprit.
    #[expect(clippy::should_implement_trait, reason = "asking twice must not skip a range")]
    pub fn next(&mut self) -> Option<Range<usize>> {
        self.open.last().cloned()
    }

    /// The range passed.
    pub fn passed(&mut self) {
        self.open.pop();
    }

    /// The range failed because of its items: it is split, or its single item is a culprit.
    pub fn failed(&mut self) {
        let Some(range) = self.open.pop() else { return };
        if range.len() == 1 {
            self.culprits.push(range.start);
            return;
        }
        let middle = range.start + range.len() / 2;
        self.open.push(middle..range.end);
        self.open.push(range.start..middle);
    }

    /// The culprits found so far, ascending.
    pub fn culprits(&self) -> &[usize] {
        &self.culprits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_culprit_of_eight_is_found_and_the_rest_passes_in_order() {
        let mut bisect = Bisect::new(8);
        let mut passed = Vec::new();
        let mut tries = 0;
        while let Some(range) = bisect.next() {
            tries += 1;
            if range.contains(&5) {
                bisect.failed();
            } else {
                passed.extend(range);
                bisect.passed();
            }
        }
        assert_eq!(passed, [0, 1, 2, 3, 4, 6, 7]);
        assert_eq!(bisect.culprits(), [5]);
        assert_eq!(tries, 7);
    }

    #[test]
    fn asking_twice_gives_the_same_range_until_its_result_is_told() {
        let mut bisect = Bisect::new(4);
        bisect.failed();
        assert_eq!(bisect.next(), Some(0..2));
        assert_eq!(bisect.next(), Some(0..2));
        bisect.passed();
        assert_eq!(bisect.next(), Some(2..4));
    }

    #[test]
    fn an_empty_batch_has_nothing_to_try() {
        let mut bisect = Bisect::new(0);
        assert_eq!(bisect.next(), None);
        bisect.failed();
        bisect.passed();
        assert!(bisect.culprits().is_empty());
    }
}
