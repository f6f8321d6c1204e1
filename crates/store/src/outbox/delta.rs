//! What is new since the cursor: measured first, then read in order.

use std::sync::Arc;

use tokio_postgres::types::ToSql;

use super::{Cursor, OutboxSession, Row, Shard, row};
use crate::Fault;

/// Rows counted by one statement, about, when a delta is measured: those of one transaction are counted together. A
/// backlog of weeks is measured in pieces, so that the lease is kept meanwhile.
const PIECE: i64 = 50_000;
/// Numbers of rows passed by at most in one reading.
const SPAN: i64 = 100_000;

/// A delta that was opened: what `to` sees and `from` does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The snapshot it begins after.
    pub from: Arc<str>,
    /// The snapshot it ends with.
    pub to: Arc<str>,
    /// Its rows that were not done when it was opened.
    pub rows: usize,
    /// The first of them.
    pub first_seq: i64,
    /// The last of them.
    pub last_seq: i64,
    /// Transactions below this number are counted.
    measured: u64,
}

impl Delta {
    /// Whether all of it is counted.
    pub fn is_measured(&self) -> bool {
        self.measured >= xmax(&self.to)
    }
}

/// The first transaction number that a snapshot does not know. Its text form is `xmin:xmax:in progress`.
fn xmax(snapshot: &str) -> u64 {
    snapshot.split(':').nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}

impl OutboxSession {
    /// Opens the delta that begins after the cursor, or the rest of the one that it is within, and measures its
    /// first piece.
    pub async fn delta(&self, cursor: &Cursor) -> Result<Delta, Fault> {
        let begin = Delta {
            from: cursor.from.clone(),
            to: cursor.to.clone(),
            rows: 0,
            first_seq: i64::MAX,
            last_seq: 0,
            measured: xmax(&cursor.from),
        };
        let within = (cursor.from != cursor.to).then_some(&*cursor.to);
        self.count(begin, within, cursor.last_seq).await
    }

    /// Measures the next piece of a delta, of which rows up to `after` are done.
    pub async fn measure(&self, delta: Delta, after: i64) -> Result<Delta, Fault> {
        let to = delta.to.clone();
        self.count(delta, Some(&*to), after).await
    }

    async fn count(&self, delta: Delta, to: Option<&str>, after: i64) -> Result<Delta, Fault> {
        let sql = include_str!("../../../../sql/core/outbox_open.sql");
        let Shard { number, of } = self.shard;
        let first = delta.measured.to_string();
        let row =
            self.one(sql, &[&&*delta.from, &to, &after, &number, &of, &first, &PIECE]).await?;
        // None if there was nothing left to count.
        let counted: Option<i64> = row.get(4);
        let (count, first_seq, last_seq): (i64, Option<i64>, Option<i64>) =
            (row.get(1), row.get(2), row.get(3));
        Ok(Delta {
            to: row.get::<_, String>(0).into(),
            rows: delta.rows + usize::try_from(count).unwrap_or_default(),
            first_seq: first_seq.unwrap_or(i64::MAX).min(delta.first_seq),
            last_seq: last_seq.unwrap_or_default().max(delta.last_seq),
            measured: counted.map_or(u64::MAX, |last| last.unsigned_abs() + 1),
            ..delta
        })
    }

    /// The next rows of a delta after `after`, in order: at most about `rows` of about `bytes` in all. Returns them
    /// with the number up to which all of the delta's rows have been read.
    pub async fn read(
        &self,
        delta: &Delta,
        after: i64,
        rows: usize,
        bytes: usize,
    ) -> Result<(Vec<Row>, i64), Fault> {
        let Shard { number, of } = self.shard;
        let (from, to, most) = (&*delta.from, &*delta.to, bytes as i64);
        let (found, end) = if delta.rows <= rows {
            let sql = include_str!("../../../../sql/core/outbox_read_few.sql");
            let found = self.query(sql, &[&from, &to, &after, &number, &of, &most]).await?;
            (found, delta.last_seq)
        } else {
            let sql = include_str!("../../../../sql/core/outbox_read_many.sql");
            let (after, limit) = (after.max(delta.first_seq - 1), rows as i64);
            let end = after.saturating_add(SPAN).min(delta.last_seq);
            let params: [&(dyn ToSql + Sync); 8] =
                [&from, &to, &after, &number, &of, &end, &limit, &most];
            (self.query(sql, &params).await?, end)
        };
        let found: Vec<Row> = found.iter().map(row).collect();
        let end = found.last().map_or(end, |row| row.seq);
        Ok((found, end))
    }
}
