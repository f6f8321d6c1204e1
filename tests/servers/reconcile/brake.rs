//! Too much missing at once means that something bigger is wrong: a person decides.

use super::{Run, found, recorded};
use crate::support::ledger;
use crate::support::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn more_missing_than_allowed_waits_for_an_approval_and_makes_nothing_before() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("window = 7\nmax_backfill = { rows = 20, share = \"100%\" }").await;
    let paid = recorded(&rig, 50).await;
    let run = rig.ask("").await;
    let held = rig.run_is(run, &["held", "done"]).await;
    assert_eq!(held.state, "held", "{held:?}");
    let why = held.held.unwrap();
    assert!(why.contains("max_backfill.rows") && why.contains("approve"), "{why}");
    assert!((21..=28).contains(&held.missing), "it went on looking: {}", held.missing);
    assert_eq!(ledger::count(&rig.client).await, 0, "made good before the approval");
    // Whoever looks sees what is missing already.
    assert_eq!(rig.number("SELECT count(*) FROM makegood.paid_not_purchased").await, held.missing);
    // Not even a new daemon goes on by itself.
    drop(daemon);
    let _daemon = rig.reconciler_with("", "max_backfill = { rows = 20, share = \"100%\" }");
    let other = rig.reconcile("dry_run => true").await;
    assert!(other.held.unwrap().contains("it would be held"));
    assert_eq!(ledger::count(&rig.client).await, 0);
    rig.client.execute("SELECT makegood.approve($1)", &[&run]).await.unwrap();
    let done = rig.run_is(run, &["done", "failed"]).await;
    assert_eq!((done.compared, done.missing, done.made_good), (50, 50, 50), "{done:?}");
    ledger::assert_exactly(&rig.client, &paid).await;
    let again = rig.client.execute("SELECT makegood.approve($1)", &[&run]).await.unwrap_err();
    assert!(again.to_string().contains("db error"), "approved twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_share_missing_waits_as_well_and_a_small_one_does_not() {
    let rig = Rig::new(1).await;
    let share = "max_backfill = { rows = 1000, share = \"50%\", share_from = 40 }";
    let _daemon = rig.reconciler(share).await;
    let mut paid = recorded(&rig, 39).await;
    assert_eq!(rig.reconcile("").await.made_good, 39);
    ledger::assert_exactly(&rig.client, &paid).await;
    paid.extend(recorded(&rig, 60).await);
    let run = rig.ask("").await;
    let held = rig.run_is(run, &["held", "done"]).await;
    assert!(held.held.unwrap_or_default().contains("max_backfill.share"), "60 of 99 are missing");
    assert_eq!(ledger::count(&rig.client).await, 39);
    rig.by_hand(&paid[39..60]).await;
    // Of those found, some have their purchase by now; a run of its own finds 39 of 99.
    assert_eq!(rig.reconcile("").await.made_good, 39);
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.client.execute("SELECT makegood.approve($1)", &[&run]).await.unwrap();
    assert_eq!(rig.run_is(run, &["done", "failed"]).await.made_good, 0);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.findings().await.len(), 2, "{:?}", rig.findings().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_no_row_and_tells_what_the_real_run_does() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("window = 11\nevery = \"30d\"").await;
    let paid = recorded(&rig, 60).await;
    rig.by_hand(&paid[..20]).await;
    // One contradicts its payment, one cannot be applied, one was there and is gone.
    rig.client
        .batch_execute(&format!(
            "UPDATE student_course_purchases SET amount = 1 WHERE payment_id = '{}';
             UPDATE payments SET currency = 'xx' WHERE id = '{}'",
            paid[3].id, paid[33].id
        ))
        .await
        .unwrap();
    rig.pay(&paid[50..51]).await;
    rig.caught_up().await;
    rig.client
        .batch_execute(&format!(
            "DELETE FROM student_course_purchases WHERE payment_id = '{}'",
            paid[50].id
        ))
        .await
        .unwrap();
    let before = everything(&rig).await;
    let dry = rig.reconcile("dry_run => true").await;
    assert_eq!(everything(&rig).await, before, "a dry run changed a row");
    let sql =
        "SELECT jsonb_array_length(sample)::bigint FROM makegood.reconcile_runs WHERE dry_run";
    assert_eq!(rig.number(sql).await, 41);
    let real = rig.reconcile("").await;
    let told = |r: &Run| (r.compared, r.missing, r.made_good, r.gone, r.quarantined, r.conflicts);
    assert_eq!(told(&dry), told(&real));
    assert_eq!(told(&real), (60, 39, 38, 1, 1, 1));
    assert_eq!(
        rig.findings().await,
        found(&[
            ("amount open", 1),
            ("gone open", 1),
            ("missing made_good", 38),
            ("missing open", 1)
        ])
    );
}

/// A digest of all tables but those that say who runs what.
async fn everything(rig: &Rig) -> Vec<String> {
    let mut digests = Vec::new();
    for table in [
        "payments",
        "student_course_purchases",
        "makegood.inbox",
        "makegood.findings",
        "makegood.quarantine",
        "makegood.positions",
        "makegood.gaps",
    ] {
        let sql = format!(
            "SELECT '{table} ' || coalesce(md5(string_agg(concat(t::text, xmin, ctid), ';' ORDER BY ctid)), '') FROM {table} t"
        );
        digests.push(rig.client.query_one(&sql, &[]).await.unwrap().get(0));
    }
    digests
}
