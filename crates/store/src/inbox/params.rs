//! What goes to the server, in the form it takes it.

use tokio_postgres::types::Type;

use super::answers::Answer;
use super::batch::Fresh;
use super::fault::ApplyFault;
use super::slot::Slot;
use crate::when::When;
use crate::{Tx, copy};
use rules::ids::{Offset, RouteId};

/// Inbox rows to write, in the order of their ids.
pub(super) struct InboxRows {
    rows: copy::CopyRows,
    slot: i16,
    count: u64,
}

/// Their columns, as arrays.
const COLUMNS: [Type; 12] = [
    Type::UUID_ARRAY,
    Type::INT8_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::INT4_ARRAY,
    Type::INT2_ARRAY,
    Type::BYTEA_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::UUID_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT2_ARRAY,
];
/// About what one row takes.
const ROW_BYTES: usize = 192;

impl InboxRows {
    /// None yet, with room for so many.
    pub(super) fn into_slot(slot: &Slot, rows: usize) -> InboxRows {
        let rows = copy::CopyRows::with_capacity(rows * ROW_BYTES);
        InboxRows { rows, slot: slot.current(), count: 0 }
    }

    /// Adds an event; `place` is its partition and offset, `None` for one that was made from a payment.
    pub(super) fn push(
        &mut self,
        route: RouteId,
        fresh: &Fresh<'_>,
        place: Option<(i32, Offset)>,
        answer: &Answer,
    ) {
        let row = &mut self.rows;
        let partition = place.map(|(partition, _)| partition.to_be_bytes());
        let offset = place.map(|(_, offset)| offset.0.to_be_bytes());
        row.row(12);
        row.field(Some(fresh.id.as_bytes()));
        row.field(offset.as_ref().map(<[u8; 8]>::as_slice));
        row.field(Some(&When(fresh.at).wire()));
        row.field(partition.as_ref().map(<[u8; 4]>::as_slice));
        row.field(Some(&route.0.to_be_bytes()));
        row.field(Some(&fresh.digest));
        row.field(Some(answer.outcome.as_str().as_bytes()));
        row.field(answer.business_key.as_deref().map(str::as_bytes));
        row.field(fresh.reused.as_ref().map(|id| id.as_bytes().as_slice()));
        row.field(answer.detail.as_deref().map(str::as_bytes));
        row.field(place.is_none().then_some(b"reconcile"));
        row.field(Some(&self.slot.to_be_bytes()));
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes the rows. An id that the inbox has already is a lost race.
    pub(super) async fn write(self, tx: &Tx) -> Result<(), ApplyFault> {
        let copy = include_str!("../../../../sql/core/inbox_copy.sql");
        let insert = (include_str!("../../../../sql/core/inbox_insert.sql"), &COLUMNS[..]);
        match tx.copy(copy, insert, self.rows).await {
            Ok(written) if written == self.count => Ok(()),
            Ok(_) => Err(ApplyFault::Raced),
            // Each of the inbox's tables has one unique key.
            Err(fault) if fault.sqlstate() == Some("23505") => Err(ApplyFault::Raced),
            Err(fault) => Err(ApplyFault::Engine(fault)),
        }
    }
}
