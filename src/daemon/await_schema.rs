//! Waits at start until the database is there and has makegood's schema and the routes.

use std::time::Duration;

use tracing::{info, warn};

use crate::config::{self, MigrateMode};
use crate::store::{Store, connect, migrate, routes};
use crate::watchdog::supervisor;
use rules::backoff::Backoff;
use rules::ids::RouteId;
use rules::problem::{Code, Problem};

/// Pauses between attempts to start while the database is not there yet.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };

/// Brings a part of makegood's schema up to date or checks it. Whatever the database says is waited for: it
/// may be mended there, and the side that stands on another database goes on meanwhile. A configuration or a
/// schema that does not fit this program ends it.
pub(super) async fn schema(
    postgres: &config::Postgres,
    set: migrate::Set,
    mode: MigrateMode,
) -> Result<(), Problem> {
    let mut attempt = 0;
    loop {
        match migrated(postgres, &[set], mode).await {
            Err(problem) if matches!(problem.code, Code::PostgresUnreachable | Code::Postgres) => {
                wait(&mut attempt, &problem).await;
            }
            ended => return ended,
        }
    }
}

async fn migrated(
    postgres: &config::Postgres,
    sets: &[migrate::Set],
    mode: MigrateMode,
) -> Result<(), Problem> {
    if mode == MigrateMode::Check || postgres.with_session().is_none() {
        // Migrating takes a lock that a session holds, and a pooler in transaction mode has no sessions.
        let store = Store::reached(postgres, "makegood migrate", 1).await?;
        return migrate::check(&store, sets).await;
    }
    let mut client = connect::connect(postgres, "makegood migrate").await?;
    let done = migrate::up(&mut client, sets).await?;
    if !done.is_empty() {
        info!(applied = done.join(", "), "schema migrated");
    }
    Ok(())
}

/// Registers a route and returns its key.
pub(super) async fn route(settings: &config::Inbox, store: &Store) -> RouteId {
    let mut attempt = 0;
    loop {
        match routes::register(store, settings).await {
            Ok(id) => return id,
            Err(fault) => wait(&mut attempt, &fault.problem("cannot register the route")).await,
        }
    }
}

/// Tells what is waited for, and pauses for longer each time.
pub(super) async fn wait(attempt: &mut u32, problem: &Problem) {
    let delay = BACKOFF.delay(*attempt, fastrand::f64());
    // Waiting for its servers is what a daemon does; the supervisor need not wait with it.
    supervisor::waiting(&format!("waiting: {}", problem.reason));
    warn!(code = problem.code.as_str(), hint = problem.advice, "waiting: {}", problem.reason);
    *attempt = attempt.saturating_add(1);
    tokio::time::sleep(delay).await;
}
