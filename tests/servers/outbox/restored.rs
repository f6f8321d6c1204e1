//! A dump of the database, restored into another cluster, where transactions have other numbers: what was
//! not sent arrives, and so does what was published there before makegood came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lab::servers::postgres::PrivatePostgres;
use makegood::config::{Kafka, Postgres};
use makegood::heartbeats::Heartbeats;
use makegood::relay::{self, Relay};
use makegood::store::outbox::{ClaimOutcome, OutboxSession, Shard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::eventually;
use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site};
use crate::support::rig::Rig;
use crate::support::standby::dump_and_restore;
use crate::support::world::connect;

/// A cluster in which so many transactions took place before.
async fn cluster_after(transactions: usize) -> PrivatePostgres {
    let postgres =
        tokio::task::spawn_blocking(|| PrivatePostgres::start(false)).await.unwrap().unwrap();
    let client = connect(&postgres.url("postgres")).await;
    let sql = format!(
        "CREATE PROCEDURE pass() LANGUAGE plpgsql AS $$ BEGIN
            FOR n IN 1..{transactions} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
         CREATE DATABASE restored TEMPLATE template0"
    );
    for part in sql.split_inclusive("$$;") {
        client.batch_execute(part).await.unwrap();
    }
    client.batch_execute("CALL pass()").await.unwrap();
    postgres
}

/// Restores from a cluster into another, with so many transactions behind them, and goes on there with so many
/// shards; returns how many rows came twice.
async fn restored(place: Place, home: usize, away: usize, shards: i16) -> usize {
    let home = cluster_after(home).await;
    let mut site = Site::on(&home, Rig::new(3).await, place).await;
    let mut numbers = Numbers::default();
    let mut next = |count: usize| -> Vec<Written> {
        (0..count).map(|n| numbers.next(&format!("k{}", n % 40))).collect()
    };
    let mut written = next(2000);
    let mut daemon = site.daemon();
    site.publish(&written).await;
    site.drained().await;
    daemon.signal("TERM");
    tokio::task::block_in_place(|| daemon.wait(Duration::from_secs(60)));
    let unsent = next(200);
    site.publish(&unsent).await;
    written.extend(unsent);

    let away = cluster_after(away).await;
    let url = away.url("restored");
    dump_and_restore(&site.payments, &url);
    site.client = connect(&url).await;
    site.payments = url;
    // Some of it within a savepoint, which makes the row's own transaction number another than its column's.
    let new = next(200);
    for (n, event) in new.iter().enumerate() {
        site.client.batch_execute("BEGIN; SAVEPOINT s; SELECT pg_current_xact_id()").await.unwrap();
        if n % 2 == 0 {
            site.client.batch_execute("SAVEPOINT t").await.unwrap();
        }
        site.publish(std::slice::from_ref(event)).await;
        site.client.batch_execute("COMMIT").await.unwrap();
    }
    written.extend(new);
    if shards > 1 {
        // The first to come is a relay of a shard that the dump knows nothing of.
        let postgres = Postgres::from_url(&site.payments).unwrap();
        let new = Shard { number: shards - 1, of: shards };
        let session = OutboxSession::open(&postgres, new).await.unwrap();
        assert_eq!(
            session.claim(Uuid::new_v4()).await.unwrap(),
            ClaimOutcome::Taken(Duration::ZERO)
        );
    }
    let outbox = format!("shards = {shards}");
    let daemon = site.daemon_with(&outbox, "");
    let again = site.assert_relayed(&written).await;
    if shards == 1 {
        assert!(daemon.log().contains("written by another PostgreSQL server"), "{}", daemon.log());
    }
    // And on it goes, also for those who come later.
    drop(daemon);
    let later = next(100);
    site.publish(&later).await;
    written.extend(later);
    let daemon = site.daemon_with(&outbox, "");
    assert_eq!(site.assert_relayed(&written).await, again, "sent again once more");
    assert!(!daemon.log().contains("written by another PostgreSQL server"), "restamped twice");
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_where_transaction_numbers_are_lower_goes_on_where_it_was() {
    for place in [Place::Beside, Place::Apart] {
        assert_eq!(restored(place, 5000, 0, 1).await, 0, "what was sent is sent again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_and_relayed_by_more_shards_than_before_loses_nothing() {
    assert_eq!(restored(Place::Beside, 5000, 0, 3).await, 0, "what was sent is sent again");
}

/// There, what is new cannot be told from what is old by its number: in doubt it is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_where_transaction_numbers_are_higher_loses_nothing() {
    assert!(restored(Place::Beside, 0, 20_000, 1).await <= 2000);
}

/// Makes the outbox look as if it had been written in another cluster.
async fn taken_for_restored(site: &Site) {
    site.client.batch_execute("UPDATE makegood.outbox_steps SET epoch = epoch").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_outbox_gets_new_numbers_whatever_its_size() {
    const ROWS: i64 = 50_000;
    let site = Site::new(Place::Beside, 1).await;
    let sql = "SELECT count(makegood.publish('t', 'k' || n, 'T', '{}')) FROM generate_series(1, $1::bigint) n";
    for _ in 0..2 {
        site.client.query_one(sql, &[&(ROWS / 2)]).await.unwrap();
    }
    taken_for_restored(&site).await;
    let postgres = Postgres::from_url(&site.payments).unwrap();
    let session = OutboxSession::open(&postgres, Shard::ONLY).await.unwrap();
    let holder = Uuid::new_v4();
    eventually("the outbox to be claimed", || async {
        matches!(session.claim(holder).await.unwrap(), ClaimOutcome::Won { .. }).then_some(())
    })
    .await;
    let sql = "SELECT count(DISTINCT xid) FROM makegood.outbox";
    assert_eq!(site.number(sql).await, 1, "rows kept the numbers of another cluster");
    assert_eq!(site.number("SELECT pending FROM makegood.outbox_status").await, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_a_restored_outbox_new_numbers_shows_life_and_ends_when_told() {
    let site = Site::new(Place::Beside, 1).await;
    site.publish(&[Numbers::default().next("k")]).await;
    taken_for_restored(&site).await;
    // As good as a great many rows: it takes long.
    let holder = connect(&site.payments).await;
    holder.batch_execute("BEGIN; SELECT FROM makegood.outbox FOR UPDATE").await.unwrap();
    let liveness = Heartbeats::default();
    let relay = Relay {
        postgres: Postgres::from_url(&site.payments).unwrap(),
        kafka: Kafka {
            bootstrap_servers: site.rig.world.kafka.bootstrap(),
            properties: BTreeMap::new(),
            token_command: config::Program::default(),
            msk_region: None,
        },
        retention: Duration::from_secs(3600),
        shard: Shard::ONLY,
        sign: liveness.expect_within("relay", Duration::from_millis(500)),
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay::run(Arc::new(relay), stop.clone()));
    let restamping = async || -> Option<String> {
        let sql = "SELECT xact_start::text FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'makegood relay'
                         AND wait_event_type = 'Lock'";
        site.client.query_opt(sql, &[]).await.unwrap().map(|row| row.get(0))
    };
    let began = eventually("the relay to be at it", &restamping).await;
    let shows_life = async |shows: bool| {
        eventually("a sign of life to come, or to be long ago", || async {
            (liveness.silent().is_empty() == shows).then_some(())
        })
        .await;
    };
    shows_life(false).await;
    shows_life(true).await;
    assert_eq!(restamping().await, Some(began), "no life while it is at it");
    stop.cancel();
    running.await.unwrap().unwrap();
}
