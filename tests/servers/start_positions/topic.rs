//! The topic itself: records deleted, partitions added, deleted and made anew.

use std::sync::Arc;

use super::{assert_nothing_skipped, duplicates, gaps, pay_more, read_all, why};
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::load::{Load, chance};
use crate::support::rig::Rig;
use crate::support::world::connect;

#[tokio::test(flavor = "multi_thread")]
async fn records_that_expired_unread_are_on_record_as_exactly_the_lost_range() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 10, &mut paid).await;
    pay_more(&rig, 1, 10, &mut paid).await;
    read_all(&rig).await;
    let (mut lost, mut later) = (Vec::new(), Vec::new());
    pay_more(&rig, 0, 7, &mut lost).await;
    pay_more(&rig, 0, 5, &mut later).await;
    rig.delete_records(0, 17).await;
    // What expired after it was read is no loss.
    rig.delete_records(1, 10).await;
    let _daemon = rig.daemon();
    assert_nothing_skipped(&rig, &[paid, later].concat()).await;
    assert_eq!(gaps(&rig).await, [(0, 10, 17, "expired".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_while_stopped_is_read_from_its_beginning() {
    // Shorter than the old log, just as long, and longer than it.
    for length in [3, 20, 40] {
        let rig = Rig::new(1).await;
        let mut paid = Vec::new();
        pay_more(&rig, 0, 20, &mut paid).await;
        read_all(&rig).await;
        rig.recreate_topic(1).await;
        pay_more(&rig, 0, length, &mut paid).await;
        // Kafka forgets the offsets of a deleted topic; a tool or another worker may not.
        rig.commit_as_another_worker(0, 3);
        let _daemon = rig.daemon();
        assert_nothing_skipped(&rig, &paid).await;
        assert_eq!((why(&rig, 0).await.as_str(), duplicates(&rig).await), ("recreated", 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_while_running_is_read_from_its_beginning() {
    for length in [3, 40] {
        let rig = Rig::new(2).await;
        let mut paid = Vec::new();
        let _daemon = rig.daemon();
        pay_more(&rig, 0, 20, &mut paid).await;
        pay_more(&rig, 1, 20, &mut paid).await;
        rig.caught_up().await;
        rig.recreate_topic(2).await;
        pay_more(&rig, 0, length, &mut paid).await;
        pay_more(&rig, 1, 2, &mut paid).await;
        assert_nothing_skipped(&rig, &paid).await;
    }
}

/// What nobody had read of the old log is on record, as far as a daemon had seen its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_with_fewer_partitions_is_read_and_what_the_old_one_had_is_on_record() {
    let rig = Rig::new(3).await;
    let mut paid = Vec::new();
    for partition in 0..3 {
        pay_more(&rig, partition, 20, &mut paid).await;
    }
    let daemon = rig.daemon_with("suspects = 1\nbatch = { rows = 1 }");
    rig.caught_up().await;
    // Held, so that records wait unread, and a look that sees them.
    let rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE student_course_purchases RENAME {from} TO {to}");
        rig.client.batch_execute(&sql).await.unwrap();
    };
    rename("purchased_at", "start_date").await;
    let mut lost = Vec::new();
    pay_more(&rig, 2, 8, &mut lost).await;
    eventually("a look at the log's end", || async {
        let sql = "SELECT count(*) FROM makegood.watermarks WHERE partition = 2 AND high = 28";
        (rig.number(sql).await == 1).then_some(())
    })
    .await;
    daemon.stop();
    // Some were tried, and put away with their bytes: only the others are lost with the log.
    let at = rig.positions().await[&2];
    paid.extend(lost[..usize::try_from(at - 20).unwrap()].to_vec());
    rename("start_date", "purchased_at").await;
    rig.recreate_topic(1).await;
    pay_more(&rig, 0, 30, &mut paid).await;
    let daemon = rig.daemon();
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(gaps(&rig).await, [(2, at, 28, "deleted".to_owned())]);
    assert!(daemon.log().contains("deleted before these records were read"), "{}", daemon.log());
    // And once more, under the running daemon.
    rig.recreate_topic(2).await;
    pay_more(&rig, 1, 5, &mut paid).await;
    pay_more(&rig, 0, 5, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
    rig.recreate_topic(1).await;
    pay_more(&rig, 0, 40, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(gaps(&rig).await, [(2, at, 28, "deleted".to_owned())]);
}

/// Its client asks for what is gone by then, and must not go on at the end of the log.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_expire_under_a_daemon_that_was_frozen_are_on_record_and_the_rest_is_read() {
    let rig = Rig::new(1).await;
    let (mut paid, mut lost) = (Vec::new(), Vec::new());
    let daemon = rig.daemon();
    pay_more(&rig, 0, 5, &mut paid).await;
    rig.caught_up().await;
    daemon.signal("STOP");
    // What it asked for before may be answered with this one, which is in its hands then.
    let mut answered = Vec::new();
    pay_more(&rig, 0, 1, &mut answered).await;
    pay_more(&rig, 0, 7, &mut lost).await;
    pay_more(&rig, 0, 5, &mut paid).await;
    rig.delete_records(0, 13).await;
    daemon.signal("CONT");
    for _ in 0..20 {
        pay_more(&rig, 0, 1, &mut paid).await;
    }
    rig.caught_up().await;
    let found = gaps(&rig).await;
    match found.as_slice() {
        [(0, 5, 13, why)] if why == "expired" => {}
        [(0, 6, 13, why)] if why == "expired" => paid.extend(answered),
        _ => panic!("no such gap: {found:?}"),
    }
    assert_nothing_skipped(&rig, &paid).await;
}

/// What a held daemon has in hand is not lost with the log; what it had not fetched is exactly the gap.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_expire_while_the_route_is_held_are_on_record_unless_they_were_in_hand() {
    let rig = Rig::new(1).await;
    let mut paid = Vec::new();
    let daemon = rig.daemon_with("batch = { rows = 1 }");
    pay_more(&rig, 0, 5, &mut paid).await;
    rig.caught_up().await;
    let mut blocker = connect(&rig.url()).await;
    let lock = blocker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE student_course_purchases").await.unwrap();
    let held = payments(12);
    rig.pay(&held).await;
    // The lane is full; after a while nothing more is fetched.
    eventually("the reading to stop", || async {
        daemon.log().contains("reading stopped").then_some(())
    })
    .await;
    rig.delete_records(0, 15).await;
    lock.rollback().await.unwrap();
    rig.caught_up().await;
    let found = gaps(&rig).await;
    let [(0, from, 15, why)] = found.as_slice() else { panic!("no such gap: {found:?}") };
    assert_eq!(why, "expired");
    let read = usize::try_from(from - 5).unwrap();
    assert!((1..10).contains(&read), "{found:?}");
    paid.extend([&held[..read], &held[10..]].concat());
    assert_nothing_skipped(&rig, &paid).await;
}

/// A second owner finds the new log known already, by its other partition. The offset that Kafka has
/// may still be the old log's.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_read_from_its_beginning_by_whoever_gets_a_partition_later() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    pay_more(&rig, 1, 20, &mut paid).await;
    read_all(&rig).await;
    rig.recreate_topic(2).await;
    pay_more(&rig, 0, 30, &mut paid).await;
    pay_more(&rig, 1, 30, &mut paid).await;
    for partition in [0, 1] {
        rig.commit_as_another_worker(partition, 20);
    }
    let other = rig.idle_member().await;
    let daemon = rig.daemon();
    eventually("one partition each", || async {
        let mine = rig.worker(&daemon).await?.partitions;
        (other.partitions().len() == 1 && mine.len() == 1).then_some(())
    })
    .await;
    drop(other);
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(gaps(&rig).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_added_under_load_are_read_from_their_start() {
    let rig = Arc::new(Rig::new(4).await);
    let daemon = rig.daemon();
    let load = Load::start(&rig, chance("partitions added under load"));
    rig.reads(&daemon).await;
    rig.grow_topic(8).await;
    let mut paid = Vec::new();
    for partition in 4..8 {
        pay_more(&rig, partition, 10, &mut paid).await;
    }
    eventually("all partitions to be read", || async {
        (rig.worker(&daemon).await?.partitions.len() == 8).then_some(())
    })
    .await;
    paid.extend(load.stop().await);
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(gaps(&rig).await, []);
    rig.assert_batches_only_move_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_after_the_daemon_started_is_read_from_its_beginning() {
    let rig = Rig::new(1).await;
    rig.delete_topic().await;
    let daemon = rig.daemon();
    eventually("the daemon to say that there is no topic", || async {
        daemon.log().contains("the topic does not exist").then_some(())
    })
    .await;
    let mut paid = Vec::new();
    rig.make_topic(2).await;
    pay_more(&rig, 0, 10, &mut paid).await;
    pay_more(&rig, 1, 10, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(gaps(&rig).await, []);
}
