//! The group's offsets: none, another worker's, deleted, set back, set ahead, configured.

use std::process::Stdio;

use super::{assert_nothing_skipped, duplicates, gaps, pay_more, read_all, why};
use crate::support::daemon::command;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::ledger;
use crate::support::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_starts_at_the_oldest_record_and_has_a_number_on_every_partition_at_once() {
    let rig = Rig::new(4).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 3, &mut paid).await;
    pay_more(&rig, 2, 2, &mut paid).await;
    let _daemon = rig.daemon();
    eventually("a committed offset on every partition", || async {
        (rig.committed().len() == 4).then_some(())
    })
    .await;
    let table = rig.group_tool(&["--describe"]);
    let offsets: Vec<&str> = table
        .lines()
        .filter(|line| line.contains(&rig.topic))
        .map(|line| line.split_whitespace().nth(3).unwrap())
        .collect();
    assert_eq!(offsets.len(), 4, "{table}");
    assert!(offsets.iter().all(|offset| offset.parse::<i64>().is_ok()), "{table}");
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(gaps(&rig).await, []);
    assert_eq!(why(&rig, 1).await, "first_start");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workers_offset_is_taken_over_and_what_lies_before_it_is_on_record() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    pay_more(&rig, 1, 5, &mut paid).await;
    rig.commit_as_another_worker(0, 7);
    let _daemon = rig.daemon();
    assert_nothing_skipped(&rig, &paid[7..]).await;
    assert_eq!(gaps(&rig).await, [(0, 0, 7, "taken_over".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_deleted_in_kafka_goes_on_at_postgres_position() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 30, &mut paid).await;
    pay_more(&rig, 1, 30, &mut paid).await;
    read_all(&rig).await;
    let said = rig.group_tool(&["--delete"]);
    assert!(said.contains("successful"), "{said}");
    assert!(rig.committed().is_empty());
    pay_more(&rig, 1, 30, &mut paid).await;
    let _daemon = rig.daemon();
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!((duplicates(&rig).await, why(&rig, 0).await.as_str()), (0, "resumed"));
    assert_eq!(gaps(&rig).await, []);
    eventually("Kafka to know again", || async {
        (rig.committed() == rig.log_ends()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_set_back_by_hand_is_read_again_from_there() {
    let rig = Rig::new(1).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 100, &mut paid).await;
    read_all(&rig).await;
    rig.reset_offsets(&["--to-offset", "40"]);
    pay_more(&rig, 0, 10, &mut paid).await;
    let daemon = rig.daemon();
    rig.reads(&daemon).await;
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!((duplicates(&rig).await, why(&rig, 0).await.as_str()), (60, "rewound"));
}

/// The rows are deleted first, so that a record that is skipped on the way shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_while_it_reads_again_skips_nothing() {
    let rig = Rig::new(1).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 2000, &mut paid).await;
    read_all(&rig).await;
    rig.client
        .batch_execute("DELETE FROM student_course_purchases; DELETE FROM makegood.inbox")
        .await
        .unwrap();
    rig.reset_offsets(&["--to-earliest"]);
    let mut daemon = rig.quick_daemon("batch = { rows = 5 }");
    eventually("some to be made again", || async {
        (ledger::count(&rig.client).await > 20).then_some(())
    })
    .await;
    daemon.kill();
    let made = ledger::count(&rig.client).await;
    assert!(made < 2000, "the kill came too late to prove anything");
    let _daemon = rig.daemon();
    assert_nothing_skipped(&rig, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_set_ahead_by_hand_is_not_followed() {
    let rig = Rig::new(1).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    read_all(&rig).await;
    pay_more(&rig, 0, 30, &mut paid).await;
    rig.reset_offsets(&["--to-latest"]);
    assert_eq!(rig.committed()[&0], 50);
    let daemon = rig.daemon();
    assert_nothing_skipped(&rig, &paid).await;
    let log = daemon.log();
    assert!(
        log.contains("following it would skip payments") && log.contains("\"kafka\":50"),
        "{log}"
    );
    assert_eq!(gaps(&rig).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_the_end_is_refused_unless_skipping_is_meant() {
    let rig = Rig::new(1).await;
    rig.pay(&payments(5)).await;
    let file = rig.config_file(&rig.url(), "start = \"latest\"", "");
    let refused =
        command().args(["run", "--config"]).arg(file).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("skips paid events") && said.contains("allow_skip"), "{said}");
    assert!(rig.committed().is_empty());
    // Meant: only what comes later is read, and what is left out is on record.
    let daemon = rig.daemon_with("start = \"latest\"\nallow_skip = true");
    rig.reads(&daemon).await;
    let mut later = Vec::new();
    pay_more(&rig, 0, 5, &mut later).await;
    assert_nothing_skipped(&rig, &later).await;
    assert_eq!(gaps(&rig).await, [(0, 0, 5, "first_start".to_owned())]);
}

/// What comes later than the first start was not there to be left out: a partition that is added, and what came to
/// another member's partition since.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_the_end_leaves_out_what_was_there_at_the_first_start_and_nothing_else() {
    let rig = Rig::new(2).await;
    rig.pay_to(Some(0), &payments(5)).await;
    rig.pay_to(Some(1), &payments(5)).await;
    let other = rig.idle_member().await;
    let daemon = rig.daemon_with("start = \"latest\"\nallow_skip = true");
    eventually("the daemon to share with the other member", || async {
        other.partitions();
        let worker = rig.worker(&daemon).await?;
        (worker.state == "running" && worker.partitions.len() == 1).then_some(())
    })
    .await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 5, &mut paid).await;
    pay_more(&rig, 1, 5, &mut paid).await;
    drop(other);
    assert_nothing_skipped(&rig, &paid).await;
    daemon.stop();
    rig.grow_topic(3).await;
    pay_more(&rig, 2, 5, &mut paid).await;
    let daemon = rig.daemon_with("start = \"latest\"\nallow_skip = true");
    assert_nothing_skipped(&rig, &paid).await;
    let first_start = "first_start".to_owned();
    assert_eq!(gaps(&rig).await, [(0, 0, 5, first_start.clone()), (1, 0, 5, first_start)]);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_a_time_reads_from_there_and_records_the_rest() {
    let rig = Rig::new(2).await;
    let paid = payments(10);
    // One record a minute from 2026-01-07T16:50:00Z on; the start is the fifth one's minute.
    for (minute, payment) in (0..).zip(&paid) {
        let mut record = payment.record();
        record.timestamp_ms = Some(1_767_804_600_000 + minute * 60_000);
        rig.send_to(Some(0), &record).await;
    }
    let start = "start = \"2026-01-07T16:54:00Z\"";
    let daemon = rig.daemon_with(start);
    assert_nothing_skipped(&rig, &paid[4..]).await;
    assert_eq!(gaps(&rig).await, [(0, 0, 4, "first_start".to_owned())]);
    daemon.stop();
    // The time counts for the first start only: a later one goes on where it stopped.
    let mut read = paid[4..].to_vec();
    pay_more(&rig, 1, 3, &mut read).await;
    let _daemon = rig.daemon_with(start);
    assert_nothing_skipped(&rig, &read).await;
    assert_eq!(why(&rig, 0).await, "resumed");
}
