//! Opens connections: timeouts, keepalives, TLS, and the settings every session gets.

mod client;
mod error;
mod hosts;
mod login;
mod settings;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use deadpool_postgres::{PoolConfig, PoolError, Timeouts};
use tokio::sync::Notify;
use tokio_postgres::{Client, Config};

pub use error::{pool_problem, problem};
pub use login::read_again;
pub use settings::{place, settings};
pub use tls::{TlsMode, is_local};

use config::Postgres;
use hosts::{HEAD_START, Hosts};
use login::Login;
use rules::problem::{Code, Problem};

/// What every session sets first. Statements rather than startup options, which PgBouncer refuses. Everything is built
/// for READ COMMITTED, and a serializable transaction of ours could fail one of the payments'.
const SESSION: &str = "SET search_path = pg_catalog, pg_temp; SET default_transaction_isolation = 'read committed'; \
    SET statement_timeout = '30s'; \
    SET idle_in_transaction_session_timeout = '60s'; SET TimeZone = 'UTC'; SET jit = off";

/// How long a session waits for a lock.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long [`SESSION`] may take. The pool's own time-out ends with the login, which a pooler can answer
/// for a server that is frozen.
const SET_UP: Duration = Duration::from_secs(5);

/// What the sessions of the loops are called in `pg_stat_activity`, unless configured.
pub const POOL_NAME: &str = "makegood";

fn session(p: &Postgres, lock_timeout: Duration) -> String {
    let reads = if p.reads_only { "; SET default_transaction_read_only = on" } else { "" };
    format!("{SESSION}; SET lock_timeout = {}{reads}", lock_timeout.as_millis())
}

/// A pool that opens connections when they are asked for; this connects to nothing yet.
/// `application_name` is what `pg_stat_activity` shows unless the configuration says otherwise.
pub fn pool(
    p: &Postgres,
    application_name: &str,
    max_size: usize,
    lock_timeout: Duration,
) -> Result<Pool, Problem> {
    // A connection is handed out again when the server answers an empty query. A transaction is never open on one: it
    // ends before it gives its connection back, or closes it.
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
    let hosts = hosts(p, application_name)?;
    // What it keeps is for show: each host has settings of its own.
    let manager = Manager::from_connect(Config::new(), hosts, recycling);
    let timeouts = Timeouts {
        wait: Some(Duration::from_secs(30)),
        create: Some(patience(p)),
        recycle: Some(Duration::from_secs(5)),
    };
    let session = session(p, lock_timeout);
    let set_up = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        let session = session.clone();
        Box::pin(async move {
            let set = tokio::time::timeout(SET_UP, client.batch_execute(&session)).await;
            set.map_err(|_| HookError::message(error::MUTE))?.map_err(HookError::Backend)
        })
    });
    let builder = Pool::builder(manager)
        .config(PoolConfig { max_size, timeouts, ..PoolConfig::default() })
        .runtime(Runtime::Tokio1);
    // What is set behind a pooler in transaction mode is left to whoever comes next.
    let builder = if p.is_pooled() { builder } else { builder.post_create(set_up) };
    builder
        .build()
        .map_err(|error| Problem::new(Code::System, format!("cannot build the pool: {error}")))
}

/// One connection with a session of its own, past a pooler if there is one. Its task ends when the
/// client is dropped.
pub async fn connect(p: &Postgres, application_name: &str) -> Result<Client, Problem> {
    listener(p, application_name).await.map(|(client, _)| client)
}

/// As [`connect`], for LISTEN: the second part is told of each notification.
pub async fn listener(
    p: &Postgres,
    application_name: &str,
) -> Result<(Client, Arc<Notify>), Problem> {
    let p = p.with_session().ok_or_else(|| no_session(p))?;
    let hosts = hosts(p, application_name)?;
    let opening = async {
        let open = hosts.open().await?;
        open.client.batch_execute(&session(p, LOCK_TIMEOUT)).await?;
        Ok((open.client, open.heard))
    };
    match tokio::time::timeout(patience(p), opening).await {
        Ok(opened) => opened.map_err(|error| problem(&error, &place(p))),
        Err(_) => Err(pool_problem(
            &PoolError::Timeout(deadpool_postgres::TimeoutType::Create),
            &place(p),
        )),
    }
}

/// The hosts of a database.
fn hosts(p: &Postgres, application_name: &str) -> Result<Hosts, Problem> {
    let patience = if p.hosts.len() > 1 { p.connect_timeout } else { patience(p) };
    Ok(Hosts { login: Login::new(p, application_name)?, patience })
}

fn no_session(p: &Postgres) -> Problem {
    let cause = format!(
        "{} is behind a pooler in transaction mode, and this needs a session of its own",
        place(p)
    );
    Problem::new(Code::Config, cause).advice("set postgres.direct_url to PostgreSQL itself")
}

/// How long opening may take in all: until the last host had its time, and the login, which the driver's
/// own timeout does not cover.
fn patience(p: &Postgres) -> Duration {
    let before_the_last = u32::try_from(p.hosts.len().saturating_sub(1)).unwrap_or(0);
    let command = if p.password_command.is_empty() { Duration::ZERO } else { login::PATIENCE };
    HEAD_START.saturating_mul(before_the_last)
        + p.connect_timeout
        + Duration::from_secs(5)
        + command
}

#[cfg(test)]
mod tests;
