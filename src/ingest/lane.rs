//! One lane: takes the records of its partitions in order, gathers them into batches, applies them.
//!
//! What it is in and what leads where is the machine's, [`rules::ingest::lane`]. Orders wait while a batch is in a transaction.
//! With too many suspects waiting for a proof a lane is slow: after each pause one more record of each partition is tried, until
//! something gets through.

#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::kafka::commit_queue::OffsetBoard;
use crate::kafka::consumer::Delivery;
use crate::progress::Track;
use crate::store::positions::{Anchor, Log};
use rules::diagnosis::Diagnosis;
use rules::ids::{Offset, StepNumber};
use rules::problem::Problem;

/// What the loop asks of a lane.
pub(super) enum Order {
    /// Begin anew with what was claimed.
    Adopt(Box<LaneClaim>),
    /// Hold nothing any more.
    Drop { done: oneshot::Sender<()> },
    /// Answer once nothing is held.
    Settle { done: oneshot::Sender<()> },
}

/// What a lane tells the loop.
pub(super) enum LaneReport {
    /// The lane's batch cannot be applied for now.
    Held(usize, Diagnosis),
    /// It was applied after all.
    Resumed(usize),
    /// Positions must be read and claimed again.
    Restart(&'static str),
    /// The group does not take our member in.
    Barred(Problem),
    /// The lane has ended, which it should not.
    Ended(usize),
}

/// The loop's end of a lane.
pub(super) struct Lane {
    /// Where its records go.
    pub records: mpsc::Sender<Delivery>,
    orders: mpsc::Sender<Order>,
}

impl Lane {
    /// Gives an order; waits while the lane has too many of them.
    pub(super) async fn tell(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    /// Gives an order that may be lost when the lane has too many of them.
    pub(super) fn tell_now(&self, order: Order) {
        let _ = self.orders.try_send(order);
    }
}

/// What a lane owns: set by an adoption.
pub(super) struct LaneClaim {
    /// Only records of this fetch are taken.
    pub generation: u64,
    pub log: Log,
    /// The step that each partition's next batch builds on.
    pub steps: BTreeMap<i32, StepNumber>,
    /// Each partition's step when its old ones were deleted last, at first when it was claimed.
    pub trimmed: BTreeMap<i32, StepNumber>,
    /// Whether the next batch asks the inbox first, however large it is: the last one was not all new and good.
    pub looks: bool,
    /// How many suspects of the mapping wait, when last counted.
    pub waiting: usize,
    /// When the log was last told of records that need a look.
    pub told: Option<Instant>,
    /// Where each partition's fetch begins.
    pub from: BTreeMap<i32, Offset>,
    /// The position of each.
    pub starts: BTreeMap<i32, Offset>,
    /// The records before the positions, which are read again to prove the log.
    pub anchors: BTreeMap<i32, Anchor>,
    /// Where the watchdog sees how far each is.
    pub tracks: BTreeMap<i32, Arc<Track>>,
    /// Where the member that reads them hears what may be committed.
    pub board: OffsetBoard,
}

impl LaneClaim {
    /// No partition at all, for what is rolled back.
    pub(super) fn of_nothing(log: &Log) -> LaneClaim {
        LaneClaim {
            generation: 0,
            log: log.clone(),
            steps: BTreeMap::new(),
            trimmed: BTreeMap::new(),
            looks: true,
            waiting: 0,
            told: None,
            from: BTreeMap::new(),
            starts: BTreeMap::new(),
            anchors: BTreeMap::new(),
            tracks: BTreeMap::new(),
            board: OffsetBoard::default(),
        }
    }
}
