//! One relay at a time, and always one: daemons that die, freeze, wake up and leave, under load. The judge
//! is the ledger.

use std::time::Duration;

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::load::chance;
use crate::support::payments::{Place, Site, Writers};

/// Take-overs in a run; `MAKEGOOD_TEST_TAKEOVERS` sets another number.
const TAKEOVERS: usize = 6;
/// Rows that may be on their way when a relay dies, and so come twice: its window, and a reading more.
const ON_THEIR_WAY: usize = 8000;

/// The sessions that have looked at a lease last and left it to whoever has it.
const FOLLOWS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'idle' AND query LIKE '-- makegood: outbox_newest%'";

/// The epoch of the one relay, and the process that has it.
async fn relay(site: &Site) -> (i64, i32) {
    let sql = "SELECT epoch, coalesce(pid, 0) FROM makegood.outbox_cursor";
    let row = site.client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

/// Waits until a daemon relays; returns its epoch.
async fn relays(site: &Site, daemon: &Daemon) -> i64 {
    let pid = daemon.pid() as i32;
    eventually("the daemon to relay", || async {
        let (epoch, now) = relay(site).await;
        (now == pid).then_some(epoch)
    })
    .await
}

/// Waits until a relay has moved its cursor on.
async fn progress(site: &Site) {
    let sql = "SELECT sum(published)::bigint FROM makegood.outbox_cursor";
    let before = site.number(sql).await;
    eventually("the relay to go on", || async { (site.number(sql).await > before).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_takes_over_again_and_again() {
    let number = std::env::var("MAKEGOOD_TEST_TAKEOVERS").ok().and_then(|n| n.parse().ok());
    let rounds = number.unwrap_or(TAKEOVERS);
    let mut rng = chance("take-overs");
    let site = Site::new(Place::Beside, 3).await;
    let mut first = site.daemon();
    let mut epoch = relays(&site, &first).await;
    let writers = Writers::start(&site, 3, Duration::from_millis(20), &mut rng).await;
    for round in 0..rounds {
        let second = site.daemon();
        if round == 0 {
            eventually("the second daemon to follow", || async {
                (site.number(FOLLOWS).await == 1).then_some(())
            })
            .await;
            for _ in 0..3 {
                progress(&site).await;
            }
            assert_eq!(relay(&site).await.0, epoch, "a lease is nobody else's while it is renewed");
        }
        progress(&site).await;
        match round % 2 {
            0 => first.signal("TERM"),
            _ => first.kill(),
        }
        let next = relays(&site, &second).await;
        assert!(next > epoch, "the same epoch for another relay");
        progress(&site).await;
        first.kill();
        (first, epoch) = (second, next);
    }
    let written = writers.stop().await;
    let again = site.assert_relayed(&written).await;
    eprintln!("{rounds} take-overs, {} events, {again} duplicates", written.len());
    assert!(again <= rounds * ON_THEIR_WAY);
}

/// A relay that leaves by SIGTERM drains first: nothing is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_told_to_stop_hands_over_without_a_duplicate() {
    for place in [Place::Beside, Place::Apart] {
        let mut rng = chance("hand-over");
        let site = Site::new(place, 3).await;
        let mut first = site.daemon();
        relays(&site, &first).await;
        let writers = Writers::start(&site, 2, Duration::from_millis(10), &mut rng).await;
        for _ in 0..2 {
            let second = site.daemon();
            progress(&site).await;
            first.signal("TERM");
            relays(&site, &second).await;
            tokio::task::block_in_place(|| first.wait(Duration::from_secs(60)));
            first = second;
        }
        let written = writers.stop().await;
        assert_eq!(site.assert_relayed(&written).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_relay_that_wakes_up_cannot_move_the_cursor() {
    for place in [Place::Beside, Place::Apart] {
        let mut rng = chance("frozen");
        let site = Site::new(place, 3).await;
        let first = site.daemon();
        relays(&site, &first).await;
        let writers = Writers::start(&site, 3, Duration::from_millis(5), &mut rng).await;
        let second = site.daemon();
        progress(&site).await;
        first.signal("STOP");
        let epoch = relays(&site, &second).await;
        progress(&site).await;
        first.signal("CONT");
        let says = "another daemon relays the outbox now";
        eventually("the zombie to see that it lost", || async {
            first.log().contains(says).then_some(())
        })
        .await;
        progress(&site).await;
        assert_eq!(relay(&site).await.0, epoch, "the zombie took the outbox back");
        let written = writers.stop().await;
        assert!(site.assert_relayed(&written).await <= ON_THEIR_WAY);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_cannot_work_says_why_and_goes_on_when_it_can() {
    let site = Site::new(Place::Beside, 1).await;
    let rename = |from: &str, to: &str| {
        format!("ALTER TABLE makegood.outbox_parked RENAME COLUMN {from} TO {to}")
    };
    site.client.batch_execute(&rename("retry_at", "elsewhere")).await.unwrap();
    let _daemon = site.daemon();
    let sql = "SELECT count(*) FROM makegood.outbox_status WHERE verdict = 'held' AND reason LIKE '%retry_at%'";
    eventually("the outbox to be held", || async { (site.number(sql).await == 1).then_some(()) })
        .await;
    site.client.batch_execute(&rename("elsewhere", "retry_at")).await.unwrap();
    let sql = "SELECT count(*) FROM makegood.outbox_status WHERE verdict = 'ok'";
    eventually("the outbox to be well", || async { (site.number(sql).await == 1).then_some(()) })
        .await;
}
