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
