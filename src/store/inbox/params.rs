//! Parameters in the form the statements take them: arrays, one a column.

use std::error::Error;

use jiff::Timestamp;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::Answer;
use super::batch::Fresh;
use crate::pure::record::Record;
use crate::store::{Fault, Tx};

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

/// Inbox rows to insert.
pub(super) struct Rows<'a> {
    ids: Vec<Uuid>,
    offsets: Vec<i64>,
    times: Vec<Timestamp>,
    partitions: Vec<i32>,
    digests: Vec<&'a [u8]>,
    outcomes: Vec<String>,
    keys: Vec<Option<String>>,
    reused: Vec<Option<Uuid>>,
    details: Vec<Option<String>>,
}

impl<'a> Rows<'a> {
    pub(super) fn with_capacity(rows: usize) -> Rows<'a> {
        Rows {
            ids: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            partitions: Vec::with_capacity(rows),
            digests: Vec::with_capacity(rows),
            outcomes: Vec::with_capacity(rows),
            keys: Vec::with_capacity(rows),
            reused: Vec::with_capacity(rows),
            details: Vec::with_capacity(rows),
        }
    }

    pub(super) fn push(&mut self, fresh: &'a Fresh<'_>, record: &Record, answer: Answer) {
        self.ids.push(fresh.id);
        self.offsets.push(record.offset);
        self.times.push(fresh.at);
        self.partitions.push(record.partition);
        self.digests.push(&fresh.digest);
        self.outcomes.push(answer.outcome);
        self.keys.push(answer.business_key);
        self.reused.push(fresh.reused);
        self.details.push(answer.detail);
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Inserts the rows and returns how many of them were new.
    pub(super) async fn insert(&self, tx: &Tx, route: i16) -> Result<usize, Fault> {
        let written = tx
            .execute(
                include_str!("../../../sql/core/inbox_insert.sql"),
                &[
                    &route,
                    &self.ids,
                    &self.offsets,
                    &self.times,
                    &self.partitions,
                    &self.digests,
                    &self.outcomes,
                    &self.keys,
                    &self.reused,
                    &self.details,
                ],
            )
            .await?;
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }
}
