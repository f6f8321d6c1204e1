//! What goes to the server, in the form it takes it.

use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::batch::Fresh;
use super::{Answer, ApplyFault};
use crate::pure::record::Record;
use crate::store::{Tx, copy};

/// JSON text as a jsonb parameter, passed on without being parsed again. On the wire a jsonb is a
/// version byte, 1, and the text (PostgreSQL, `jsonb_recv`).
#[derive(Debug)]
pub(super) struct JsonText<'a>(pub &'a str);

impl ToSql for JsonText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&[1]);
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    to_sql_checked!();
}

/// Inbox rows to write, in the order of their ids.
pub(super) struct Rows {
    rows: copy::Rows,
    count: u64,
}

/// About what one row takes.
const ROW_BYTES: usize = 192;

impl Rows {
    pub(super) fn with_capacity(rows: usize) -> Rows {
        Rows { rows: copy::Rows::with_capacity(rows * ROW_BYTES), count: 0 }
    }

    pub(super) fn push(&mut self, route: i16, fresh: &Fresh<'_>, record: &Record, answer: &Answer) {
        let row = &mut self.rows;
        row.row(10);
        row.field(Some(fresh.id.as_bytes()));
        row.field(Some(&record.offset.to_be_bytes()));
        row.time(fresh.at.as_microsecond());
        row.field(Some(&record.partition.to_be_bytes()));
        row.field(Some(&route.to_be_bytes()));
        row.field(Some(&fresh.digest));
        row.field(Some(answer.outcome.as_str().as_bytes()));
        row.field(answer.business_key.as_deref().map(str::as_bytes));
        row.field(fresh.reused.as_ref().map(|id| id.as_bytes().as_slice()));
        row.field(answer.detail.as_deref().map(str::as_bytes));
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes the rows. An id that the inbox has already is a lost race.
    pub(super) async fn write(self, tx: &Tx) -> Result<(), ApplyFault> {
        match tx.copy(include_str!("../../../sql/core/inbox_copy.sql"), self.rows).await {
            Ok(written) if written == self.count => Ok(()),
            Ok(_) => Err(ApplyFault::Raced),
            // The inbox has one unique key.
            Err(fault) if fault.sqlstate() == Some("23505") => Err(ApplyFault::Raced),
            Err(fault) => Err(ApplyFault::Engine(fault)),
        }
    }
}
