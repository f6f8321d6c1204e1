//! The outbox as its relay sees it: one session that reads rows, moves the cursor and keeps the lease.
//!
//! All of it goes through one connection, and a lost one takes with it everything that was read: after a
//! failover transaction numbers are used again, and a snapshot of the old primary means nothing on the new
//! one.

mod claim;
mod delta;
mod parked;
pub mod report;
mod turns;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rules::ids::StepNumber;
use tokio::sync::{Mutex, Notify};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

pub use claim::ClaimOutcome;
pub use delta::Delta;
pub use turns::Turn;

use super::when::Times;
use super::{Fault, answer_timeout, connect};
use config::Postgres;
use rules::diagnosis::Diagnosis;
use rules::problem::Problem;
use rules::relay::{CursorStep, LEASE};

/// A cursor that is lost costs duplicates, never a row, so its commits need not wait for the disk. Scans and sorts of
/// whole tables are what the planner falls for while statistics are young. A relay that is frozen within a transaction
/// must not keep the next one waiting.
const SESSION: &str = "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; \
    SET enable_sort = off; SET max_parallel_workers_per_gather = 0; \
    SET idle_in_transaction_session_timeout = '5s'; LISTEN makegood_outbox";

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

/// Which part of the outbox a relay has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: i16,
    /// How many there are.
    pub of: i16,
}

/// What is written with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// What the term says.
    pub step: CursorStep<Cursor>,
    /// Whether this is the last step: the lease ends with it.
    pub leaving: bool,
    /// What else a person should know.
    pub remark: Option<String>,
}

impl From<CursorStep<Cursor>> for Saying {
    fn from(step: CursorStep<Cursor>) -> Saying {
        Saying { step, leaving: false, remark: None }
    }
}

/// Somebody else has the shard now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// The session.
pub struct OutboxSession {
    client: Client,
    /// Told when a publisher finds the relay asleep.
    pub woken: Arc<Notify>,
    /// Whether publishers may be asked to wake the relay. A transaction that has executed NOTIFY cannot be prepared,
    /// so where transactions can be, a word for the relay could fail a payment.
    pub can_be_woken: bool,
    statements: Mutex<HashMap<&'static str, Statement>>,
    shard: Shard,
}

impl OutboxSession {
    /// Connects and listens.
    pub async fn open(postgres: &Postgres, shard: Shard) -> Result<OutboxSession, Problem> {
        let (client, woken) = connect::listener(postgres, "makegood relay").await?;
        client.batch_execute(SESSION).await.map_err(unusable)?;
        let sql = "SELECT current_setting('max_prepared_transactions') = '0'";
        let can_be_woken = client.query_one(sql, &[]).await.map_err(unusable)?.get(0);
        Ok(OutboxSession {
            client,
            woken,
            can_be_woken,
            statements: Mutex::new(HashMap::new()),
            shard,
        })
    }

    /// Tells followers that the lease is free.
    pub async fn farewell(&self) -> Result<(), Fault> {
        self.batch("NOTIFY makegood_outbox").await
    }

    /// Writes the next step after `step`: the cursor, what becomes of rows that are parked, and the lease for another
    /// [`LEASE`].
    pub async fn step(
        &self,
        step: StepNumber,
        saying: &Saying,
    ) -> Result<Result<StepNumber, Lost>, Fault> {
        #[cfg(feature = "failpoints")]
        super::failing::at("relay.step.before").await?;
        let written = match saying.step.aside.is_empty() {
            true => self.step_alone(step, saying).await,
            false => self.step_parking(step, saying).await,
        };
        #[cfg(feature = "failpoints")]
        let written = super::failing::answered("relay.step.after", written).await;
        written
    }

    async fn step_alone(
        &self,
        step: StepNumber,
        saying: &Saying,
    ) -> Result<Result<StepNumber, Lost>, Fault> {
        let Saying { step: said, leaving, remark } = saying;
        let sql = include_str!("../../../sql/core/outbox_step.sql");
        let said_of = |pick: fn(&Diagnosis) -> &String| said.trouble.as_ref().map(pick);
        let (reason, advice) = (said_of(|why| &why.reason), said_of(|why| &why.advice));
        let in_flight = i32::try_from(said.in_flight).unwrap_or(i32::MAX);
        let lease = if *leaving { Duration::ZERO } else { LEASE };
        let written = self
            .query(
                sql,
                &[
                    &self.shard.number,
                    &step,
                    &&*said.cursor.from,
                    &&*said.cursor.to,
                    &said.cursor.last_seq,
                    &said.published,
                    &lease.as_secs_f64(),
                    &said.asleep,
                    &in_flight,
                    &reason,
                    &advice,
                    &remark,
                    &said.top_seq,
                ],
            )
            .await?;
        Ok(written.first().map(|row| row.get(0)).ok_or(Lost))
    }

    /// Deletes steps older than `before`.
    pub async fn trim(&self, before: StepNumber) -> Result<(), Fault> {
        let sql = include_str!("../../../sql/core/outbox_trim.sql");
        self.query(sql, &[&self.shard.number, &before]).await.map(|_| ())
    }

    async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let statement = self.prepared(sql).await?;
        answer_timeout::answer(self.client.query(&statement, params)).await
    }

    async fn one(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<tokio_postgres::Row, Fault> {
        let statement = self.prepared(sql).await?;
        answer_timeout::answer(self.client.query_one(&statement, params)).await
    }

    async fn batch(&self, sql: &str) -> Result<(), Fault> {
        answer_timeout::answer(self.client.batch_execute(sql)).await
    }

    async fn prepared(&self, sql: &'static str) -> Result<Statement, Fault> {
        let mut known = self.statements.lock().await;
        if let Some(statement) = known.get(sql) {
            return Ok(statement.clone());
        }
        let statement = answer_timeout::answer(self.client.prepare(sql)).await?;
        known.insert(sql, statement.clone());
        Ok(statement)
    }
}

fn unusable(error: tokio_postgres::Error) -> Problem {
    Fault::from(error).problem("cannot set up the relay's session")
}

impl rules::relay::RelayRow for Row {
    fn seq(&self) -> i64 {
        self.seq
    }

    fn topic(&self) -> &str {
        &self.topic
    }

    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn bytes(&self) -> usize {
        self.payload.len()
    }
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
        created_at: row.moment("created_at"),
    }
}
