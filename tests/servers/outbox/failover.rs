//! A failover to a standby that lacks the last commits: transaction numbers and row numbers are used again.
//! What the surviving database knows arrives.

use std::collections::HashSet;

use lab::servers::postgres::PrivatePostgres;
use uuid::Uuid;

use crate::support::outbox::{Numbers, Written, assert_relayed, read_topic};
use crate::support::payments::{Place, Site};
use crate::support::rig::Rig;
use crate::support::standby::{at, both, replayed, standby};
use crate::support::world::connect;

async fn fails_over(place: Place) {
    let (mut primary, mut standby) = tokio::task::spawn_blocking(|| {
        let primary = PrivatePostgres::start(false).unwrap();
        let standby = standby(&primary);
        (primary, standby)
    })
    .await
    .unwrap();
    let mut site = Site::on(&primary, Rig::new(3).await, place).await;
    let survivor = at(&site.payments, standby.port());
    let (purchases, payments) = (site.purchases.clone(), site.payments.clone());
    site.purchases = both(&purchases, standby.port());
    site.payments = both(&payments, standby.port());
    let daemon = site.daemon();

    let mut numbers = Numbers::default();
    let mut next = |what: &str, count: usize| -> Vec<Written> {
        (0..count).map(|n| numbers.next(&format!("{what}{}", n % 20))).collect()
    };
    let mut written = next("k", 500);
    site.publish(&written).await;
    site.drained().await;
    // Known to the standby, with a cursor that may be older.
    let last = next("k", 500);
    site.publish(&last).await;
    written.extend(last);
    replayed(&site.client, &survivor).await;
    standby.stop_immediate().unwrap();
    // Only the primary ever knows of these; Kafka gets them, and the cursor passes them.
    let lost = next("lost", 400);
    site.publish(&lost).await;
    site.drained().await;
    let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    let furthest = site.number(sql).await;
    primary.stop_immediate().unwrap();
    standby.start_again().unwrap();

    site.client = connect(&survivor).await;
    site.client.batch_execute("SELECT pg_promote()").await.unwrap();
    assert!(site.number(sql).await + 300 < furthest, "no transaction number is used again");
    let new = next("k", 600);
    site.publish(&new).await;
    written.extend(new);
    site.drained().await;
    let gone: HashSet<Uuid> = lost.iter().map(|event| event.id).collect();
    let mut held = read_topic(&site.rig);
    held.retain(|one| !gone.contains(&one.id));
    let again = assert_relayed(&written, &held);
    assert!(again <= 1000, "{again} duplicates");
    // The connection pools of the daemon need not be told either.
    let later = next("k", 50);
    site.publish(&later).await;
    written.extend(later);
    site.drained().await;
    let mut held = read_topic(&site.rig);
    held.retain(|one| !gone.contains(&one.id));
    assert_relayed(&written, &held);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_loses_the_last_commits_skips_nothing_that_survived() {
    fails_over(Place::Beside).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_of_the_payment_database_alone_skips_nothing_that_survived() {
    fails_over(Place::Apart).await;
}
