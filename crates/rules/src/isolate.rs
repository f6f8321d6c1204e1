//! Finds the items that are refused, and lets the others through in order.

use std::ops::Range;

/// How many items one transaction tries one by one. Each has a savepoint, and PostgreSQL gets slow for everybody
/// beyond 64 of them (PGPROC's cache of subtransactions).
pub const EACH: usize = 32;
/// From so many refusals on the rest is tried one by one: halving costs more than it saves then.
const MANY: usize = 2;

/// What to try next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Try {
    /// All of these in one transaction; one refusal refuses all of them.
    Together(Range<usize>),
    /// These one by one in one transaction, at most [`EACH`]; a refusal is of one item.
    Each(Range<usize>),
}

/// Steps through a batch from left to right: try [`Isolate::next`], say how it went, repeat.
///
/// Everything to the left of what is tried has passed or was refused alone, so what passed can be committed with
/// its position at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolate {
    /// Ranges still to try; the leftmost is last.
    open: Vec<Part>,
    refused: usize,
    /// Whether items can be tried one by one in one transaction.
    can_each: bool,
    each: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    range: Range<usize>,
    /// One by one it failed as a whole, as when only COMMIT refuses: it must be halved.
    halve: bool,
}

impl Isolate {
    /// Starts with the whole batch of `len` items.
    pub fn new(len: usize, can_each: bool) -> Isolate {
        let whole = Part { range: 0..len, halve: false };
        let open = if len == 0 { Vec::new() } else { vec![whole] };
        Isolate { open, refused: 0, can_each, each: false }
    }

    /// What to try; the same until its result is told. `None` when every item has passed or was refused alone.
    #[expect(clippy::should_implement_trait, reason = "asking twice must not skip a range")]
    pub fn next(&mut self) -> Option<Try> {
        let Part { range, halve } = self.open.last()?.clone();
        if !self.each || halve || range.len() == 1 {
            return Some(Try::Together(range));
        }
        if range.len() <= EACH {
            return Some(Try::Each(range));
        }
        let cut = range.start + EACH;
        self.open.pop();
        self.open.push(Part { range: cut..range.end, halve });
        self.open.push(Part { range: range.start..cut, halve });
        Some(Try::Each(range.start..cut))
    }

    /// It passed. Of what was tried one by one, `refused` were refused.
    pub fn passed(&mut self, refused: usize) {
        let was_each =
            self.open.pop().is_some_and(|part| self.each && !part.halve && part.range.len() > 1);
        self.refused += refused;
        // Where few are refused it is faster together.
        self.each &= !was_each || refused > 0;
    }

    /// It was refused as a whole: a range is split. A single item was refused alone.
    pub fn failed(&mut self) {
        let Some(Part { range, halve }) = self.open.pop() else { return };
        if range.len() == 1 {
            self.refused += 1;
            self.each |= self.can_each && self.refused >= MANY;
            return;
        }
        let halve = halve || self.each;
        let middle = range.start + range.len() / 2;
        self.open.push(Part { range: middle..range.end, halve });
        self.open.push(Part { range: range.start..middle, halve });
    }

    /// It took too long as a whole: what is in it is tried one by one, if that can be.
    pub fn took_too_long(&mut self) {
        let is_new = self.can_each && !self.each;
        match self.open.last() {
            Some(part) if part.range.len() > 1 && is_new => self.each = true,
            _ => self.failed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs it on items of which some are refused; what passed, what was refused, and how many tries it took.
    fn run(
        len: usize,
        bad: impl Fn(usize) -> bool,
        can_each: bool,
    ) -> (Vec<usize>, Vec<usize>, usize) {
        let mut isolate = Isolate::new(len, can_each);
        let (mut passed, mut refused, mut tries) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = isolate.next() {
            tries += 1;
            match next {
                Try::Together(range) if !range.clone().any(&bad) => {
                    passed.extend(range);
                    isolate.passed(0);
                }
                Try::Together(range) => {
                    if range.len() == 1 {
                        refused.extend(range);
                    }
                    isolate.failed();
                }
                Try::Each(range) => {
                    assert!(range.len() <= EACH);
                    let (no, yes): (Vec<usize>, Vec<usize>) = range.partition(|at| bad(*at));
                    isolate.passed(no.len());
                    passed.extend(yes);
                    refused.extend(no);
                }
            }
        }
        (passed, refused, tries)
    }

    #[test]
    fn one_refused_of_eight_is_found_and_the_rest_passes_in_order() {
        let (passed, refused, tries) = run(8, |at| at == 5, true);
        assert_eq!(passed, [0, 1, 2, 3, 4, 6, 7]);
        assert_eq!((refused, tries), (vec![5], 7));
    }

    #[test]
    fn many_refused_are_found_one_by_one() {
        let is_bad = |at: usize| at % 5 < 2;
        let (passed, refused, tries) = run(4000, is_bad, true);
        assert_eq!((passed.len(), refused.len()), (2400, 1600));
        assert!(tries < 200, "{tries} transactions");
        let (passed, refused, _) = run(4000, is_bad, false);
        assert_eq!((passed.len(), refused.len()), (2400, 1600));
    }

    #[test]
    fn every_other_one_refused_is_found_one_by_one() {
        let (passed, refused, tries) = run(500, |at| at % 2 == 1, true);
        assert_eq!((passed.len(), refused.len()), (250, 250));
        assert!(tries < 60, "{tries} transactions");
    }

    #[test]
    fn what_fails_one_by_one_as_a_whole_is_halved() {
        let mut isolate = Isolate::new(40, true);
        isolate.took_too_long();
        assert_eq!(isolate.next(), Some(Try::Each(0..32)));
        isolate.failed();
        assert_eq!(isolate.next(), Some(Try::Together(0..16)));
        isolate.passed(0);
        assert_eq!(isolate.next(), Some(Try::Together(16..32)));
    }

    #[test]
    fn asking_twice_gives_the_same_until_its_result_is_told() {
        let mut isolate = Isolate::new(4, true);
        isolate.failed();
        assert_eq!(isolate.next(), Some(Try::Together(0..2)));
        assert_eq!(isolate.next(), Some(Try::Together(0..2)));
        isolate.passed(0);
        assert_eq!(isolate.next(), Some(Try::Together(2..4)));
        assert_eq!(Isolate::new(0, true).next(), None);
    }
}
