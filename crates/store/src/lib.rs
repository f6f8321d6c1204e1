//! Everything PostgreSQL. The one door to it is [`Store::begin`]: a named transaction whose commit is
//! either known, refused or unknown, and never guessed.

mod answer_timeout;
mod by_keys;
pub mod connect;
pub mod copy;
mod cross_database;
pub mod decisions;
#[cfg(feature = "failpoints")]
pub mod failing;
mod fault;
pub mod findings;
pub mod gaps;
mod host_tables;
pub mod ignored_types;
pub mod inbox;
pub mod jobs;
mod json;
pub mod listen;
pub mod lock_holder;
mod log;
pub mod mapping;
pub mod mapping_dry_run;
pub mod migrate;
pub mod orphan_purchases;
pub mod outbox;
pub mod payments;
mod payments_query;
mod pooler_params;
pub mod positions;
mod purchased;
pub mod quarantine;
pub mod report;
pub mod rights;
pub mod routes;
pub mod runs;
mod search_path;
pub mod server_info;
pub mod shadow;
pub mod statuses;
pub mod table_shape;
pub mod test_events;
mod tx;
pub mod unpurchased;
pub mod verdicts;
mod when;
pub mod workers;

pub use fault::{Fault, FaultSubject};
pub use tx::{CommitFault, Tx};

use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use config::{Pooler, Postgres};
use rules::problem::Problem;

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    pooler: Pooler,
    reads_only: bool,
}

/// The connections of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// In use.
    pub used: usize,
    /// Open, and nobody uses them.
    pub idle: usize,
    /// How many there may be.
    pub most: usize,
    /// How many wait for one.
    pub waiting: usize,
}

impl Store {
    /// A store on a database, with at most so many connections; this connects to nothing yet.
    /// `application_name` is what `pg_stat_activity` shows.
    pub fn open(
        p: &Postgres,
        application_name: &str,
        connections: usize,
    ) -> Result<Store, Problem> {
        let pool = connect::pool(p, application_name, connections, connect::LOCK_TIMEOUT)?;
        Ok(Store { pool, pooler: p.pooler, reads_only: p.reads_only })
    }

    /// The same for somebody who looks around: a session that is not waited for any more waits for no lock for long.
    pub fn impatient(
        p: &Postgres,
        application_name: &str,
        connections: usize,
    ) -> Result<Store, Problem> {
        let pool = connect::pool(p, application_name, connections, IMPATIENT)?;
        Ok(Store { pool, pooler: p.pooler, reads_only: p.reads_only })
    }

    /// The same, connected.
    pub async fn reached(
        p: &Postgres,
        application_name: &str,
        connections: usize,
    ) -> Result<Store, Problem> {
        let store = Store::open(p, application_name, connections)?;
        store.reach(p).await?;
        Ok(store)
    }

    /// Connects, if no connection is there; the problem names the place that `p` says.
    pub async fn reach(&self, p: &Postgres) -> Result<(), Problem> {
        let connected = self.pool.get().await;
        connected.map(drop).map_err(|error| connect::pool_problem(&error, &connect::place(p)))
    }

    /// How many connections are in use, idle, allowed, and how many wait for one.
    pub fn connections(&self) -> Connections {
        let status = self.pool.status();
        let idle = status.available.min(status.size);
        let used = status.size - idle;
        Connections { used, idle, most: status.max_size, waiting: status.waiting }
    }

    /// Begins a transaction. `name` says in logs what was being done.
    pub async fn begin(&self, name: &'static str) -> Result<Tx, Fault> {
        let tx = Tx::begin(self.client().await?, self.pooler, name).await?;
        if self.reads_only {
            tx.batch("SET TRANSACTION READ ONLY").await?;
        }
        Ok(tx)
    }

    /// Runs one statement by itself and returns its rows.
    pub async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        if self.pooler == Pooler::Transaction {
            // The settings that bound it last for a transaction.
            let tx = self.begin("query").await?;
            return match tx.query(sql, params).await {
                Ok(rows) => tx.commit().await.map(|()| rows).map_err(CommitFault::into_fault),
                Err(fault) => {
                    tx.rollback().await;
                    Err(fault)
                }
            };
        }
        let client = self.client().await?;
        let mut answer = query(&client, Pooler::None, sql, params).await;
        if let Err(fault) = &answer
            && fault.is_stale_plan()
        {
            forget_plans(&client, fault);
            answer = query(&client, Pooler::None, sql, params).await;
        }
        if answer.as_ref().is_err_and(Fault::is_of_the_connection) {
            drop(Object::take(client));
        }
        answer
    }

    /// Runs one of the mapping's statements, or one about the host's tables, and keeps nothing of what it did.
    pub async fn query_host(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        let tx = self.begin("host").await?;
        let answer = tx.query_host(sql, params).await;
        tx.rollback().await;
        answer
    }

    /// What a statement of the mapping takes and returns, without running it.
    pub async fn describe(&self, sql: &str) -> Result<Shape, Fault> {
        let mut attempt = 0;
        loop {
            let tx = self.begin("describe").await?;
            match tx.describe(sql).await {
                // Behind a pooler somebody else's statement may have the name that ours was given.
                Err(fault) if fault.sqlstate() == Some("42P05") && attempt < NAMES => attempt += 1,
                described => {
                    tx.rollback().await;
                    return described;
                }
            }
        }
    }

    async fn client(&self) -> Result<Object, Fault> {
        self.pool.get().await.map_err(Fault::from)
    }
}

/// How long [`Store::impatient`] lets a statement wait for a lock.
const IMPATIENT: Duration = Duration::from_secs(3);

/// How many names are tried for a statement that is only described.
const NAMES: u32 = 50;

/// What a statement takes and returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The types of its parameters.
    pub params: Vec<Type>,
    /// Its columns, each with its type.
    pub columns: Vec<(String, Type)>,
}

/// Runs a statement that the server answers soon.
async fn query(
    client: &Object,
    pooler: Pooler,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Fault> {
    answer_timeout::answer(ask(client, pooler, sql, params)).await
}

/// Runs a statement; behind a pooler without preparing it, and then in a transaction, which brings the
/// settings.
async fn ask(
    client: &Object,
    pooler: Pooler,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if pooler == Pooler::Transaction {
        return client.query_typed(sql, &pooler_params::params(params)).await;
    }
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, params).await
}

/// Drops every statement that is prepared on any connection of the pool: what DDL did to one of them it
/// did to all.
fn forget_plans(client: &Object, why: &Fault) {
    tracing::debug!(%why, "statements are prepared anew");
    if let Some(pool) = Object::pool(client) {
        pool.manager().statement_caches.clear();
    }
}
