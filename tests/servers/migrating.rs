//! Who keeps a migration waiting is named, is not waited for for ever, and keeps no daemon from starting.

use makegood::store::migrate;
use tokio_postgres::Client;

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};

/// The lock of those who migrate, "makegood" in bytes: anybody can take it.
const TAKE: &str = "SELECT pg_advisory_lock(x'6d616b65676f6f64'::bigint)";

async fn database(rig: &Rig, what: &str) -> String {
    let name = format!("{}_{what}", rig.database);
    rig.client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    rig.world.postgres.url(&name)
}

/// Somebody's session.
async fn stranger(url: &str, sql: &str) -> Client {
    let client = connect(&format!("{url}?application_name=report")).await;
    client.batch_execute(sql).await.unwrap();
    client
}

/// Migrates in vain, does what the hint says, and migrates.
async fn is_told(url: &str) {
    let mut client = connect(url).await;
    let problem = migrate::up(&mut client, migrate::BOTH).await.unwrap_err();
    assert!(
        problem.reason.contains("postgres, report, idle") && problem.reason.contains("pid "),
        "{problem}"
    );
    let start = problem.advice.find("SELECT").unwrap();
    let end = problem.advice[start..].find(';').unwrap();
    client.batch_execute(&problem.advice[start..start + end]).await.unwrap();
    migrate::up(&mut client, migrate::BOTH).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_a_migration_waiting_is_named_with_the_way_to_end_it() {
    let rig = Rig::new(1).await;
    let (taken, used) = (database(&rig, "taken").await, database(&rig, "used").await);
    let _squatter = stranger(&taken, TAKE).await;
    // What an older program left, and somebody in the middle of a transaction on it.
    let whole = migrate::sql(migrate::BOTH);
    let (older, _) = whole.split_once("\n-- V7__").unwrap();
    connect(&used).await.batch_execute(&format!("{older}\nCOMMIT;")).await.unwrap();
    let sql = "INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('r', 't', 'g')";
    let _busy = stranger(&used, &format!("BEGIN; {sql}")).await;
    tokio::join!(is_told(&taken), is_told(&used));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_waits_for_no_lock_where_there_is_nothing_to_migrate() {
    let rig = Rig::new(1).await;
    let _squatter = stranger(&rig.url(), TAKE).await;
    let _daemon: Daemon = rig.daemon();
    rig.pay(&payments(2)).await;
    eventually("the purchases", || async { (ledger::count(&rig.client).await == 2).then_some(()) })
        .await;
}
