//! The reconciler waits for nobody's lag but that of the payments in question, and for no hold but the mapping's.

use super::recorded;
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// A partition that has records and does not move: it has no leader, or nobody can read what is next in it.
const STUCK: &str = "
    INSERT INTO makegood.positions (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, writer, written_at)
    SELECT consumer_group, topic_id, 7, 1, topic, 0, 1, 'claim', writer, now() - interval '10 minutes'
    FROM makegood.positions LIMIT 1;
    INSERT INTO makegood.watermarks (consumer_group, topic_id, partition, low, high)
    SELECT consumer_group, topic_id, 7, 0, 5 FROM makegood.positions LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_does_not_move_keeps_no_payment_from_its_purchase() {
    let rig = Rig::new(1).await;
    let mut paid = payments(2);
    rig.record(&paid, 60.0).await;
    let daemon = rig.reconciler_with("", "every = \"1s\"");
    rig.reads(&daemon).await;
    rig.client.batch_execute(STUCK).await.unwrap();
    let lost = payments(3);
    rig.record(&lost, 60.0).await;
    paid.extend(lost);
    eventually("every purchase", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_one_partition_holds_no_run() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("").await;
    rig.reads(&daemon).await;
    let held = "INSERT INTO makegood.workers (id, route_id, host, pid, version, state, reason, partitions, seen_at)
                SELECT gen_random_uuid(), id, 'other', 1, '0', 'held', 'a record is refused', '{0}',
                       now() + interval '25 seconds' FROM makegood.routes";
    rig.client.batch_execute(held).await.unwrap();
    let paid = recorded(&rig, 2).await;
    rig.reconcile("").await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let alive = "SELECT count(*) FROM makegood.workers WHERE state = 'held' AND seen_at > now() - interval '30 seconds'";
    assert_eq!(rig.number(alive).await, 1, "the run waited until the hold was over");
}

/// What was missing in masses because nothing could be read has its purchase by itself, and nobody is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_held_for_what_is_made_meanwhile_asks_nobody_any_more() {
    let rig = Rig::new(1).await;
    let _daemon =
        rig.reconciler("every = \"1s\"\nmax_backfill = { rows = 5, share = \"100%\" }").await;
    let paid = payments(20);
    rig.record(&paid, 60.0).await;
    let held = "SELECT count(*) FROM makegood.runs WHERE state = 'held'";
    eventually("a held run", || async { (rig.number(held).await == 1).then_some(()) }).await;
    rig.pay(&paid).await;
    rig.caught_up().await;
    eventually("the run to be over", || async { (rig.number(held).await == 0).then_some(()) })
        .await;
    let lost = payments(1);
    rig.record(&lost, 60.0).await;
    eventually("the next purchase", || async {
        (ledger::count(&rig.client).await == 21).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &[paid, lost].concat()).await;
}
