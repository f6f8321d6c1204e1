//! How far one partition is, under one claim.

use rules::ids::Offset;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Shared by the client's thread, which hands records over, and the lane, which moves the position.
/// Each claim has tracks of its own, so that what is left of an older one can touch nothing.
#[derive(Debug)]
pub struct Track {
    began: Offset,
    delivered: AtomicI64,
    ended: AtomicI64,
    position: AtomicI64,
}

impl Track {
    /// A partition that is read from `offset` on.
    pub fn new(offset: Offset) -> Arc<Track> {
        Arc::new(Track {
            began: offset,
            delivered: AtomicI64::new(offset.0),
            ended: AtomicI64::new(offset.0),
            position: AtomicI64::new(offset.0),
        })
    }

    /// The client handed over a record; `next` is the offset behind it.
    pub fn delivered(&self, next: Offset) {
        // Whatever end there was, more has come.
        self.ended.store(next.0, Ordering::Release);
        self.delivered.store(next.0, Ordering::Release);
    }

    /// The client came to the end of what may be read, when the log ended at `end`: what lies before
    /// that and was not handed over is nothing that anybody is given, such as the marks of transactions.
    pub fn ended(&self, end: Offset) {
        self.ended.store(end.0, Ordering::Release);
    }

    /// The position moved: everything before `next` is in PostgreSQL.
    pub fn moved(&self, next: Offset) {
        self.position.store(next.0, Ordering::Release);
    }

    /// Whether the position has moved since the claim.
    pub fn has_moved(&self) -> bool {
        self.position.load(Ordering::Acquire) != self.began.0
    }

    /// The offset before which nothing is left to do, and whether records are in hand that are not
    /// applied yet.
    pub fn covered(&self) -> (Offset, bool) {
        // In this order: a record that comes in between is in hand.
        let ended = self.ended.load(Ordering::Acquire);
        let position = self.position.load(Ordering::Acquire);
        let in_hand = self.delivered.load(Ordering::Acquire) > position;
        (Offset(if in_hand { position } else { position.max(ended) }), in_hand)
    }
}
