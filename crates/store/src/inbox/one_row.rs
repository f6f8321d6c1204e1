//! One event makes one purchase, under the key that stands in it. A mapping that makes several rows of an event would have
//! all but one of them unseen: by the search for what is gone, missing or contradicts its payment.

use super::answers::Answer;
use super::batch::Fresh;
use super::fault::ApplyFault;
use crate::mapping::Mapping;
use crate::{Tx, host_tables};
use rules::outcome::Outcome;

/// How many rows were made before the mapping is run.
pub(super) struct Before {
    table: Option<u32>,
    rows: i64,
}

impl Before {
    /// Nothing is counted for the shipped mapping, which is known to make one.
    pub(super) async fn count(tx: &Tx, mapping: &Mapping) -> Result<Before, ApplyFault> {
        let mut before = Before { table: None, rows: 0 };
        if !mapping.is_shipped() {
            let table = std::slice::from_ref(&mapping.key.table);
            let ids = host_tables::ids(tx, table).await.map_err(ApplyFault::Engine)?;
            before.table = ids.first().copied().flatten();
        }
        before.rows = before.now(tx).await?;
        Ok(before)
    }

    async fn now(&self, tx: &Tx) -> Result<i64, ApplyFault> {
        let Some(table) = self.table else { return Ok(0) };
        let sql = include_str!("../../../../sql/core/rows_made.sql");
        let rows = tx.query(sql, &[&table]).await.map_err(ApplyFault::Engine)?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// Holds what the mapping made and answered against the events.
    pub(super) async fn check(
        &self,
        tx: &Tx,
        mapping: &Mapping,
        fresh: &[Fresh<'_>],
        answers: &[Answer],
    ) -> Result<(), ApplyFault> {
        let key = &mapping.key;
        let applied = answers.iter().filter(|answer| answer.outcome == Outcome::Applied).count();
        // Where all are rejected that is what there is to say of the mapping.
        let is_rejected = answers.iter().all(|answer| answer.outcome == Outcome::Rejected);
        let made = self.now(tx).await? - self.rows;
        if made > applied as i64 && !is_rejected {
            return Err(ApplyFault::Breach(format!(
                "apply.sql made {made} rows of {} of {applied} applied events: one event makes one row; have the \
                 producer send an event for each, or name a table that has one row for each event",
                key.table
            )));
        }
        let is_other = |(event, answer): (&Fresh<'_>, &Answer)| {
            answer.outcome != Outcome::Rejected
                && answer.business_key.is_some()
                && answer.business_key != mapping.key_of(&event.body)
        };
        if key.is_composite() && !key.pointers.is_empty() && fresh.iter().zip(answers).any(is_other)
        {
            return Err(ApplyFault::Breach(format!(
                "apply.sql returned another business_key than stands in the event at {}: of several columns it is \
                 jsonb_build_array(a::text, b::text)::text, in the order of the business-key line",
                key.pointers.join(" and ")
            )));
        }
        Ok(())
    }
}
