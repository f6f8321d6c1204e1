//! The offsets that may be committed to Kafka: lanes write them after a known database commit, the
//! consumer thread sends them.

use rules::ids::Offset;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A shared board of the newest committable offset of each partition.
#[derive(Clone, Default)]
pub struct OffsetBoard(Arc<Mutex<Posts>>);

#[derive(Default)]
struct Posts {
    /// What is to be sent.
    up: BTreeMap<i32, Offset>,
    /// The last word on each partition, sent or not.
    newest: BTreeMap<i32, Offset>,
}

impl OffsetBoard {
    /// Puts up the next offset of a partition. It replaces what is there, also by a lower one: a
    /// rewind must reach Kafka too.
    pub fn post(&self, partition: i32, next_offset: Offset) {
        let mut posts = self.lock();
        posts.up.insert(partition, next_offset);
        posts.newest.insert(partition, next_offset);
    }

    /// Puts back an offset whose commit failed, unless it is not the last word any more: a newer one may have
    /// reached Kafka, or the partition may be somebody else's.
    pub(super) fn put_back(&self, partition: i32, next_offset: Offset) {
        let mut posts = self.lock();
        if posts.newest.get(&partition) == Some(&next_offset) {
            posts.up.insert(partition, next_offset);
        }
    }

    /// Takes everything that is up.
    pub(super) fn take(&self) -> BTreeMap<i32, Offset> {
        std::mem::take(&mut self.lock().up)
    }

    /// Forgets everything: the partitions are no longer ours.
    pub(super) fn clear(&self) {
        *self.lock() = Posts::default();
    }

    fn lock(&self) -> MutexGuard<'_, Posts> {
        // Maps of integers are whole at every moment, so a panic elsewhere does not spoil them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_whose_commit_failed_is_sent_again() {
        let board = OffsetBoard::default();
        board.post(0, Offset(50));
        assert_eq!(board.take(), BTreeMap::from([(0, Offset(50))]));
        board.put_back(0, Offset(50));
        assert_eq!(board.take(), BTreeMap::from([(0, Offset(50))]));
        assert_eq!(board.take(), BTreeMap::new());
    }

    #[test]
    fn an_older_word_never_replaces_a_newer_one() {
        let board = OffsetBoard::default();
        board.post(0, Offset(50));
        board.take();
        board.post(0, Offset(60));
        board.put_back(0, Offset(50));
        assert_eq!(board.take(), BTreeMap::from([(0, Offset(60))]));
        // The newer one is on its way, or there by now.
        board.put_back(0, Offset(50));
        assert_eq!(board.take(), BTreeMap::new());
        board.put_back(0, Offset(60));
        assert_eq!(board.take(), BTreeMap::from([(0, Offset(60))]));
    }

    #[test]
    fn what_failed_before_a_revoke_is_not_sent_after_it() {
        let board = OffsetBoard::default();
        board.post(0, Offset(50));
        board.take();
        board.post(1, Offset(7));
        board.clear();
        board.put_back(0, Offset(50));
        assert_eq!(board.take(), BTreeMap::new());
    }
}
