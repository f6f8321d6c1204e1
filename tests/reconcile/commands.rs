//! What an operator and support use.

use serde_json::Value;

use super::recorded;
use crate::commands::{run, stderr, stdout};
use crate::support::rig::Rig;

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
    assert!(stderr(&unknown).contains("which job"), "{}", stderr(&unknown));
    drop(daemon);
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
