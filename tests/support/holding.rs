//! What makegood says while it holds, and the proof that it moved nothing meanwhile.

use tokio_postgres::error::SqlState;

use super::daemon::Daemon;
use super::events::Payment;
use super::rig::Rig;
use super::{eventually, ledger};

/// What a held route says of itself.
#[derive(Debug)]
pub struct Held {
    pub reason: String,
    pub advice: String,
}

/// Records that are neither applied nor dealt with: in quarantine, or suspects.
pub const PUT_AWAY: &str = "SELECT count(*) FROM makegood.quarantine WHERE resolved_at IS NULL";

/// Waits until the database says that the route is held, or that refused records wait for a verdict, and why.
pub async fn held(rig: &Rig) -> Held {
    let sql = "SELECT reason, advice FROM (
                   SELECT 0 AS place, reason, advice FROM makegood.workers WHERE state = 'held'
                   UNION ALL
                   SELECT id, detail, coalesce(advice, '') FROM makegood.suspects
                   ORDER BY place LIMIT 1
               ) said";
    eventually("the route to say that it is held", || async {
        let row = rig.client.query_opt(sql, &[]).await.unwrap()?;
        Some(Held { reason: row.get(0), advice: row.get(1) })
    })
    .await
}

/// Waits until the route says that it is held for a reason with these words.
pub async fn held_for(rig: &Rig, words: &str) -> Held {
    let sql = "SELECT reason, advice FROM (
                   SELECT 0 AS place, reason, advice FROM makegood.workers
                   WHERE state = 'held' AND strpos(reason, $1) > 0
                   UNION ALL
                   SELECT id, detail, coalesce(advice, '') FROM makegood.suspects WHERE strpos(detail, $1) > 0
                   ORDER BY place LIMIT 1
               ) said";
    eventually(&format!("the route to be held, saying {words:?}"), || async {
        let row = rig.client.query_opt(sql, &[&words]).await.unwrap()?;
        Some(Held { reason: row.get(0), advice: row.get(1) })
    })
    .await
}

/// Waits until the group's member has pinned every partition at its beginning, and fails if anything moved.
pub async fn pinned(rig: &Rig) {
    let partitions = rig.log_ends().len();
    eventually("an offset of the group for every partition", || async {
        (rig.committed().len() == partitions).then_some(())
    })
    .await;
    assert!(rig.committed().values().all(|offset| *offset == 0), "Kafka went ahead");
    let positions = rig.positions().await;
    assert_eq!(positions.len(), partitions);
    assert!(positions.values().all(|position| *position == 0), "a record was skipped");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.inbox").await, 0);
}

/// Waits until no worker is held any more, and no refused record waits for a verdict.
pub async fn running(rig: &Rig) {
    let sql = "SELECT (SELECT count(*) FROM makegood.workers WHERE state <> 'running')
                      + (SELECT count(*) FROM makegood.suspects)";
    eventually("the route to run again", || async { (rig.number(sql).await == 0).then_some(()) })
        .await;
}

/// Waits until the route has made good by itself, which the same daemon must have done: one purchase a payment.
pub async fn made_good(rig: &Rig, daemon: &mut Daemon, paid: &[Payment]) {
    rig.caught_up().await;
    running(rig).await;
    ledger::assert_exactly(&rig.client, paid).await;
    assert_eq!(daemon.ended(), None, "it was the same daemon all the time");
}

/// A fault of the world: how it comes, how it goes, and what makegood must say of it.
pub struct Fault {
    pub breaks: &'static str,
    pub mends: &'static str,
    pub sqlstate: &'static str,
    /// A piece of the advice.
    pub advises: &'static str,
}

/// Changes the schema as one transaction, again if it met the daemon's in a deadlock.
async fn alter(rig: &Rig, sql: &str) {
    eventually("the schema to be changed", || async {
        match rig.client.batch_execute(sql).await {
            Ok(()) => Some(()),
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::T_R_DEADLOCK_DETECTED), "{error:?}");
                None
            }
        }
    })
    .await;
}

/// Breaks the world, sends `behind`, and checks that makegood says so, makes nothing and quarantines nothing for good;
/// mends it, and checks that the same daemon makes good by itself. `paid` gets `behind`.
pub async fn holds_until_mended(
    rig: &Rig,
    daemon: &mut Daemon,
    fault: &Fault,
    paid: &mut Vec<Payment>,
    behind: Vec<Payment>,
) {
    let quarantined = rig.number(PUT_AWAY).await;
    alter(rig, fault.breaks).await;
    rig.pay(&behind).await;
    let held = held(rig).await;
    assert!(held.reason.contains(fault.sqlstate), "{held:?}, not {}", fault.sqlstate);
    assert!(held.advice.contains(fault.advises), "{held:?} does not say {}", fault.advises);
    let judged = "SELECT count(*) FROM makegood.quarantine_open";
    assert_eq!(rig.number(judged).await, quarantined, "judged with {}", fault.sqlstate);
    alter(rig, fault.mends).await;
    paid.extend(behind);
    made_good(rig, daemon, paid).await;
    assert_eq!(rig.number(PUT_AWAY).await, quarantined);
}
