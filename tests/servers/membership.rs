//! While a route is held its daemons stay members of their group: they keep their partitions and their
//! places, stall nobody who joins, and go on as soon as the world is mended.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::holding::{PUT_AWAY, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// A daemon that its group misses after two seconds without a heartbeat, or three without a poll, and
/// whose lanes are full after a few records.
fn short_daemon(rig: &Rig, number: usize) -> Daemon {
    let route = "batch = { rows = 10 }\nlanes = 2";
    let text = rig.config(&rig.url(), route, "[log]\nlevel = \"info,makegood=debug\"\n");
    let short = text.replace(
        "\"session.timeout.ms\" = \"6000\"",
        "\"session.timeout.ms\" = \"2000\"\n\"max.poll.interval.ms\" = \"3000\"",
    );
    assert_ne!(short, text, "the rig's session time-out is written otherwise");
    let path = rig.path(&format!("short-{number}.toml"));
    fs::write(&path, short).unwrap();
    Daemon::start(&path, number)
}

/// Waits until each of the daemons is held, and has been for some seconds more than the group would
/// wait for one that is gone; returns the partitions of each.
async fn held_for_long(rig: &Rig, daemons: &[&Daemon], shares: &[usize]) {
    for (daemon, share) in daemons.iter().zip(shares) {
        let sql = "SELECT count(*) FROM makegood.workers WHERE pid = $1 AND state = 'held'
                   AND state_since < now() - interval '10 seconds' AND cardinality(partitions) = $2";
        let pid = i32::try_from(daemon.pid()).unwrap();
        let share = i32::try_from(*share).unwrap();
        eventually("the daemon to be held for ten seconds with its share", || async {
            let row = rig.client.query_one(sql, &[&pid, &share]).await.unwrap();
            (row.get::<_, i64>(0) == 1).then_some(())
        })
        .await;
    }
}

/// How many members the group has, by Kafka's own tool, and that it is at rest.
fn members(rig: &Rig) -> usize {
    let state = rig.group_tool(&["--describe", "--state"]);
    assert!(state.contains("Stable"), "{state}");
    let members = rig.group_tool(&["--describe", "--members"]);
    members.lines().filter(|line| line.contains("makegood-purchases")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn held_daemons_stay_members_share_with_others_and_go_on_once_the_world_is_mended() {
    let rig = Rig::new(4).await;
    let first = short_daemon(&rig, 1);
    let mut paid = payments(20);
    rig.pay(&paid).await;
    rig.caught_up().await;
    // Refuses every row, and no statement: a daemon that starts now finds nothing to wait for.
    let breaks =
        "ALTER TABLE student_course_purchases ADD CONSTRAINT free CHECK (amount = 0) NOT VALID";
    rig.client.batch_execute(breaks).await.unwrap();
    // More than the lanes hold, so that the member reads nothing any more.
    let behind = payments(600);
    rig.pay(&behind).await;
    paid.extend(behind);
    held_for_long(&rig, &[&first], &[4]).await;
    let log = first.log();
    assert!(log.contains("reading stopped"), "the lanes are full");
    assert_eq!(log.matches("partitions assigned").count(), 1, "it never lost its partitions");
    assert_eq!(log.matches("partitions revoked").count(), 0);
    assert_eq!(members(&rig), 1);

    let second = short_daemon(&rig, 2);
    held_for_long(&rig, &[&first, &second], &[2, 2]).await;
    assert_eq!(members(&rig), 2);
    assert_eq!(ledger::count(&rig.client).await, 20, "nothing was made");

    let mends = "ALTER TABLE student_course_purchases DROP CONSTRAINT free";
    rig.client.batch_execute(mends).await.unwrap();
    let mended = Instant::now();
    rig.caught_up().await;
    running(&rig).await;
    eprintln!("caught up {:?} after the mend", mended.elapsed());
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.assert_batches_only_move_on().await;
    assert_eq!(rig.number(PUT_AWAY).await, 0);
    for mut daemon in [first, second] {
        assert!(!daemon.log().contains("the Kafka client is replaced"));
        daemon.signal("TERM");
        assert!(daemon.wait(Duration::from_secs(30)).success());
    }
}
