//! What failed alone, and whether the world has worked since.

use std::collections::BTreeMap;

/// Records, payments or decisions that failed alone, and how many purchases their route had made when each of
/// them failed first. Lost with the process; they fail again.
#[derive(Clone, Debug)]
pub struct Suspects<K>(BTreeMap<K, i64>);

impl<K> Default for Suspects<K> {
    fn default() -> Suspects<K> {
        Suspects(BTreeMap::new())
    }
}

impl<K: Ord> Suspects<K> {
    /// Notes that one failed, when the route had made `applied` purchases; whether it has made any since that
    /// one failed first, so that the world works.
    pub fn has_moved_since(&mut self, key: K, applied: i64) -> bool {
        applied > *self.0.entry(key).or_insert(applied)
    }

    /// Begins anew: none of them is at hand any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_since_the_first_failure_tells_of_a_world_that_works() {
        let mut suspects = Suspects::default();
        assert!(!suspects.has_moved_since("a", 5));
        assert!(!suspects.has_moved_since("a", 5));
        assert!(suspects.has_moved_since("a", 6));
        assert!(!suspects.has_moved_since("b", 6), "it failed only now");
        assert!(suspects.has_moved_since("a", 7), "the first failure counts");
        suspects.clear();
        assert!(!suspects.has_moved_since("a", 7));
    }
}
