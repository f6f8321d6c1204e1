//! What people decided on quarantined records. Replays are requests that a daemon carries out.

use super::inbox::Replayed;
use super::{Fault, Store, Tx};

/// A replay at hand, locked until the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The decision.
    pub decision: i64,
    /// The record it is about.
    pub quarantine: i64,
}

/// The next replays of a route after a decision, in the order they were asked for: at most `limit`, and no
/// more once their records have `bytes`.
pub async fn waiting(
    store: &Store,
    route: i16,
    after: i64,
    limit: i64,
    bytes: i64,
) -> Result<Vec<i64>, Fault> {
    let sql = include_str!("../../sql/core/decision_waiting.sql");
    let rows = store.query(sql, &[&route, &after, &limit, &bytes]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The records that decisions are about, by their numbers in quarantine.
pub async fn records(store: &Store, decisions: &[i64]) -> Result<Vec<i64>, Fault> {
    let sql = include_str!("../../sql/core/decision_records.sql");
    let rows = store.query(sql, &[&decisions]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Locks replays that are still to be done and that nobody else has at hand.
pub(super) async fn take(tx: &Tx, decisions: &[i64]) -> Result<Vec<Taken>, Fault> {
    let rows = tx.query(include_str!("../../sql/core/decision_take.sql"), &[&decisions]).await?;
    Ok(rows.iter().map(|row| Taken { decision: row.get(0), quarantine: row.get(1) }).collect())
}

/// Writes down what came of replays; returns how many that were.
pub(super) async fn finish(
    tx: &Tx,
    decisions: &[i64],
    replayed: &[Replayed],
) -> Result<usize, Fault> {
    let ids: Vec<i64> = replayed.iter().map(|r| r.id).collect();
    let outcomes: Vec<&str> = replayed.iter().map(|r| r.outcome).collect();
    let details: Vec<Option<String>> =
        replayed.iter().map(|r| Some(r.detail.as_ref()?.replace('\0', ""))).collect();
    let sql = include_str!("../../sql/core/decision_finish.sql");
    Ok(tx.query(sql, &[&decisions, &ids, &outcomes, &details]).await?.len())
}

/// Says why replays wait: these, or all of the route's.
pub async fn hold(
    store: &Store,
    route: i16,
    decisions: Option<&[i64]>,
    why: &str,
) -> Result<(), Fault> {
    let sql = include_str!("../../sql/core/decision_hold.sql");
    store.query(sql, &[&route, &decisions, &why]).await?;
    Ok(())
}

/// How many purchases the route has made; one more than before shows that the world works.
pub async fn applied(store: &Store, route: i16) -> Result<i64, Fault> {
    let rows = store.query(include_str!("../../sql/core/route_applied.sql"), &[&route]).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}
