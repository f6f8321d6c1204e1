//! Published rows stay for the retention and are then gone; rows that were not sent never are.

use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site};
use crate::support::world::connect;

/// The shortest there is; the tables are then filled for a second each.
const RETENTION: &str = "[retention]\noutbox = \"2s\"\n";
const TURN: &str = "SELECT max(turn) FROM makegood.outbox_turns";

fn rotating(site: &Site) -> Daemon {
    site.daemon_with("", RETENTION)
}

/// Waits until so many turns have begun.
async fn turns(site: &Site, more: i64) {
    let before = site.number(TURN).await;
    eventually("the tables to be turned", || async {
        (site.number(TURN).await >= before + more).then_some(())
    })
    .await;
}

async fn kept(site: &Site, event: &Written) -> bool {
    let sql = "SELECT count(*) FROM makegood.outbox WHERE id = $1";
    site.client.query_one(sql, &[&event.id]).await.unwrap().get::<_, i64>(0) == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn published_rows_go_after_the_retention_and_not_before() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 3).await;
        let _daemon = rotating(&site);
        let (mut numbers, mut written): (Numbers, Vec<Written>) = Default::default();
        let mut published = Vec::new();
        for round in 0..3 {
            let event = numbers.next(&format!("k{}", round % 3));
            published.push(Instant::now());
            site.publish(std::slice::from_ref(&event)).await;
            written.push(event);
            turns(&site, 1).await;
            for (event, at) in written.iter().zip(&published) {
                let is_there = kept(&site, event).await;
                assert!(is_there || at.elapsed() >= Duration::from_secs(2), "gone too early");
            }
        }
        assert_eq!(site.assert_relayed(&written).await, 0);
        eventually("old rows to be gone", || async {
            (site.number("SELECT count(*) FROM makegood.outbox").await == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_comes_when_its_table_is_next_is_still_published() {
    let site = Site::new(Place::Beside, 3).await;
    let _daemon = rotating(&site);
    let (mut numbers, mut written): (Numbers, Vec<Written>) = Default::default();
    for round in 0..2 {
        let late = connect(&site.payments).await;
        let event = numbers.next("late");
        // Its table is next but one, next, and then cannot be emptied: two turns, and no third.
        let opened_in = loop {
            let turn = site.number(TURN).await;
            late.batch_execute("BEGIN").await.unwrap();
            event.publish(&late, &site.rig.topic).await;
            if site.number(TURN).await == turn {
                break turn;
            }
            late.batch_execute("ROLLBACK").await.unwrap();
        };
        let stands = || async { (site.number(TURN).await >= opened_in + 2).then_some(()) };
        eventually("its table to be next", stands).await;
        let others: Vec<Written> =
            (0..20).map(|n| numbers.next(&format!("r{round}k{n}"))).collect();
        site.publish(&others).await;
        site.drained().await;
        let busy = |daemon: &Daemon| daemon.log().matches("still in use").count();
        let before = busy(&_daemon);
        eventually("the table to be found in use", || async {
            (busy(&_daemon) > before).then_some(())
        })
        .await;
        assert_eq!(site.number(TURN).await, opened_in + 2, "a table in use was passed over");
        late.batch_execute("COMMIT").await.unwrap();
        written.extend(others);
        written.push(event);
        turns(&site, 1).await;
    }
    assert_eq!(site.assert_relayed(&written).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_with_an_old_snapshot_may_still_publish_into_a_table_that_was_emptied() {
    let site = Site::new(Place::Beside, 3).await;
    let _daemon = rotating(&site);
    let old = connect(&site.payments).await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    // The table that it takes for the one to be filled is emptied and filled by others meanwhile.
    turns(&site, 4).await;
    let event = Numbers::default().next("old");
    event.publish(&old, &site.rig.topic).await;
    turns(&site, 1).await;
    old.batch_execute("COMMIT").await.unwrap();
    assert_eq!(site.assert_relayed(&[event]).await, 0);
    turns(&site, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_not_sent_are_never_removed() {
    let site = Site::new(Place::Beside, 3).await;
    // Kafka is out of reach for this relay; its cursor cannot move.
    let nowhere = "127.0.0.1:1";
    let config = site.config("", RETENTION);
    let text = std::fs::read_to_string(&config).unwrap();
    let away = text.replace(&site.rig.world.kafka.bootstrap(), nowhere);
    assert_ne!(text, away);
    std::fs::write(&config, away).unwrap();
    let mut daemon = Daemon::start(&config, 0);
    let mut numbers = Numbers::default();
    let written: Vec<Written> = (0..500).map(|n| numbers.next(&format!("k{}", n % 5))).collect();
    site.publish(&written).await;
    eventually("their table to be next, and in use", || async {
        (daemon.log().matches("still in use").count() > 5).then_some(())
    })
    .await;
    assert_eq!(site.number("SELECT count(*) FROM makegood.outbox").await, 500);
    daemon.kill();
    let _daemon = rotating(&site);
    assert_eq!(site.assert_relayed(&written).await, 0);
    turns(&site, 3).await;
    assert_eq!(site.number("SELECT count(*) FROM makegood.outbox").await, 0, "rows stay");
}
