//! Rows set aside: put there with the cursor that passes them, and sent again when somebody asks.

use super::{Cursor, Lost, Row, Saying, Session};
use crate::store::Fault;

/// A row to be set aside, or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parking {
    /// The row's number.
    pub seq: i64,
    /// Why Kafka refused it, and what to do about it; none behind such a row.
    pub refusal: Option<(String, String)>,
}

/// What a step does to the rows set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Set aside now.
    pub parking: Vec<Parking>,
    /// Set aside before, and with Kafka at last: taken away.
    pub sent_again: Vec<i64>,
    /// Set aside before, and refused once more: kept until the next request.
    pub refused_again: Vec<Parking>,
}

impl Aside {
    /// Whether nothing is done to any.
    pub fn is_empty(&self) -> bool {
        self.parking.is_empty() && self.sent_again.is_empty() && self.refused_again.is_empty()
    }
}

impl Session {
    /// As [`Session::step`], and in the same transaction what became of rows set aside: a relay that has lost the shard
    /// changes nothing that the next one has read.
    pub async fn step_aside(
        &self,
        step: i64,
        cursor: &Cursor,
        saying: &Saying,
        aside: &Aside,
    ) -> Result<Result<i64, Lost>, Fault> {
        // An error leaves the transaction open; the caller then lets go of the session, which rolls it back.
        self.batch("BEGIN").await?;
        self.mark(include_str!("../../../sql/core/outbox_park.sql"), &aside.parking).await?;
        if !aside.sent_again.is_empty() {
            let unpark = include_str!("../../../sql/core/outbox_unpark.sql");
            self.query(unpark, &[&aside.sent_again]).await?;
        }
        let again = include_str!("../../../sql/core/outbox_refuse_again.sql");
        self.mark(again, &aside.refused_again).await?;
        let moved = self.step(step, cursor, saying).await?;
        self.batch(if moved.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        Ok(moved)
    }

    /// The keys of this shard that wait behind a row set aside: topic and key.
    pub async fn parked_keys(&self) -> Result<Vec<(String, String)>, Fault> {
        let sql = include_str!("../../../sql/core/outbox_parked_keys.sql");
        let rows = self.query(sql, &[&self.shard.number, &self.shard.of]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The first row of each key that somebody asked to send again, at most `limit`.
    pub async fn retries(&self, limit: i64) -> Result<Vec<Row>, Fault> {
        let sql = include_str!("../../../sql/core/outbox_retry_next.sql");
        let rows = self.query(sql, &[&self.shard.number, &self.shard.of, &limit]).await?;
        Ok(rows.iter().map(super::row).collect())
    }

    async fn mark(&self, sql: &'static str, rows: &[Parking]) -> Result<(), Fault> {
        if rows.is_empty() {
            return Ok(());
        }
        let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        let said = |pick: fn(&(String, String)) -> &String| -> Vec<Option<&String>> {
            rows.iter().map(|row| row.refusal.as_ref().map(pick)).collect()
        };
        let (reasons, advice) = (said(|(reason, _)| reason), said(|(_, advice)| advice));
        self.query(sql, &[&seqs, &reasons, &advice]).await.map(|_| ())
    }
}
