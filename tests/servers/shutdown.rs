//! Promise: SIGTERM ends the daemon in time, and the next one goes on where it stopped.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate;
use uuid::Uuid;

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::ledger;
use crate::support::load::{Load, chance};
use crate::support::rig::Rig;
use crate::support::world::{HOST_TABLES, connect};

/// A supervisor's patience is usually longer; a drain that needs more than this is stuck.
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_leaves_kafka_at_the_position_and_the_next_daemon_goes_on() {
    let mut rng = chance("a stop under load");
    let rig = Arc::new(Rig::new(3).await);
    let load = Load::start(&rig, rng.fork());
    for _ in 0..5 {
        let mut daemon = rig.daemon_with("batch = { rows = 50 }");
        let before = ledger::count(&rig.client).await;
        eventually("another purchase", || async {
            (ledger::count(&rig.client).await > before).then_some(())
        })
        .await;
        // The instant of the stop is the test's input, not something to wait for.
        tokio::time::sleep(Duration::from_millis(rng.u64(..300))).await;
        daemon.signal("TERM");
        let status = daemon.wait(DEADLINE);
        assert_eq!(status.code(), Some(0), "{}", daemon.log());
        assert_eq!(rig.committed(), rig.positions().await);
        assert_eq!(rig.number("SELECT count(*) FROM makegood.workers").await, 0);
    }
    let paid = load.stop().await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.assert_batches_only_move_on().await;
    // Whoever stops in order repeats nothing: what was sent twice is all there is of duplicates.
    let records: i64 = rig.log_ends().values().sum();
    let sql = "SELECT sum(applied + duplicate)::bigint FROM makegood.consumer_positions";
    assert_eq!(rig.number(sql).await, records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_postgres_is_down_is_in_time_and_loses_nothing() {
    let rig = Rig::new(2).await;
    let start = || PrivatePostgres::start(false).unwrap();
    let mut postgres = tokio::task::spawn_blocking(start).await.unwrap();
    let url = postgres.url("postgres");
    let mut client = connect(&url).await;
    client.batch_execute(HOST_TABLES).await.unwrap();
    migrate::up(&mut client, migrate::BOTH).await.unwrap();
    let paid = payments(300);
    rig.pay(&paid[..100]).await;
    let mut daemon = rig.daemon_at(&url, "");
    purchases(&client, 100).await;
    tokio::task::block_in_place(|| postgres.stop_immediate()).unwrap();
    rig.pay(&paid[100..200]).await;
    logged(&daemon, "held: PostgreSQL is out of reach").await;
    daemon.signal("TERM");
    assert_eq!(daemon.wait(DEADLINE).code(), Some(0), "{}", daemon.log());
    // One that starts meanwhile waits for the database, and ends as well.
    let mut waiting = rig.daemon_at(&url, "");
    logged(&waiting, "waiting: ").await;
    waiting.signal("TERM");
    assert_eq!(waiting.wait(DEADLINE).code(), Some(0), "{}", waiting.log());
    rig.pay(&paid[200..]).await;
    tokio::task::block_in_place(|| postgres.start_again()).unwrap();
    let _daemon = rig.daemon_at(&url, "");
    let client = connect(&url).await;
    purchases(&client, 300).await;
    ledger::assert_exactly(&client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_anything_is_connected_ends_well() {
    let rig = Rig::new(1).await;
    // Port 1 of this machine: nobody listens, and nobody ever will.
    let text = rig
        .config("postgres://nobody@127.0.0.1:1/none", "", "")
        .replace(&rig.world.kafka.bootstrap(), "127.0.0.1:1");
    let path = rig.path(&format!("nothing-{}.toml", Uuid::new_v4().simple()));
    std::fs::write(&path, text).unwrap();
    for said in ["makegood starts", "waiting: "] {
        let mut daemon = Daemon::start(&path, 0);
        logged(&daemon, said).await;
        daemon.signal("TERM");
        assert_eq!(daemon.wait(DEADLINE).code(), Some(0), "{}", daemon.log());
    }
}

/// A server that takes connections and never says a word, as one that is frozen.
fn silent_server() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    (server, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_kafka_says_nothing_ends_well() {
    let rig = Rig::new(1).await;
    let (_silent, address) = silent_server();
    let published = "SELECT makegood.publish($1, 'key', 'TOLD', '{}')";
    rig.client.execute(published, &[&rig.topic]).await.unwrap();
    let text = rig
        .config(&rig.url(), "", "[outbox]\nenabled = true")
        .replace(&rig.world.kafka.bootstrap(), &address);
    let path = rig.path("silent.toml");
    std::fs::write(&path, text).unwrap();
    for said in ["this daemon relays the outbox", "no Kafka broker answers"] {
        let mut daemon = Daemon::start(&path, 0);
        logged(&daemon, said).await;
        daemon.signal("TERM");
        assert_eq!(daemon.wait(DEADLINE).code(), Some(0), "{}", daemon.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_kafka_says_nothing_and_postgres_refuses_the_login_ends_well() {
    let rig = Rig::new(1).await;
    let (_silent, address) = silent_server();
    let role = format!("locked_out_{}", rig.database);
    let made = format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'p'");
    rig.client.batch_execute(&made).await.unwrap();
    let published = "SELECT makegood.publish($1, 'key', 'TOLD', '{}')";
    rig.client.execute(published, &[&rig.topic]).await.unwrap();
    let (_, place) = rig.url().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let url = format!("postgres://{role}:p@{place}");
    let text = rig
        .config(&url, "", "[outbox]\nenabled = true")
        .replace(&rig.world.kafka.bootstrap(), &address);
    let path = rig.path("locked-out.toml");
    std::fs::write(&path, text).unwrap();
    let mut daemon = Daemon::start(&path, 0);
    logged(&daemon, "no Kafka broker answers").await;
    let out = format!(
        "ALTER ROLE {role} NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
    );
    rig.client.batch_execute(&out).await.unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(DEADLINE).code(), Some(0), "{}", daemon.log());
    rig.client.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
}

/// Opening a client takes a minute where its threads do not begin: after a jump of the clock librdkafka misses that they
/// have.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_kafka_clients_cannot_be_opened_ends_well() {
    let rig = Rig::new(1).await;
    let library = rig.path("slow_threads.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/slow_threads.c");
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]);
    assert!(compiler.status().unwrap().success());
    let path = rig.path("slow-threads.toml");
    std::fs::write(&path, rig.config(&rig.url(), "", "[outbox]\nenabled = true")).unwrap();
    let mut daemon = Daemon::start_with(&path, 0, &[("LD_PRELOAD", library.as_os_str())]);
    for words in ["this daemon relays the outbox", "mapping checked"] {
        logged(&daemon, words).await;
    }
    daemon.signal("TERM");
    let status = daemon.wait(DEADLINE);
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(!daemon.log().contains("partitions assigned"), "no thread was late: {}", daemon.log());
}

async fn purchases(client: &tokio_postgres::Client, count: usize) {
    eventually("the purchases", || async { (ledger::count(client).await == count).then_some(()) })
        .await;
}

async fn logged(daemon: &Daemon, words: &str) {
    eventually(words, || async { daemon.log().contains(words).then_some(()) }).await;
}
