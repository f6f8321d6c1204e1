//! Promise 2: wherever the positions come from or have gone to, nothing paid is skipped, and what is
//! not read is on record.

mod damaged;
mod database;
mod group;
mod made_anew;
mod moving;
mod offsets_topic;
mod one_broker_away;
mod topic;

use crate::support::events::{Payment, payments};
use crate::support::holding::PUT_AWAY;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Has a daemon read what there is and stop.
async fn read_all(rig: &Rig) {
    let daemon = rig.daemon();
    rig.reads(&daemon).await;
    rig.caught_up().await;
    daemon.stop();
}

/// Pays `count` more in one partition.
async fn pay_more(rig: &Rig, partition: i32, count: usize, paid: &mut Vec<Payment>) {
    let more = payments(count);
    rig.pay_to(Some(partition), &more).await;
    paid.extend(more);
}

/// All is read, and all that was paid is purchased, once.
async fn assert_nothing_skipped(rig: &Rig, paid: &[Payment]) {
    rig.caught_up().await;
    eventually("nothing to wait for a verdict", || async {
        (rig.number(PUT_AWAY).await == 0).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, paid).await;
}

/// The recorded gaps: partition, first offset, one past the last, why.
async fn gaps(rig: &Rig) -> Vec<(i32, i64, i64, String)> {
    let sql = "SELECT partition, from_offset, to_offset, reason FROM makegood.gaps ORDER BY 1, 2";
    let rows = rig.client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

/// How many records met an event that was known, over all logs this group has read.
async fn duplicates(rig: &Rig) -> i64 {
    rig.number("SELECT coalesce(sum(duplicate), 0)::bigint FROM makegood.consumer_positions").await
}

/// Why the newest claim of a partition began where it did.
async fn why(rig: &Rig, partition: i32) -> String {
    let sql = "SELECT why FROM makegood.positions WHERE kind = 'claim' AND partition = $1
               ORDER BY written_at DESC LIMIT 1";
    rig.client.query_one(sql, &[&partition]).await.unwrap().get(0)
}

/// Positions are appended; what is old goes, and the newest stay.
#[tokio::test(flavor = "multi_thread")]
async fn old_steps_go_after_batches_and_between_claims() {
    let rig = Rig::new(1).await;
    let steps = "SELECT count(*) FROM makegood.positions";
    let mut paid = payments(300);
    rig.pay(&paid).await;
    let daemon = rig.daemon_with("batch = { rows = 1 }");
    rig.caught_up().await;
    // Never more than those kept and as many again.
    eventually("old steps to go", || async { (rig.number(steps).await <= 129).then_some(()) })
        .await;
    daemon.stop();

    // Claims that nothing was read after.
    let sql = "INSERT INTO makegood.positions (consumer_group, topic_id, partition, step, topic, next_offset,
                   epoch, kind, why, writer, counts)
               SELECT consumer_group, topic_id, partition, step + n, topic, next_offset, epoch + n, 'claim',
                   'resumed', writer, counts
               FROM (SELECT * FROM makegood.positions ORDER BY step DESC LIMIT 1) p, generate_series(1, 500) n";
    rig.client.execute(sql, &[]).await.unwrap();
    let _daemon = rig.daemon();
    eventually("old claims to go", || async { (rig.number(steps).await <= 129).then_some(()) })
        .await;
    pay_more(&rig, 0, 3, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
}
