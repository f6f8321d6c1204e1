//! Everything PostgreSQL. The one door to it is [`Store::begin`]: a named transaction whose commit is
//! either known, refused or unknown, and never guessed.

mod brake;
pub mod connect;
pub mod copy;
pub mod decisions;
mod elsewhere;
mod fault;
pub mod findings;
pub mod gaps;
pub mod inbox;
pub mod jobs;
mod json;
pub mod listen;
pub mod lock_holder;
pub mod mapping;
pub mod migrate;
pub mod outbox;
pub mod payments;
pub mod positions;
pub mod quarantine;
pub mod report;
pub mod routes;
pub mod runs;
pub mod strangers;
pub mod test_events;
pub mod trial;
mod tx;
pub mod unpurchased;
pub mod vitals;
pub mod workers;

pub use fault::{About, Fault};
pub use tx::{CommitFault, Tx};

use deadpool_postgres::{Object, Pool};

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
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
    /// A store on a pool from [`connect::pool`].
    pub fn new(pool: Pool) -> Store {
        Store { pool }
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
        Tx::begin(self.client().await?, name).await
    }

    /// Runs one statement by itself and returns its rows.
    pub async fn query(
        &self,
        sql: &str,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let client = self.client().await?;
        match query(&client, sql, params).await {
            Err(fault) if fault.is_stale_plan() => {
                forget_plans(&client, &fault);
                query(&client, sql, params).await
            }
            answer => answer,
        }
    }

    /// A connection of its own, for what needs a session.
    pub async fn client(&self) -> Result<Object, Fault> {
        self.pool.get().await.map_err(Fault::from)
    }
}

async fn query(
    client: &Object,
    sql: &str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, params).await?)
}

/// Drops every statement that is prepared on any connection of the pool: what DDL did to one of them it
/// did to all.
fn forget_plans(client: &Object, why: &Fault) {
    tracing::debug!(%why, "statements are prepared anew");
    if let Some(pool) = Object::pool(client) {
        pool.manager().statement_caches.clear();
    }
}
