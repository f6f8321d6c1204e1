//! The outbox as its relay sees it: one session that reads rows, moves the cursor and keeps the lease.
//!
//! All of it goes through one connection, and a lost one takes with it everything that was read: after a
//! failover transaction numbers are used again, and a snapshot of the old primary means nothing on the new
//! one.

mod claim;
mod parked;
pub mod report;
mod turns;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Notify};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

pub use claim::Claim;
pub use parked::Parking;
pub use turns::Turn;

use super::{Fault, connect};
use crate::config::Postgres;
use crate::pure::problem::Problem;

/// How long a relay that says nothing keeps its shard. It writes a step every third of that.
pub const LEASE: Duration = Duration::from_secs(6);
/// A cursor that is lost costs duplicates, never a row, so its commits need not wait for the disk. Scans and sorts of
/// whole tables are what the planner falls for while statistics are young. A relay that is frozen within a transaction
/// must not keep the next one waiting.
const SESSION: &str = "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; \
    SET enable_sort = off; SET max_parallel_workers_per_gather = 0; \
    SET idle_in_transaction_session_timeout = '5s'; LISTEN makegood_outbox";
/// Transactions looked at by one statement at first, when a delta is measured; twice as many each time, until there
/// are so many rows in one. A backlog of weeks is measured in pieces, so that the lease is kept meanwhile.
const FIRST_PIECE: u64 = 2000;
const FULL_PIECE: usize = 100_000;
/// Numbers of rows passed by at most in one reading.
const SPAN: i64 = 100_000;

/// One row on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number: the rows of one key go in this order.
    pub seq: i64,
    /// The event's id.
    pub id: Uuid,
    /// The Kafka topic.
    pub topic: String,
    /// The Kafka key.
    pub key: Option<String>,
    /// The event's type.
    pub event_type: String,
    /// The JSON text that becomes the record's value.
    pub payload: String,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// When it was published.
    pub created_at: Timestamp,
}

/// How far a shard is: everything that `from` sees is done, and of what `to` sees beyond that, everything up to
/// `last_seq`. Snapshots are in PostgreSQL's own text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The snapshot under which all is done.
    pub from: Arc<str>,
    /// The snapshot that bounds the delta at hand.
    pub to: Arc<str>,
    /// The last row done within the delta.
    pub last_seq: i64,
}

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
    /// How many were looked at by the last statement.
    piece: u64,
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

/// Which part of the outbox a relay has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: i16,
    /// How many there are.
    pub of: i16,
}

/// What a step says besides the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saying {
    /// Rows acknowledged by Kafka since the last step.
    pub published: i64,
    /// Rows handed to Kafka and not acknowledged.
    pub in_flight: i32,
    /// Whether publishers should wake the relay.
    pub asleep: bool,
    /// Whether this is the last step: the lease ends with it.
    pub leaving: bool,
    /// Why nothing is sent, and what to do about it.
    pub trouble: Option<(String, String)>,
}

/// Somebody else has the shard now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// The session.
pub struct Session {
    client: Client,
    /// Told when a publisher finds the relay asleep.
    pub woken: Arc<Notify>,
    /// Whether publishers may be asked to wake the relay. A transaction that has executed NOTIFY cannot be prepared,
    /// so where transactions can be, a word for the relay could fail a payment.
    pub can_be_woken: bool,
    statements: Mutex<HashMap<&'static str, Statement>>,
    shard: Shard,
}

