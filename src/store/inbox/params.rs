//! Parameters in the form the statements take them: arrays, one a column.

use jiff::Timestamp;
use uuid::Uuid;

use super::Answer;
use super::batch::Fresh;
use crate::store::{Fault, Tx};

/// Inbox rows to insert.
pub(super) struct Rows<'a> {
    ids: Vec<Uuid>,
    offsets: Vec<Option<i64>>,
    times: Vec<Timestamp>,
    partitions: Vec<Option<i32>>,
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

    /// Adds an event; `place` is its partition and offset, `None` for one that was made from a payment.
    pub(super) fn push(&mut self, fresh: &'a Fresh<'_>, place: Option<(i32, i64)>, answer: Answer) {
        self.ids.push(fresh.id);
        self.offsets.push(place.map(|p| p.1));
        self.times.push(fresh.at);
        self.partitions.push(place.map(|p| p.0));
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
