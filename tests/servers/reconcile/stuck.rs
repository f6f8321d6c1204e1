//! A job that hangs for real is no good news: it is told within its deadline, to whoever asks from outside.

use std::time::{Duration, Instant};

use super::{job_section, recorded};
use crate::support::daemon::status;
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};

/// A job that says what hinders it is late after half a minute, and a statement waits ten seconds for a lock.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `makegood status` says so, and returns all that it says.
async fn says(rig: &Rig, words: &str) -> String {
    let config = rig.config_file(&rig.url(), "", &job_section(""));
    eventually(&format!("status to say {words}"), || async {
        let (said, _) = status(&config).await;
        said.contains(words).then_some(said)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_payments_that_hangs_on_a_lock_is_told_within_a_minute() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    says(&rig, "ok: ").await;
    let blocker = connect(&rig.url()).await;
    blocker.batch_execute("BEGIN; LOCK TABLE payments").await.unwrap();
    let began = Instant::now();
    let said = says(&rig, "unpurchased: payments have not been compared with purchases for").await;
    assert!(began.elapsed() < DEADLINE, "told after {:?}: {said}", began.elapsed());
    assert!(said.contains("lock timeout"), "{said}");
    blocker.batch_execute("ROLLBACK").await.unwrap();
    says(&rig, "ok: ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_row_somebody_keeps_locked_is_told_and_goes_on_afterwards() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("").await;
    daemon.stop();
    let paid = recorded(&rig, 2).await;
    // Its runner died ten minutes ago, and somebody's session has its row.
    let died = "INSERT INTO makegood.runs (job, requested_by, requested_via, state, started_at, moved_at, until)
        VALUES ('purchases', 'somebody', 'sql', 'running', now() - interval '10 minutes', now() - interval '10 minutes', now())";
    rig.client.batch_execute(died).await.unwrap();
    let blocker = connect(&rig.url()).await;
    let lock = "BEGIN; SELECT FROM makegood.runs WHERE state = 'running' FOR UPDATE";
    blocker.batch_execute(lock).await.unwrap();
    let _daemon = rig.reconciler_with("", "grace = \"1h\"\n");
    let alive = "SELECT count(*) FROM makegood.workers WHERE seen_at > now() - interval '5 seconds' AND started_at > now() - interval '1 minute'";
    eventually("the daemon", || async { (rig.number(alive).await > 0).then_some(()) }).await;
    says(&rig, "ok: ").await;
    // As if it had been there for as long.
    let old = "UPDATE makegood.workers SET started_at = now() - interval '10 minutes'";
    rig.client.batch_execute(old).await.unwrap();
    says(&rig, "of the reconciler has not moved for 10 min").await;
    blocker.batch_execute("ROLLBACK").await.unwrap();
    eventually("the purchases", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    says(&rig, "ok: ").await;
    ledger::assert_exactly(&rig.client, &paid).await;
}
