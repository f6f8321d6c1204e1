//! Deciding on quarantined records, as people do it in SQL, and reading what came of it.

use super::{Fault, Store};
use rules::ids::{CaseId, DecisionId};

/// A decision, as the view `quarantine_decisions` has it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the view's columns")]
pub struct Decision {
    pub decision: DecisionId,
    pub state: String,
    pub held: Option<String>,
    pub outcome: Option<String>,
    pub detail: Option<String>,
}

/// Asks for records to be replayed; returns each record with the number of its decision, if it takes effect: where
/// decisions take two roles, the first one's is noted only.
pub async fn replay(
    store: &Store,
    ids: &[CaseId],
    why: Option<&str>,
) -> Result<Vec<(CaseId, Option<DecisionId>)>, Fault> {
    let sql = include_str!("../../../../sql/core/decision_ask_replay.sql");
    let rows = store.query(sql, &[&ids, &why]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Gives records up, and returns how many: the rest is noted only, where decisions take two roles.
pub async fn discard(store: &Store, ids: &[CaseId], why: &str) -> Result<usize, Fault> {
    let sql = include_str!("../../../../sql/core/decision_discard.sql");
    let rows = store.query(sql, &[&ids, &why]).await?;
    let done = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    Ok(usize::try_from(done).unwrap_or_default())
}

/// Lets what a route's database refuses into quarantine without a proof; returns the decision's number, if it takes
/// effect.
pub async fn accept(
    store: &Store,
    route: &str,
    why: Option<&str>,
) -> Result<Option<DecisionId>, Fault> {
    let sql = include_str!("../../../../sql/core/decision_accept.sql");
    let rows = store.query(sql, &[&route, &why]).await?;
    rows.first()
        .map(|row| row.get(0))
        .ok_or_else(|| Fault::Lost { cause: "the decision's number did not come back".to_owned() })
}

/// Decisions by their numbers.
pub async fn show(store: &Store, decisions: &[DecisionId]) -> Result<Vec<Decision>, Fault> {
    let sql = include_str!("../../../../sql/core/decision_show.sql");
    let rows = store.query(sql, &[&decisions]).await?;
    Ok(rows
        .iter()
        .map(|row| Decision {
            decision: row.get("decision"),
            state: row.get("state"),
            held: row.get("held"),
            outcome: row.get("outcome"),
            detail: row.get("detail"),
        })
        .collect())
}
