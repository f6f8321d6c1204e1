//! A job needs the files that it uses and no others.

use makegood::store::mapping::FILES;
use serde_json::Value;

use super::{found, job_section, recorded};
use crate::commands::{run, stdout};
use crate::quarantine::Mapping;
use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Prisma and others make an enum of the words that they know, and nobody refunds here.
const ENUM: &str = "CREATE TYPE payment_status AS ENUM ('pending', 'succeeded');
    ALTER TABLE payments ALTER status DROP DEFAULT, ALTER status TYPE payment_status USING status::payment_status,
    ALTER status SET DEFAULT 'succeeded'";

#[tokio::test(flavor = "multi_thread")]
async fn what_conflicts_sql_cannot_look_for_keeps_no_payment_from_its_purchase() {
    let rig = Rig::new(1).await;
    rig.client.batch_execute(ENUM).await.unwrap();
    let paid = recorded(&rig, 3).await;
    // The shipped one compares texts; this one wants a word that the type does not have.
    let mapping = Mapping::new(&rig);
    for (name, text) in FILES.into_iter().filter(|(name, _)| *name != "apply.sql") {
        let text = text.replace("status::text = ANY ($7::text[])", "status = 'refunded'");
        std::fs::write(rig.path("mapping").join(name), text).unwrap();
    }
    let _daemon = rig.reconciler_with(&mapping.route(""), "every = \"1s\"");
    eventually("the purchases", || async { (ledger::count(&rig.client).await == 3).then_some(()) })
        .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let sql = "SELECT error FROM makegood.reconcile_runs WHERE state = 'failed' LIMIT 1";
    let row = eventually("a run that says what it could not do", || async {
        rig.client.query_opt(sql, &[]).await.unwrap()
    })
    .await;
    let error: &str = row.get(0);
    assert!(error.contains("conflicts.sql") && error.contains("refunded"), "{error}");
    assert!(!error.contains("quarantine"), "{error}");
    // It is told, and what comes later is made good as well.
    eventually("a verdict that is not ok", || async {
        let status = run(&rig, &["status", "-o", "json"]).await;
        let json: Value = serde_json::from_str(&stdout(&status)).unwrap();
        let sentence = json["routes"][0]["sentence"].as_str().unwrap_or_default().to_owned();
        sentence.contains("conflicts.sql").then_some(())
    })
    .await;
    let later = payments(1);
    rig.record(&later, 60.0).await;
    eventually("the next purchase", || async {
        (ledger::count(&rig.client).await == 4).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &[paid, later].concat()).await;
    // Mended, it ends well.
    rig.client.batch_execute("ALTER TYPE payment_status ADD VALUE 'refunded'").await.unwrap();
    let sql = "SELECT count(*) FROM makegood.reconcile_runs WHERE state = 'done'";
    eventually("a run that is done", || async { (rig.number(sql).await > 0).then_some(()) }).await;
    assert_eq!(rig.findings().await, found(&[("missing made_good", 4)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_without_the_files_that_it_does_not_use() {
    let rig = Rig::new(1).await;
    let mapping = Mapping::new(&rig);
    for file in ["lookup.sql", "strangers.sql", "payments.sql"] {
        std::fs::write(rig.path("mapping").join(file), "SELECT nothing FROM nowhere").unwrap();
    }
    let path = rig.config_file(&rig.url(), &mapping.route(""), &job_section(""));
    let _daemon = Daemon::start(&path, 0);
    let paid = recorded(&rig, 3).await;
    assert_eq!(rig.reconcile("").await.conflicts, 0);
    ledger::assert_exactly(&rig.client, &paid).await;
}
