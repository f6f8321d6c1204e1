//! What people decided, and what became of payments before, is about the payments: it outlives a job's name.

use super::{found, job_section, recorded};
use crate::support::daemon::Daemon;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// A job of another name for the same route, after the section of the first one.
fn another(section: &str, name: &str) -> String {
    let (job, _) = section.split_once("[log]").unwrap();
    job.replacen("\"purchases\"", &format!("\"{name}\""), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_hold_for_a_job_that_was_renamed_and_for_a_second_one_of_the_same_inbox() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("").await;
    let mut paid = recorded(&rig, 6).await;
    let broken = "UPDATE payments SET currency = 'rupees' WHERE id = ANY ($1)";
    let ids: Vec<_> = paid[..2].iter().map(|p| p.id).collect();
    rig.client.execute(broken, &[&ids]).await.unwrap();
    let changed = "UPDATE student_course_purchases SET amount = 0.01 WHERE payment_id = $1";
    let run = rig.reconcile("").await;
    assert_eq!((run.made_good, run.quarantined), (4, 2), "{run:?}");
    rig.client.execute(changed, &[&paid[2].id]).await.unwrap();
    assert_eq!(rig.reconcile("").await.conflicts, 1);
    // One case is discarded, the finding of the other dismissed; a contradiction is as it should be.
    let decide = format!(
        "SELECT makegood.discard(id, 'a gift') FROM makegood.quarantine_open WHERE business_key = '{}';
         SELECT makegood.dismiss(finding, 'refunded by hand') FROM makegood.reconcile_findings
         WHERE payment = '{}' OR kind = 'amount'",
        paid[0].id, paid[1].id
    );
    rig.client.batch_execute(&decide).await.unwrap();
    daemon.stop();
    // What was wrong with them is mended. One that was made good is removed, and its event is not kept so long.
    let mended = "UPDATE payments SET currency = 'INR' WHERE id = ANY ($1)";
    rig.client.execute(mended, &[&ids]).await.unwrap();
    let removed = format!(
        "DELETE FROM student_course_purchases WHERE payment_id = '{}'; DELETE FROM makegood.inbox",
        paid[3].id
    );
    rig.client.batch_execute(&removed).await.unwrap();

    let section = job_section("");
    let jobs = another(&section, "renamed") + &section.replacen("\"purchases\"", "\"second\"", 1);
    let _daemon = Daemon::start(&rig.config_file(&rig.url(), "", &jobs), 1);
    let swept = "SELECT count(DISTINCT job) FROM makegood.runs
                 WHERE job <> 'purchases' AND state = 'done' AND since IS NULL";
    eventually("both jobs to have swept", || async {
        (rig.number(swept).await == 2).then_some(())
    })
    .await;
    let open = "SELECT count(*) FROM makegood.reconcile_findings WHERE resolved_at IS NULL AND kind <> 'gone'";
    assert_eq!(rig.number(open).await, 0, "{:?}", rig.findings().await);
    let all = [
        ("amount dismissed", 1),
        ("gone open", 2),
        ("missing dismissed", 2),
        ("missing made_good", 4),
    ];
    assert_eq!(rig.findings().await, found(&all));
    paid[2].amount = "0.01".to_owned();
    let kept = [paid[2].clone(), paid[4].clone(), paid[5].clone()];
    ledger::assert_exactly(&rig.client, &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_was_tried_again_in_vain_is_still_the_payments_when_it_is_discarded() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 3).await;
    let refuse = format!(
        "ALTER TABLE student_course_purchases ADD CONSTRAINT c CHECK (course_id <> '{}')",
        paid[1].course
    );
    rig.client.batch_execute(&refuse).await.unwrap();
    assert_eq!(rig.reconcile("").await.quarantined, 1);
    // It may have been the last that was tried; another payment proves that it is its own fault.
    let later = recorded(&rig, 1).await;
    assert_eq!(rig.reconcile("").await.made_good, 1);
    let open = "SELECT count(*) FROM makegood.quarantine_open";
    eventually("a verdict on it", || async { (rig.number(open).await == 1).then_some(()) }).await;
    // Tried alone, nothing tells whether it is the payment or the world: it is the same case.
    let run = rig.reconcile("").await;
    assert_eq!((run.missing, run.made_good, run.quarantined), (1, 0, 1), "{run:?}");
    let discard = "SELECT count(makegood.discard(id, 'a gift')) FROM makegood.quarantine_open";
    assert_eq!(rig.number(discard).await, 1);
    assert_eq!(rig.findings().await, found(&[("missing dismissed", 1), ("missing made_good", 3)]));
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases DROP CONSTRAINT c")
        .await
        .unwrap();
    assert_eq!(rig.reconcile("").await.missing, 0, "a payment that was given up came back");
    let made = [paid[0].clone(), paid[2].clone(), later[0].clone()];
    ledger::assert_exactly(&rig.client, &made).await;
}
