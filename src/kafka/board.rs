//! The offsets that may be committed to Kafka: lanes write them after a known database commit, the
//! consumer thread sends them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A shared board of the newest committable offset of each partition.
#[derive(Clone, Default)]
pub struct OffsetBoard(Arc<Mutex<BTreeMap<i32, i64>>>);

impl OffsetBoard {
    /// Puts up the next offset of a partition. It replaces what is there, also by a lower one: a
    /// rewind must reach Kafka too.
    pub fn post(&self, partition: i32, next_offset: i64) {
        self.lock().insert(partition, next_offset);
    }

    /// Puts back an offset whose commit failed, unless a newer word has been posted since.
    pub(super) fn put_back(&self, partition: i32, next_offset: i64) {
        self.lock().entry(partition).or_insert(next_offset);
    }

    /// Takes everything that is up.
    pub(super) fn take(&self) -> BTreeMap<i32, i64> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, i64>> {
        // A map of integers is whole at every moment, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
