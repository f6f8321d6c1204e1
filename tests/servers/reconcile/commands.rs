//! What an operator and support use.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::recorded;
use crate::commands::{run, stderr, stdout};
use crate::support::corpus::with_field;
use crate::support::daemon::command;
use crate::support::events::{payments, raw};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_is_asked_for_waited_for_and_read_back() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("max_backfill = { rows = 10, share = \"100%\" }").await;
    recorded(&rig, 5).await;
    let dry = run(&rig, &["reconcile", "run", "--dry-run", "--wait", "-o", "json"]).await;
    assert!(dry.status.success(), "{}", stderr(&dry));
    let json: Value = serde_json::from_str(&stdout(&dry)).unwrap();
    assert_eq!((&json["run"]["made_good"], &json["run"]["dry_run"]), (&5.into(), &true.into()));
    assert_eq!(json["run"]["requested_via"], "cli");
    let real = run(&rig, &["reconcile", "run", "--since", "4h", "--wait"]).await;
    assert!(real.status.success(), "{}", stderr(&real));
    let shown = stdout(&real);
    assert_eq!(shown.matches("made_good").count(), 5, "{shown}");
    assert!(stderr(&real).contains("5 compared, 5 missing, 5 made good"), "{}", stderr(&real));
    recorded(&rig, 20).await;
    let held = run(&rig, &["reconcile", "run", "--wait"]).await;
    assert_eq!(held.status.code(), Some(5), "{}", stderr(&held));
    let listed = run(&rig, &["reconcile", "list", "-o", "jsonl"]).await;
    let newest: Value = serde_json::from_str(stdout(&listed).lines().next().unwrap()).unwrap();
    assert_eq!(newest["state"], "held");
    let number = newest["run"].to_string();
    let approved = run(&rig, &["reconcile", "approve", &number]).await;
    assert!(approved.status.success(), "{}", stderr(&approved));
    rig.run_is(newest["run"].as_i64().unwrap(), &["done"]).await;
    let again = run(&rig, &["reconcile", "approve", &number]).await;
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    assert!(stderr(&again).contains("is not held"), "{}", stderr(&again));
    let unknown = run(&rig, &["reconcile", "run", "--job", "nothing"]).await;
    let said = stderr(&unknown);
    assert!(said.contains("there is no job nothing; the jobs are: purchases"), "{said}");
    assert!(said.contains("--job NAME") && !said.contains("quarantine"), "{said}");
    rig.client.batch_execute("INSERT INTO makegood.jobs (name, route_id) SELECT 'second', route_id FROM makegood.jobs").await.unwrap();
    let which = run(&rig, &["reconcile", "run"]).await;
    assert!(
        stderr(&which).contains("several jobs, name one of them: purchases, second"),
        "{}",
        stderr(&which)
    );
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_wait_and_the_run_goes_on() {
    let rig = Rig::new(1).await;
    // So many windows that the signal finds the run in the midst of them.
    let slow = "window = 5\nmax_backfill = { share = \"100%\" }";
    let _daemon = rig.reconciler(slow).await;
    let paid = recorded(&rig, 3000).await;
    let child = command()
        .args(["reconcile", "run", "--since", "1d", "--wait", "--config"])
        .arg(rig.config_file(&rig.url(), "", ""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sql = "SELECT coalesce(max(run), 0) FROM makegood.reconcile_runs WHERE since IS NOT NULL AND compared > 100";
    let run = eventually("the run to be under way", || async {
        Some(rig.number(sql).await).filter(|run| *run > 0)
    })
    .await;
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    let waited = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = waited.await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("run {run} goes on")), "{}", stderr(&output));
    let follows = format!("`makegood reconcile show {run}` follows it");
    assert!(stderr(&output).contains(&follows), "{}", stderr(&output));
    let done = rig.run_is(run, &["done", "failed", "held"]).await;
    assert_eq!(done.state, "done", "{done:?}");
    assert_eq!((done.compared, done.made_good), (3000, 3000), "{done:?}");
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_the_life_of_a_payment_from_any_of_its_ids() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 4).await;
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    rig.client
        .batch_execute(&format!("UPDATE payments SET currency = 'x' WHERE id = '{}'", paid[2].id))
        .await
        .unwrap();
    rig.reconcile("until => now() - interval '1 hour'").await;
    let sql = "SELECT id::text FROM student_course_purchases WHERE payment_id = $1";
    let purchase: String = rig.client.query_one(sql, &[&paid[0].id]).await.unwrap().get(0);
    for id in [paid[0].id.to_string(), paid[0].event.to_string(), purchase] {
        let told = stdout(&run(&rig, &["explain", &id]).await);
        assert!(told.contains("The payment has its purchase."), "{id}: {told}");
        for word in ["payment", "purchase", "inbox", "applied", "kafka"] {
            assert!(told.contains(word), "{id}: no {word} in {told}");
        }
    }
    let made_good = stdout(&run(&rig, &["explain", &paid[1].id.to_string()]).await);
    for word in ["The payment has its purchase.", "reconcile", "finding", "made_good"] {
        assert!(made_good.contains(word), "no {word} in {made_good}");
    }
    // The payment changed after its time: it is behind the run, and the look finds it.
    rig.reconcile("").await;
    let stopped = stdout(&run(&rig, &["explain", &paid[2].id.to_string()]).await);
    assert!(stopped.contains("in quarantine") && stopped.contains("quarantine show"), "{stopped}");
    let nothing = run(&rig, &["explain", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]).await;
    assert_eq!(nothing.status.code(), Some(1), "{}", stderr(&nothing));
    let status = stdout(&run(&rig, &["status"]).await);
    assert!(status.contains("unpurchased: 1 payment is paid and not purchased"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_who_decided_that_a_payment_stays_without_a_purchase_when_and_why() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 4).await;
    let broken = "UPDATE payments SET currency = 'x' WHERE id = ANY ($1)";
    let ids: Vec<_> = paid[..2].iter().map(|p| p.id).collect();
    rig.client.execute(broken, &[&ids]).await.unwrap();
    assert_eq!(rig.reconcile("").await.quarantined, 2);
    let removed = "DELETE FROM student_course_purchases WHERE payment_id = $1";
    rig.client.execute(removed, &[&paid[2].id]).await.unwrap();
    assert_eq!(rig.reconcile("").await.gone, 1);
    let decide = "SELECT makegood.dismiss(finding, 'a mistake') FROM makegood.reconcile_findings WHERE kind = 'gone';
                  SELECT makegood.discard(id, 'a gift') FROM makegood.quarantine_open";
    rig.client.batch_execute(decide).await.unwrap();
    let told = async |id: &uuid::Uuid| {
        let told = stdout(&run(&rig, &["explain", &id.to_string()]).await);
        told.lines().next().unwrap().to_owned()
    };
    let sql = "SELECT format('by %s at %s UTC (%s)', session_user,
                             to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), why)
               FROM (SELECT decided_at AS at, reason AS why FROM makegood.quarantine_decisions
                     UNION ALL
                     SELECT resolved_at, note FROM makegood.reconcile_findings WHERE kind = 'gone') decided
               WHERE why = $1 LIMIT 1";
    for (payment, why) in [(&paid[0], "a gift"), (&paid[2], "a mistake")] {
        let decided: String = rig.client.query_one(sql, &[&why]).await.unwrap().get(0);
        let told = told(&payment.id).await;
        assert!(told.contains("There is no purchase") && told.contains(&decided), "{told}");
    }
    // A record that was given up is one thing, its payment another: that one the reconciler makes good.
    let rejected = payments(1);
    let record = with_field(&rejected[0].json(), "currency", "null");
    rig.send(&raw(None, Some(record.as_bytes()))).await;
    rig.caught_up().await;
    rig.client
        .batch_execute("SELECT makegood.discard(id, 'odd') FROM makegood.quarantine_open")
        .await
        .unwrap();
    let given_up = told(&rejected[0].id).await;
    assert!(given_up.contains("(odd)") && given_up.contains("quarantine replay"), "{given_up}");
    rig.record(&rejected, 3.0 * 3600.0).await;
    let to_come = told(&rejected[0].id).await;
    assert!(to_come.contains("the reconciler makes it good"), "{to_come}");
    assert_eq!(rig.reconcile("").await.made_good, 1);
    let made = told(&rejected[0].id).await;
    assert!(made.contains("The payment has its purchase."), "{made}");
}
