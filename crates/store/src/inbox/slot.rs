//! Which of the inbox's three tables a transaction writes to.

use crate::{Fault, Tx};

/// The slots of all three tables.
pub(super) const ALL: [i16; 3] = [0, 1, 2];

/// The slot of the turn at hand, held until the transaction ends: the next turn waits. Taken before the inbox is asked
/// what it has, else a row of the same event could be written to the table before and be seen by nobody.
pub(super) struct Slot {
    current: i16,
    others: Vec<i16>,
}

impl Slot {
    /// Holds the turn at hand.
    pub(super) async fn hold(tx: &Tx) -> Result<Slot, Fault> {
        let rows = tx.query(include_str!("../../../../sql/core/inbox_slot.sql"), &[]).await?;
        // The function's OUT columns make one row.
        Ok(Slot { current: rows[0].try_get(0)?, others: rows[0].try_get(1)? })
    }

    /// The one to write to.
    pub(super) fn current(&self) -> i16 {
        self.current
    }

    /// Where events of earlier turns are. No key keeps an event that is there from being written again.
    pub(super) fn others(&self) -> &[i16] {
        &self.others
    }
}
