//! Where a log ends in what no consumer is given, a transaction's mark or records that were aborted, nothing
//! waits for the consumer, and reconciliation does not wait for it either.

use serde_json::Value;

use super::gaps::OPEN;
use crate::commands::{run, stderr, stdout};
use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::transactions::Transactions;
use crate::support::world::connect;
use crate::support::{eventually, ledger};

/// Waits until these payments, and no others, have their purchases.
async fn bought(rig: &Rig, paid: &[Payment]) {
    eventually(&format!("{} purchases", paid.len()), || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, paid).await;
}

/// Waits until a daemon has seen where a partition's log ends.
async fn end_is_seen(rig: &Rig, partition: i32) {
    eventually("a look at the log's end", || async {
        // A transaction is over before its mark is in the log.
        let end = rig.log_ends()[&partition];
        let sql = format!(
            "SELECT count(*) FROM makegood.watermarks WHERE partition = {partition} AND high = {end}"
        );
        (rig.number(&sql).await == 1).then_some(())
    })
    .await;
}

/// Waits until a partition's log was seen to end where it does now, with so many records waiting.
async fn lags(rig: &Rig, partition: i32, records: i64) {
    eventually(&format!("partition {partition} to lag {records}"), || async {
        let end = rig.log_ends()[&partition];
        let sql = format!(
            "SELECT count(*) FROM makegood.consumer_positions
             WHERE partition = {partition} AND log_end = {end} AND lag = {records}"
        );
        (rig.number(&sql).await == 1).then_some(())
    })
    .await;
    let shown = run(rig, &["offsets", "show", "--output", "json"]).await;
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let at = shown["offsets"].as_array().unwrap().iter().find(|o| o["partition"] == partition);
    assert_eq!(at.unwrap()["lag"], records, "{shown:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_the_schedule_go_on_behind_a_mark_and_behind_aborted_records() {
    let rig = Rig::new(2).await;
    let producer = Transactions::new(&rig);
    let mut paid = payments(5);
    rig.record(&paid, 0.0).await;
    producer.begin(&rig, 0, &paid);
    producer.commit();
    let daemon = rig.reconciler("every = \"1s\"").await;
    bought(&rig, &paid).await;
    // The reconciler may have been first; the events come all the same.
    eventually("the position to be before the mark", || async {
        let at = rig.positions().await.get(&0).copied();
        (at.map(|at| at + 1) == Some(rig.log_ends()[&0])).then_some(())
    })
    .await;
    end_is_seen(&rig, 0).await;

    // Paid after the last record, and no event was ever sent.
    let silent = payments(3);
    rig.record(&silent, 0.0).await;
    paid.extend(silent);
    bought(&rig, &paid).await;
    // In this partition no record was ever applied.
    producer.begin(&rig, 1, &payments(4));
    producer.abort();
    end_is_seen(&rig, 1).await;
    let silent = payments(3);
    rig.record(&silent, 0.0).await;
    paid.extend(silent);
    bought(&rig, &paid).await;
    let sql =
        "SELECT count(*) FROM makegood.runs WHERE requested_via = 'schedule' AND made_good > 0";
    assert!(rig.number(sql).await >= 2);
    lags(&rig, 0, 0).await;
    lags(&rig, 1, 0).await;
    eventually("status to find that nothing waits", || async {
        let status = run(&rig, &["status"]).await;
        stdout(&status).contains("ok: nothing is waiting").then_some(())
    })
    .await;

    // Records behind the mark do wait, and so do those that a person wants to be read again.
    let mut blocker = connect(&rig.url()).await;
    let lock = blocker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE student_course_purchases").await.unwrap();
    let waiting = payments(2);
    rig.record(&waiting, 0.0).await;
    producer.begin(&rig, 0, &waiting);
    producer.commit();
    lags(&rig, 0, 4).await;
    lock.rollback().await.unwrap();
    paid.extend(waiting);
    bought(&rig, &paid).await;
    lags(&rig, 0, 0).await;
    daemon.stop();
    let reset = run(&rig, &["offsets", "reset", "--to-earliest", "--execute"]).await;
    assert!(reset.status.success(), "{}", stderr(&reset));
    lags(&rig, 0, 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_covered_though_the_log_ends_in_aborted_records() {
    let rig = Rig::new(1).await;
    let read = payments(5);
    rig.record(&read, 4.0 * 3600.0).await;
    rig.pay(&read).await;
    let daemon = rig.reconciler("").await;
    rig.caught_up().await;
    daemon.stop();
    let lost = payments(7);
    rig.record(&lost, 3.0 * 3600.0).await;
    rig.pay(&lost).await;
    rig.delete_records(0, 12).await;
    let producer = Transactions::new(&rig);
    producer.begin(&rig, 0, &payments(4));
    producer.abort();
    // The default job gives the gap two minutes, time to see the end first.
    let daemon = rig.daemon();
    end_is_seen(&rig, 0).await;
    assert_eq!(rig.number(OPEN).await, 1);
    daemon.stop();

    let _daemon = rig.reconciler("").await;
    eventually("the gap to be covered", || async { (rig.number(OPEN).await == 0).then_some(()) })
        .await;
    bought(&rig, &[read, lost].concat()).await;
}
