//! What came of replays, written down: the cases, the findings about their payments, the decisions that asked for them.

use uuid::Uuid;

use super::Replayed;
use crate::{Fault, Tx, quarantine};
use rules::ids::{CaseId, RouteId};
use rules::outcome::Attempted;

/// Brings cases, and the findings about their payments, up to what a replay came to.
pub(super) async fn cases(
    tx: &Tx,
    route: RouteId,
    replayed: &[Replayed],
    fingerprint: &str,
) -> Result<(), Fault> {
    for one in replayed {
        let Some(r) = &one.refusal else { continue };
        let sql = include_str!("../../../../../sql/core/quarantine_failed_again.sql");
        let (detail, key, suspect) = (r.detail(), r.key(), r.is_suspect);
        tx.execute(
            sql,
            &[&one.id, &r.reason, &r.sqlstate, &detail, &key, &suspect, &fingerprint, &r.advice],
        )
        .await?;
    }
    let done: Vec<&Replayed> =
        replayed.iter().filter(|r| !r.failed() && r.outcome != Attempted::Settled).collect();
    if done.is_empty() {
        return Ok(());
    }
    let ids: Vec<CaseId> = done.iter().map(|r| r.id).collect();
    let events: Vec<Uuid> = done.iter().map(|r| r.event_id).collect();
    let keys: Vec<Option<&str>> = done.iter().map(|r| r.business_key.as_deref()).collect();
    let outcomes: Vec<&str> = done.iter().map(|r| r.outcome.as_str()).collect();
    let sql = include_str!("../../../../../sql/core/quarantine_replayed.sql");
    tx.execute(sql, &[&ids, &events, &keys]).await?;
    let sql = include_str!("../../../../../sql/core/finding_replayed.sql");
    tx.execute(sql, &[&ids, &outcomes]).await?;
    // The payment may have other cases, from the reconciler for example.
    let keys: Vec<String> = (done.iter())
        .filter(|r| r.outcome.is_purchased())
        .filter_map(|r| r.business_key.clone())
        .collect();
    quarantine::made_good(tx, route, &keys).await
}

/// Writes down what came of replays, where people asked for them.
pub(super) async fn decisions(
    tx: &Tx,
    replayed: impl Iterator<Item = &Replayed>,
) -> Result<(), Fault> {
    let replayed: Vec<&Replayed> = replayed.collect();
    if replayed.is_empty() {
        return Ok(());
    }
    let ids: Vec<CaseId> = replayed.iter().map(|r| r.id).collect();
    let outcomes: Vec<&str> = replayed.iter().map(|r| r.outcome.as_str()).collect();
    let details: Vec<Option<String>> =
        replayed.iter().map(|r| Some(r.detail.as_ref()?.replace('\0', ""))).collect();
    let sql = include_str!("../../../../../sql/core/decision_finish.sql");
    tx.execute(sql, &[&ids, &outcomes, &details]).await?;
    Ok(())
}
