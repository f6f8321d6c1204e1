//! Suspects: records that were refused alone while it is not known whether they or the world are at fault.

use crate::{Fault, Store, Tx};
use rules::ids::{CaseId, RouteId};

/// Suspects of one mapping that were never judged and are not proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingSuspects {
    /// How many there are.
    pub count: usize,
    /// What the oldest was refused for.
    pub detail: String,
    /// What would mend that.
    pub advice: String,
}

/// A suspect to try now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its number in quarantine.
    pub id: CaseId,
    /// Nothing has changed since it was refused: it is tried because it is the oldest.
    pub is_same: bool,
}

/// How many suspects of a mapping wait, and for what.
pub async fn waiting(
    store: &Store,
    route: RouteId,
    fingerprint: &str,
) -> Result<WaitingSuspects, Fault> {
    let sql = include_str!("../../../../sql/core/suspect_waiting.sql");
    let rows = store.query(sql, &[&route, &fingerprint]).await?;
    let Some(row) = rows.first() else { return Ok(WaitingSuspects::default()) };
    Ok(WaitingSuspects {
        count: usize::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
        detail: row.get::<_, Option<String>>(1).unwrap_or_default(),
        advice: row.get::<_, Option<String>>(2).unwrap_or_default(),
    })
}

/// Which suspects of a route to try now, but for those of `tried`: at most `limit`, and no more once their records
/// have `bytes`.
pub async fn due(
    store: &Store,
    route: RouteId,
    fingerprint: &str,
    (limit, bytes): (i64, i64),
    tried: &[CaseId],
) -> Result<Vec<Due>, Fault> {
    let sql = include_str!("../../../../sql/core/suspect_due.sql");
    let rows = store.query(sql, &[&route, &fingerprint, &limit, &bytes, &tried]).await?;
    Ok(rows.iter().map(|row| Due { id: row.get(0), is_same: row.get(1) }).collect())
}

/// Whether something was applied by a mapping since it refused this one.
pub async fn is_proven(store: &Store, id: CaseId, fingerprint: &str) -> Result<bool, Fault> {
    let sql = include_str!("../../../../sql/core/suspect_is_proven.sql");
    let rows = store.query(sql, &[&id, &fingerprint]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Marks suspects as proven.
pub(super) async fn prove(tx: &Tx, ids: &[CaseId]) -> Result<(), Fault> {
    if !ids.is_empty() {
        tx.execute(include_str!("../../../../sql/core/suspect_prove.sql"), &[&ids]).await?;
    }
    Ok(())
}
