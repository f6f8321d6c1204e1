//! What befalls the database as a whole: another server takes its place, with less than the first one had.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::task::block_in_place;

use super::super::environment::{DATABASE, Environment};
use super::{Fault, Need, Strike, Truth, failed};
use crate::demo::shop::connect;
use crate::servers::postgres::PrivatePostgres;
use rules::problem::{Code, Problem};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "postgres-failover",
        number: "F20",
        what: "a standby that lacks the last commits is promoted; stays",
        needs: &[Need::Standby],
        pause: Duration::from_secs(10),
        alone: "postgres server standby",
        act: |environment, strike| Box::pin(promote(environment, strike)),
    },
    Fault {
        name: "postgres-restored",
        number: "extra",
        what: "a dump of some seconds ago is restored on another server, which takes over; stays",
        needs: &[Need::SecondPostgres],
        pause: Duration::from_secs(10),
        alone: "postgres server",
        act: |environment, strike| Box::pin(restore(environment, strike)),
    },
    Fault {
        name: "postgres-standby-first",
        number: "F21",
        what: "a server that takes no writes comes first in the daemon's URL, and all connections to the other are cut, again and again",
        needs: &[Need::StandbyFirst],
        pause: Duration::from_secs(4),
        alone: "standby",
        act: |environment, strike| Box::pin(reconnect(environment, strike)),
    },
];

/// Each new connection is tried on the standby first.
async fn reconnect(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.begin(environment, Truth::Open)?;
    for _ in 0..strike.rng.u32(1..5) {
        environment.postgres_proxy.cut_all();
        strike.hold(200..3000).await;
    }
    Ok(())
}

async fn promote(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let Some(standby) = environment.standby.lock().await.take() else {
        // There is one standby a round.
        strike.hold(3000..5000).await;
        return Ok(());
    };
    strike.hold(4000..12_000).await;
    let mut postgres = environment.postgres.lock().await;
    let second = connect(&standby.url("postgres")).await?;
    let settings = ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"];
    for setting in settings {
        second.batch_execute(setting).await.map_err(failed)?;
    }
    // What is committed now is lost.
    strike.hold(300..3000).await;
    block_in_place(|| postgres.stop_hard())?;
    strike.begin(environment, Truth::Unable)?;
    strike.hold(0..4000).await;
    second.batch_execute("SELECT pg_promote()").await.map_err(failed)?;
    take_over(environment, strike, &mut postgres, standby)
}

async fn restore(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let Some(mut second) = environment.second.lock().await.take() else {
        strike.hold(3000..5000).await;
        return Ok(());
    };
    strike.hold(4000..10_000).await;
    let mut postgres = environment.postgres.lock().await;
    let admin = connect(&second.url("postgres")).await?;
    let password = environment.secret();
    // As a whole cluster's dump would have it.
    let roles = format!(
        "ALTER ROLE postgres PASSWORD '{password}'; CREATE ROLE makegood LOGIN SUPERUSER PASSWORD '{password}'"
    );
    admin.batch_execute(&roles).await.map_err(failed)?;
    second.share_password(&postgres);
    admin.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.map_err(failed)?;
    block_in_place(|| dump_and_restore(&postgres.url(DATABASE), &second.url(DATABASE)))?;
    strike.hold(300..3000).await;
    block_in_place(|| postgres.stop_immediate())?;
    strike.begin(environment, Truth::Unable)?;
    take_over(environment, strike, &mut postgres, second)
}

fn take_over(
    environment: &Environment,
    strike: &mut Strike<'_>,
    first: &mut PrivatePostgres,
    second: PrivatePostgres,
) -> Result<(), Problem> {
    strike.end(environment)?;
    let url = second.url(DATABASE);
    environment.postgres_proxy.lead_to(second.port());
    environment.postgres_proxy.cut_all();
    environment.load.move_to(url.clone());
    environment.ledger.note(json!({"act": "moved", "database": url}))?;
    *first = second;
    Ok(())
}

fn dump_and_restore(from: &str, to: &str) -> Result<(), Problem> {
    let problem = |e: String| Problem::new(Code::System, format!("copying the database: {e}"));
    let mut dump = Command::new("pg_dump")
        .args(["-d", from])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| problem(e.to_string()))?;
    let Some(dumped) = dump.stdout.take() else { return Err(problem("no pipe".to_owned())) };
    let restored = Command::new("psql")
        .args(["-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", to])
        .stdin(dumped)
        .status()
        .map_err(|e| problem(e.to_string()))?;
    let dumped = dump.wait().map_err(|e| problem(e.to_string()))?;
    match dumped.success() && restored.success() {
        true => Ok(()),
        false => Err(problem(format!("pg_dump: {dumped}, psql: {restored}"))),
    }
}