impl Session {
    /// Connects and listens.
    pub async fn open(postgres: &Postgres, shard: Shard) -> Result<Session, Problem> {
        let (client, woken) = connect::listener(postgres, "makegood relay").await?;
        client.batch_execute(SESSION).await.map_err(unusable)?;
        let sql = "SELECT current_setting('max_prepared_transactions') = '0'";
        let can_be_woken = client.query_one(sql, &[]).await.map_err(unusable)?.get(0);
        Ok(Session { client, woken, can_be_woken, statements: Mutex::new(HashMap::new()), shard })
    }

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
            piece: FIRST_PIECE,
        };
        let within = (cursor.from != cursor.to).then_some(&*cursor.to);
        self.count(begin, within, cursor.last_seq).await
    }

    /// Measures the next piece of a delta, of which rows up to `after` are done.
    pub async fn measure(&self, mut delta: Delta, after: i64) -> Result<Delta, Fault> {
        let to = delta.to.clone();
        if delta.rows < FULL_PIECE {
            delta.piece = delta.piece.saturating_mul(2);
        }
        self.count(delta, Some(&*to), after).await
    }

    async fn count(&self, delta: Delta, to: Option<&str>, after: i64) -> Result<Delta, Fault> {
        let sql = include_str!("../../sql/core/outbox_open.sql");
        let Shard { number, of } = self.shard;
        let end = delta.measured.saturating_add(delta.piece).min(i64::MAX as u64);
        let (first, beyond) = (delta.measured.to_string(), end.to_string());
        let row =
            self.one(sql, &[&&*delta.from, &to, &after, &number, &of, &first, &beyond]).await?;
        let (count, first_seq, last_seq): (i64, Option<i64>, Option<i64>) =
            (row.get(1), row.get(2), row.get(3));
        Ok(Delta {
            to: row.get::<_, String>(0).into(),
            rows: delta.rows + usize::try_from(count).unwrap_or_default(),
            first_seq: first_seq.unwrap_or(i64::MAX).min(delta.first_seq),
            last_seq: last_seq.unwrap_or_default().max(delta.last_seq),
            measured: end,
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
            let sql = include_str!("../../sql/core/outbox_read_few.sql");
            let found = self.query(sql, &[&from, &to, &after, &number, &of, &most]).await?;
            (found, delta.last_seq)
        } else {
            let sql = include_str!("../../sql/core/outbox_read_many.sql");
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

    /// Tells followers that the lease is free.
    pub async fn farewell(&self) -> Result<(), Fault> {
        Ok(self.client.batch_execute("NOTIFY makegood_outbox").await?)
    }

    /// Writes the next step after `step`: the cursor, and the lease for another [`LEASE`].
    pub async fn step(
        &self,
        step: i64,
        cursor: &Cursor,
        saying: &Saying,
    ) -> Result<Result<i64, Lost>, Fault> {
        let sql = include_str!("../../sql/core/outbox_step.sql");
        let (reason, advice) = saying.trouble.clone().unzip();
        let lease = if saying.leaving { Duration::ZERO } else { LEASE };
        let written = self
            .query(
                sql,
                &[
                    &self.shard.number,
                    &step,
                    &&*cursor.from,
                    &&*cursor.to,
                    &cursor.last_seq,
                    &saying.published,
                    &lease.as_secs_f64(),
                    &saying.asleep,
                    &saying.in_flight,
                    &reason,
                    &advice,
                ],
            )
            .await?;
        Ok(written.first().map(|row| row.get(0)).ok_or(Lost))
    }

    /// Deletes steps older than `before`.
    pub async fn trim(&self, before: i64) -> Result<(), Fault> {
        let sql = include_str!("../../sql/core/outbox_trim.sql");
        self.query(sql, &[&self.shard.number, &before]).await.map(|_| ())
    }

    async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query(&statement, params).await?)
    }

    async fn one(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<tokio_postgres::Row, Fault> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query_one(&statement, params).await?)
    }

    async fn prepared(&self, sql: &'static str) -> Result<Statement, Fault> {
        let mut known = self.statements.lock().await;
        if let Some(statement) = known.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        known.insert(sql, statement.clone());
        Ok(statement)
    }
}

fn unusable(error: tokio_postgres::Error) -> Problem {
    Fault::from(error).problem("cannot set up the relay's session")
}

/// A row as the statements that read rows return it.
fn row(row: &tokio_postgres::Row) -> Row {
    let Json(headers) = row.get(6);
    Row {
        seq: row.get(0),
        id: row.get(1),
        topic: row.get(2),
        key: row.get(3),
        event_type: row.get(4),
        payload: row.get(5),
        headers,
        created_at: row.get(7),
    }
}
