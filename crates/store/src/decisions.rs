//! What people decided on quarantined records. Replays are requests that a daemon carries out.

use super::{Fault, Store, Tx};
use rules::ids::{CaseId, DecisionId, RouteId};

/// A replay that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    /// The decision.
    pub decision: DecisionId,
    /// The record it is about.
    pub case: CaseId,
}

/// The next replays of a route after a decision, in the order they were asked for: at most `limit`, and no
/// more once their records have `bytes`. Those that wait as suspects of the same mapping are not among them.
pub async fn waiting(
    store: &Store,
    route: RouteId,
    after: DecisionId,
    (limit, bytes): (i64, i64),
    fingerprint: &str,
) -> Result<Vec<ReplayRequest>, Fault> {
    let sql = include_str!("../../../sql/core/decision_waiting.sql");
    let rows = store.query(sql, &[&route, &after, &limit, &bytes, &fingerprint]).await?;
    Ok(rows.iter().map(|row| ReplayRequest { decision: row.get(0), case: row.get(1) }).collect())
}

/// Locks the replays that people asked for of some records.
pub(super) async fn lock(tx: &Tx, cases: &[CaseId]) -> Result<(), Fault> {
    tx.query(include_str!("../../../sql/core/decision_lock.sql"), &[&cases]).await?;
    Ok(())
}

/// Says why replays wait: those of some records, or all of the route's.
pub async fn hold(
    store: &Store,
    route: RouteId,
    cases: Option<&[CaseId]>,
    why: &str,
) -> Result<(), Fault> {
    let sql = include_str!("../../../sql/core/decision_hold.sql");
    store.query(sql, &[&route, &cases, &why]).await?;
    Ok(())
}

/// Whether a person lets what is refused into quarantine without a proof, and has it begin if so.
pub async fn accepts(store: &Store, route: RouteId) -> Result<bool, Fault> {
    #[cfg(feature = "failpoints")]
    super::failing::at("decision").await?;
    let rows = store.query(include_str!("../../../sql/core/accept_open.sql"), &[&route]).await?;
    Ok(!rows.is_empty())
}

/// Ends an acceptance that is over: something was applied since it began, or it was not needed within an hour.
pub async fn end_acceptance(store: &Store, route: RouteId) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/accept_end.sql"), &[&route]).await?;
    Ok(())
}
