//! The topic itself: records deleted, partitions added, deleted and made anew.

use super::{assert_nothing_skipped, duplicates, gaps, pay_more, read_all, why};
use crate::support::eventually;
use crate::support::rig::Rig;

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
async fn partitions_added_while_running_are_read_from_their_start() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    let daemon = rig.daemon();
    pay_more(&rig, 0, 10, &mut paid).await;
    rig.reads(&daemon).await;
    rig.grow_topic(4).await;
    for partition in 0..4 {
        pay_more(&rig, partition, 10, &mut paid).await;
    }
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(gaps(&rig).await, []);
    assert_eq!(rig.worker(&daemon).await.unwrap().partitions, [0, 1, 2, 3]);
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
