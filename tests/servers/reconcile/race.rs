//! The reconciler beside the consumer, on the same payments at the same time.

use super::recorded;
use crate::support::events::Payment;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const PAYMENTS: usize = 50_000;

#[tokio::test(flavor = "multi_thread")]
async fn consumer_and_reconciler_on_the_same_payments_make_each_purchase_once() {
    let rig = Rig::new(4).await;
    let _daemon = rig.reconciler("max_backfill = { rows = 1000000, share = \"100%\" }").await;
    let paid = recorded(&rig, PAYMENTS).await;
    let run = rig.ask("").await;
    // The consumer begins when the run has made some good, at the other end, so that they meet.
    let sql =
        "SELECT count(*) FROM makegood.reconcile_runs WHERE made_good > 0 AND state = 'running'";
    eventually("the run to make good", || async { (rig.number(sql).await == 1).then_some(()) })
        .await;
    let backwards: Vec<Payment> = paid.iter().rev().cloned().collect();
    rig.pay(&backwards).await;
    rig.caught_up().await;
    let run = rig.run_is(run, &["done", "failed", "held"]).await;
    assert_eq!((run.state.as_str(), &run.error), ("done", &None), "{run:?}");
    ledger::assert_exactly(&rig.client, &paid).await;
    let raced = 0 < run.made_good && run.made_good < PAYMENTS as i64;
    assert!(raced, "no race: {run:?}");
    let sql = "SELECT sum(applied + already)::bigint FROM makegood.consumer_positions";
    assert_eq!(rig.number(sql).await, PAYMENTS as i64, "an event has another outcome");
    assert_eq!((run.gone, run.quarantined, run.conflicts), (0, 0, 0), "{run:?}");
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(rig.number(sql).await, 0, "there was a deadlock");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
}
