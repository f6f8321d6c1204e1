//! Times that no clock shows: each payment gets its purchase all the same, and holds up no other.

use super::{found, recorded};
use crate::commands::{run, stderr, stdout};
use crate::support::events::Payment;
use crate::support::ledger;
use crate::support::rig::Rig;

/// As PostgreSQL reads them.
const ODD: [&str; 9] = [
    "'infinity'",
    "'-infinity'",
    "'9999-12-31 12:00Z'",
    "'294276-12-31 23:59:59.999999Z'",
    "'4714-11-24 00:00Z BC'",
    "'0001-01-01Z'",
    "now() + interval '5.5 hours'",
    "now() + interval '2 days'",
    "NULL",
];

/// Gives each of some payments one of those times.
async fn at_odd_times(rig: &Rig, paid: &[Payment]) {
    rig.client.batch_execute("ALTER TABLE payments ALTER updated_at DROP NOT NULL").await.unwrap();
    for (one, at) in paid.iter().zip(ODD) {
        let sql = format!("UPDATE payments SET updated_at = {at} WHERE id = '{}'", one.id);
        rig.client.batch_execute(&sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_any_time_gets_its_purchase_and_is_explained() {
    let rig = Rig::new(1).await;
    let paid = recorded(&rig, ODD.len() + 2).await;
    at_odd_times(&rig, &paid).await;
    let _daemon = rig.reconciler("max_backfill = { rows = 100, share = \"100%\" }").await;
    // How old those are that no window comes to, is told by when they were first seen.
    rig.reconcile("").await;
    ledger::assert_exactly(&rig.client, &paid).await;
    // Once they are there, they are looked at again and nothing is wrong with them.
    let again = rig.reconcile("").await;
    assert_eq!((again.missing, again.gone, again.conflicts), (0, 0, 0), "{again:?}");
    assert_eq!(rig.findings().await, found(&[("missing made_good", paid.len() as i64)]));
    for one in &paid {
        let told = run(&rig, &["explain", &one.id.to_string()]).await;
        assert!(told.status.success(), "{}", stderr(&told));
        assert!(stdout(&told).contains("The payment has its purchase"), "{}", stdout(&told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_of_any_time_is_compared_with_its_payment() {
    let rig = Rig::new(1).await;
    let paid = recorded(&rig, ODD.len()).await;
    rig.by_hand(&paid).await;
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases ALTER purchased_at DROP NOT NULL")
        .await
        .unwrap();
    for (one, at) in paid.iter().zip(ODD) {
        let sql = format!(
            "UPDATE student_course_purchases SET purchased_at = {at}, amount = amount + 1 WHERE payment_id = '{}'",
            one.id
        );
        rig.client.batch_execute(&sql).await.unwrap();
    }
    let _daemon = rig.reconciler("").await;
    let run = rig.reconcile("").await;
    assert_eq!(run.missing, 0, "{run:?}");
    assert_eq!(rig.findings().await, found(&[("amount open", paid.len() as i64)]));
}
