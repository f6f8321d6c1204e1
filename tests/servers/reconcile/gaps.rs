//! What was never read is covered: a sweep is asked for by itself, makes good what the lost records said,
//! and closes the gap.

use serde_json::Value;

use crate::commands::{run, stderr, stdout};
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::ledger;
use crate::support::rig::Rig;

pub const OPEN: &str = "SELECT count(*) FROM makegood.gaps_open";

/// The first line of `status`, and its exit code.
async fn status(rig: &Rig) -> (Option<i32>, String) {
    let output = run(rig, &["status", "--exit-code"]).await;
    (output.status.code(), stdout(&output).lines().next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_then_covered_by_a_sweep_that_nobody_asked_for() {
    let rig = Rig::new(1).await;
    let read = payments(10);
    rig.record(&read, 4.0 * 3600.0).await;
    rig.pay(&read).await;
    let daemon = rig.reconciler("").await;
    rig.caught_up().await;
    daemon.stop();
    // Paid long before what the schedule would look at again.
    let (lost, later) = (payments(7), payments(5));
    rig.record(&lost, 3.0 * 3600.0).await;
    rig.pay(&lost).await;
    rig.pay(&later).await;
    rig.delete_records(0, 17).await;

    // The default job gives it two minutes; status says so until then.
    let daemon = rig.daemon();
    rig.caught_up().await;
    let line = eventually("status to tell of the gap", || async {
        let (code, line) = status(&rig).await;
        (code == Some(3) && line.contains("gap: ")).then_some(line)
    })
    .await;
    assert!(
        line.contains("gap: 7 records were never read (partition 0 from 10 to 16, expired)"),
        "{line}"
    );
    let json: Value =
        serde_json::from_str(&stdout(&run(&rig, &["status", "-o", "json"]).await)).unwrap();
    assert_eq!(json["routes"][0]["gaps"][0]["from"], 10);
    assert_eq!(rig.number("SELECT gaps_open FROM makegood.status").await, 1);
    daemon.stop();

    // Neither the cursor nor the time of the next sweep would have led there.
    let daemon = rig.reconciler_with("", "");
    eventually("the gap to be covered", || async { (rig.number(OPEN).await == 0).then_some(()) })
        .await;
    ledger::assert_exactly(&rig.client, &[read, lost, later].concat()).await;
    let sql = "SELECT count(*) FROM makegood.gaps g JOIN makegood.runs r ON r.id = g.covered_run
               WHERE g.covered_how = 'sweep' AND r.since IS NULL AND r.until >= g.found_at
                     AND r.requested_via = 'schedule' AND r.reason LIKE '%never read%' AND r.made_good = 7";
    assert_eq!(rig.number(sql).await, 1, "{}", daemon.log());
    let proof = "SELECT count(*) FROM makegood.gaps_covered WHERE records = 7 AND how = 'sweep' AND compared_until >= found_at";
    assert_eq!(rig.number(proof).await, 1);
    // Nobody recorded the payments of the others.
    eventually("status to tell of no gap any more", || async {
        status(&rig).await.1.contains("mismatch: 5 purchases").then_some(())
    })
    .await;
    let list = run(&rig, &["reconcile", "list"]).await;
    assert!(stdout(&list).contains("never read"), "{} {}", stdout(&list), stderr(&list));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_whole_sweep_that_changes_things_covers_a_gap_and_a_person_may_close_one() {
    let rig = Rig::new(1).await;
    let paid = payments(6);
    rig.record(&paid, 3.0 * 3600.0).await;
    rig.pay(&paid).await;
    // Far more is missing than may be made good unasked.
    let daemon =
        rig.reconciler_with("start = \"latest\"\nallow_skip = true", "max_backfill = { rows = 2 }");
    rig.reads(&daemon).await;
    eventually("the gap", || async { (rig.number(OPEN).await == 1).then_some(()) }).await;
    let held = "SELECT max(run) FROM makegood.reconcile_runs WHERE state = 'held'";
    let held = eventually("the sweep to be held", || async {
        rig.client.query_one(held, &[]).await.unwrap().get::<_, Option<i64>>(0)
    })
    .await;
    rig.reconcile("dry_run => true").await;
    rig.reconcile("since => now() - interval '1 hour'").await;
    assert_eq!(rig.number(OPEN).await, 1);
    rig.client.execute("SELECT makegood.approve($1)", &[&held]).await.unwrap();
    rig.run_is(held, &["done"]).await;
    // The held run may have begun before the gap was found; then it asks for another one.
    eventually("the gap to be covered", || async { (rig.number(OPEN).await == 0).then_some(()) })
        .await;
    ledger::assert_exactly(&rig.client, &paid).await;

    rig.client
        .batch_execute("UPDATE makegood.gaps SET covered_at = NULL, covered_how = NULL, found_at = now() + interval '1 day'")
        .await
        .unwrap();
    let dismiss = "SELECT makegood.dismiss_gap(gap, 'refunded') FROM makegood.gaps_open";
    rig.client.execute(dismiss, &[]).await.unwrap();
    assert_eq!(rig.number(OPEN).await, 0);
    let twice = rig.client.execute("SELECT makegood.dismiss_gap(1, 'again')", &[]).await;
    assert!(twice.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_latest_whose_gap_nobody_covers_is_said_with_the_way_out() {
    let rig = Rig::new(1).await;
    let lost = payments(3);
    rig.record(&lost, 3600.0).await;
    rig.pay(&lost).await;
    // Another route has a job; this one's is turned off.
    let more = format!(
        "[[inbox]]\nname = \"other\"\ntopic = \"{}\"\ngroup = \"{}-other\"\nevent_type = \"OTHER\"\n\
         verify_payment = false\n[[reconcile]]\nname = \"others\"\ninbox = \"other\"\n",
        rig.topic, rig.group
    );
    let config = rig.config_file(
        &rig.url(),
        "start = \"latest\"\nallow_skip = true\nreconcile = false",
        &more,
    );
    let mut daemon = Daemon::start(&config, 0);
    let said = "SELECT count(*) FROM makegood.status WHERE route = 'purchases' AND verdict = 'gap'
                AND sentence LIKE '%3 records were never read (partition 0 from 0 to 2, first_start); nobody covers them: no job does, for `reconcile` turns purchases''s off%'";
    eventually("the gap to be said", || async { (rig.number(said).await == 1).then_some(()) })
        .await;
    let never =
        "SELECT count(*) FROM makegood.status WHERE route = 'purchases' AND counted_at IS NULL";
    assert_eq!(rig.number(never).await, 1);
    // A daemon that died is not quoted as if it were there.
    daemon.kill();
    rig.client
        .batch_execute(
            "UPDATE makegood.workers SET seen_at = now() - interval '1 minute', state = 'held', reason = 'its last word'",
        )
        .await
        .unwrap();
    let output = command().args(["status", "-o", "json"]).arg("--config").arg(&config).output();
    let text = stdout(&output.unwrap());
    let status: Value = serde_json::from_str(&text).unwrap();
    let worker = &status["routes"][0]["workers"][0];
    assert_eq!((&worker["state"], &worker["reason"]), (&Value::from("gone"), &Value::Null));
    assert_eq!(status["routes"][0]["paid_not_purchased"]["counted_at"], Value::Null);
    assert_eq!(status["routes"][0]["verdict"], "down");
    assert!(!text.contains("its last word"), "{text}");
}
