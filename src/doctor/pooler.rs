//! Whether what is between makegood and PostgreSQL is what `postgres.pooler` says.

use super::{Check, WatchedDatabase, unknown};
use crate::config::Postgres;
use crate::store::{Store, connect, server_info};

const NAME: &str = "postgres.pooler";

/// Of PgBouncer's modes only one breaks what needs a session.
pub(super) async fn check(settings: &Postgres, store: &Store) -> Check {
    match (server_info::is_pooled(store).await, settings.is_pooled()) {
        (Err(fault), _) => unknown(NAME, &fault),
        (Ok(false), false) => Check::pass(NAME, "connections have server processes of their own"),
        (Ok(true), false) => Check::fail(
            NAME,
            "connections share server processes: a pooler in transaction mode (PgBouncer) is in between, \
             and neither session settings nor prepared statements nor LISTEN work through it",
            "set postgres.pooler = \"transaction\", and postgres.direct_url to PostgreSQL itself",
        ),
        // A busy pooler may well give each connection a process.
        (Ok(_), true) => direct(settings).await,
    }
}

/// The way past the pooler, which must not lead through one.
async fn direct(settings: &Postgres) -> Check {
    let Some(direct) = &settings.direct else {
        return Check::warn(
            NAME,
            "a pooler in transaction mode, as postgres.pooler says, and no way past it: no notifications, \
             no migrations, no relay",
            "set postgres.direct_url to PostgreSQL itself",
        );
    };
    let place = connect::place(direct);
    let store = match WatchedDatabase::reached(direct, " direct").await {
        Ok(place) => place.store,
        Err(problem) => return Check::fail(NAME, problem.reason, problem.advice),
    };
    match server_info::is_pooled(&store).await {
        Err(fault) => unknown(NAME, &fault),
        Ok(false) => Check::pass(
            NAME,
            format!(
                "a pooler in transaction mode, as postgres.pooler says; {place} is the way past it"
            ),
        ),
        Ok(true) => Check::fail(
            NAME,
            format!("postgres.direct_url ({place}) leads through a pooler in transaction mode too"),
            "set postgres.direct_url to PostgreSQL itself",
        ),
    }
}
