//! The situation makegood comes from: payments succeeded, another consumer skipped their events, somebody
//! made some of the purchases by hand.

use super::{found, recorded};
use crate::support::ledger;
use crate::support::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn skipped_events_and_hand_made_purchases_end_in_one_purchase_each() {
    let rig = Rig::new(3).await;
    let daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 30).await;
    rig.by_hand(&paid[..10]).await;
    let before = by_hand(&rig).await;
    let run = rig.reconcile("").await;
    assert_eq!(
        (run.compared, run.missing, run.made_good, run.conflicts),
        (30, 20, 20, 0),
        "{run:?}"
    );
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(by_hand(&rig).await, before, "a hand-made purchase was touched");
    assert_eq!(rig.findings().await, found(&[("missing made_good", 20)]));
    // The events turn up after all: nothing is made twice.
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let again = rig.reconcile("").await;
    assert_eq!((again.compared, again.missing, again.gone), (30, 0, 0), "{again:?}");
    drop(daemon);
}

async fn by_hand(rig: &Rig) -> Vec<String> {
    let sql = "SELECT p::text FROM student_course_purchases p WHERE event_id IS NULL ORDER BY 1";
    rig.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
