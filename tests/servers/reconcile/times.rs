//! Times that no clock shows: each payment gets its purchase all the same, and holds up no other.

use super::clock::every_time;
use super::{found, recorded};
use crate::commands::{run, stderr, stdout};
use crate::support::events::{Payment, payments, raw};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_that_is_dated_in_the_future_is_told() {
    let rig = Rig::new(1).await;
    let paid = recorded(&rig, 4).await;
    rig.by_hand(&paid).await;
    for (one, ahead) in paid.iter().zip(["2 hours", "9 years", "50 minutes"]) {
        let sql = format!(
            "UPDATE student_course_purchases SET purchased_at = now() + interval '{ahead}' WHERE payment_id = '{}'",
            one.id
        );
        rig.client.batch_execute(&sql).await.unwrap();
    }
    let _daemon = rig.reconciler("").await;
    rig.reconcile("").await;
    assert_eq!(rig.findings().await, found(&[("future open", 2)]));
    rig.client
        .batch_execute("UPDATE student_course_purchases SET purchased_at = now()")
        .await
        .unwrap();
    rig.reconcile("").await;
    assert_eq!(rig.findings().await, found(&[("future healed", 2)]));
}

/// Nobody writes such times into makegood's own tables; a restore, a script or a clock gone mad may.
#[tokio::test(flavor = "multi_thread")]
async fn no_time_of_makegoods_own_makes_a_command_fail_or_a_run_wait() {
    let rig = Rig::new(1).await;
    let mut paid = recorded(&rig, 2).await;
    let daemon = rig.reconciler("").await;
    rig.send(&raw(None, Some(b"not json"))).await;
    rig.caught_up().await;
    // An open finding, that is told with its age.
    let refunded = "UPDATE payments SET status = 'refunded' WHERE id = $1";
    rig.client.execute(refunded, &[&paid[0].id]).await.unwrap();
    rig.reconcile("").await;
    daemon.stop();
    let id = paid[0].id.to_string();
    let commands: [&[&str]; 8] = [
        &["status"],
        &["status", "-o", "json"],
        &["explain", &id],
        &["reconcile", "list"],
        &["reconcile", "show"],
        &["quarantine", "list"],
        &["inbox", "list", "--since", "1d"],
        &["offsets", "show"],
    ];
    for time in ["'infinity'", "'-infinity'", "'294276-01-01Z'", "'4714-11-24 00:00Z BC'"] {
        every_time(&rig, time).await;
        for command in commands {
            let told = run(&rig, command).await;
            assert!(told.status.success(), "{command:?} at {time}: {}", stderr(&told));
        }
    }
    for time in ["'-infinity'", "'infinity'"] {
        every_time(&rig, time).await;
        let more = payments(1);
        rig.record(&more, 60.0).await;
        paid.extend(more);
        let daemon = rig.reconciler_with("", "");
        rig.reconcile("").await;
        ledger::assert_exactly(&rig.client, &paid).await;
        daemon.stop();
    }
}
