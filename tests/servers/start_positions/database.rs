//! A database that went back in time while Kafka did not: what it lost is read again.

use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate;
use tokio_postgres::Client;

use super::{gaps, pay_more};
use crate::reconcile::job_section;
use crate::support::daemon::Daemon;
use crate::support::rig::Rig;
use crate::support::standby::{at, both, dump_and_restore, replayed, standby};
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{eventually, ledger};

async fn postgres() -> PrivatePostgres {
    tokio::task::spawn_blocking(|| PrivatePostgres::start(false)).await.unwrap().unwrap()
}

/// Waits until a database's positions have come to the ends of the logs.
async fn caught_up(rig: &Rig, client: &Client) {
    let ends = rig.log_ends();
    let sql = "SELECT partition, max(next_offset) FROM makegood.consumer_positions WHERE is_current GROUP BY 1";
    eventually("everything in the topic to be taken in", || async {
        let rows = client.query(sql, &[]).await.ok()?;
        let positions: Vec<(i32, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        ends.iter().all(|(p, end)| positions.contains(&(*p, *end))).then_some(())
    })
    .await;
}

/// The daemon runs through it; Kafka's committed offset is ahead of what the survivor knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_lost_the_last_commits_has_their_purchases_made_again() {
    let (mut primary, mut standby) = tokio::task::spawn_blocking(|| {
        let primary = PrivatePostgres::start(false).unwrap();
        let standby = standby(&primary);
        (primary, standby)
    })
    .await
    .unwrap();
    let rig = Rig::new(2).await;
    let url = primary.url("shop");
    let admin = connect(&primary.url("postgres")).await;
    admin.batch_execute("CREATE DATABASE shop TEMPLATE template0").await.unwrap();
    let mut client = connect(&url).await;
    client.batch_execute(HOST_TABLES).await.unwrap();
    migrate::up(&mut client, migrate::BOTH).await.unwrap();

    let daemon = rig.daemon_at(&both(&url, standby.port()), "");
    let mut paid = Vec::new();
    pay_more(&rig, 0, 30, &mut paid).await;
    pay_more(&rig, 1, 30, &mut paid).await;
    caught_up(&rig, &client).await;
    let survivor = at(&url, standby.port());
    replayed(&client, &survivor).await;
    standby.stop_immediate().unwrap();
    // Only the primary ever knows that these were purchased.
    pay_more(&rig, 0, 40, &mut paid).await;
    caught_up(&rig, &client).await;
    eventually("Kafka to know", || async { (rig.committed() == rig.log_ends()).then_some(()) })
        .await;
    primary.stop_immediate().unwrap();
    standby.start_again().unwrap();
    let client = connect(&survivor).await;
    assert_eq!(ledger::count(&client).await, 60, "the standby was not late");
    client.batch_execute("SELECT pg_promote()").await.unwrap();

    // No new record comes to lead the way.
    caught_up(&rig, &client).await;
    ledger::assert_exactly(&client, &paid).await;
    pay_more(&rig, 1, 10, &mut paid).await;
    caught_up(&rig, &client).await;
    ledger::assert_exactly(&client, &paid).await;
    let log = daemon.log();
    assert!(log.contains("went back in time"), "{log}");
    let row = client.query_one("SELECT count(*) FROM makegood.gaps", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

/// Kafka has deleted meanwhile part of what came after the dump.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_an_old_dump_the_log_is_read_again_and_what_it_lost_is_on_record() {
    let mut rig = Rig::new(1).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    super::read_all(&rig).await;
    let backup = postgres().await;
    let admin = connect(&backup.url("postgres")).await;
    admin.batch_execute("CREATE DATABASE restored TEMPLATE template0").await.unwrap();
    let url = backup.url("restored");
    tokio::task::block_in_place(|| dump_and_restore(&rig.url(), &url));

    let mut gone = Vec::new();
    pay_more(&rig, 0, 15, &mut gone).await;
    pay_more(&rig, 0, 25, &mut paid).await;
    super::read_all(&rig).await;
    rig.delete_records(0, 35).await;
    rig.client = connect(&url).await;
    // The payment service kept its own table, or restored a later one.
    rig.record(&gone, 3600.0).await;
    let config = rig.config_file(&url, "", &job_section(""));
    let daemon = Daemon::start(&config, 0);
    caught_up(&rig, &rig.client).await;
    assert_eq!(gaps(&rig).await, [(0, 20, 35, "expired".to_owned())]);
    let log = daemon.log();
    assert!(log.contains("\"kafka\":60") && log.contains("would skip payments"), "{log}");
    eventually("the gap to be covered", || async {
        (rig.number("SELECT count(*) FROM makegood.gaps_open").await == 0).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &[paid, gone].concat()).await;
}
