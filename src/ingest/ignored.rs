//! Which types of records a route has ignored, and how many of each: counted in memory, written down with the heartbeat.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

use crate::config;

/// How many types are told apart; the others of a topic with more are one.
const MOST: usize = 50;
const REST: &str = "(others)";

/// What is not written down yet.
#[derive(Debug, Default)]
pub struct Ignored {
    counts: Mutex<BTreeMap<String, i64>>,
}

impl Ignored {
    /// Counts a record of this type; the first one of a type since the last heartbeat is told in the log unless its type
    /// is known to be of no interest.
    pub(super) fn add(&self, route: &config::Inbox, name: &str) {
        let mut counts = self.lock();
        let counted_as = if counts.len() < MOST || counts.contains_key(name) { name } else { REST };
        if let Some(count) = counts.get_mut(counted_as) {
            *count += 1;
            return;
        }
        counts.insert(counted_as.to_owned(), 1);
        if !route.ignores(name) {
            warn!(route = route.name, event_type = name, "a record of another type is ignored");
        }
    }

    /// Takes all counts, to be written down.
    pub(super) fn take(&self) -> BTreeMap<String, i64> {
        std::mem::take(&mut self.lock())
    }

    /// Puts back what could not be written down.
    pub(super) fn put_back(&self, counts: BTreeMap<String, i64>) {
        let mut now = self.lock();
        for (name, count) in counts {
            *now.entry(name).or_default() += count;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        // Each count is whole at every moment, so a panic elsewhere does not spoil them.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_types_come_their_number_is_bounded_and_no_record_is_lost() {
        let (ignored, route) = (Ignored::default(), config::Config::default().inbox.remove(0));
        for number in 0..500 {
            ignored.add(&route, &format!("T{}", number % 100));
        }
        let counts = ignored.take();
        assert_eq!((counts.len(), counts.values().sum::<i64>()), (MOST + 1, 500));
        assert!(ignored.take().is_empty());
        ignored.put_back(counts);
        assert_eq!(ignored.take().values().sum::<i64>(), 500);
    }
}
