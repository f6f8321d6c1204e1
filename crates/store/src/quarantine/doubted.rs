//! Events that their payments do not bear out.

use crate::{Fault, Store, Tx};
use rules::ids::{CaseId, RouteId};

/// How many of them a route keeps, at most `limit`, and their bytes.
pub(crate) async fn room(tx: &Tx, route: RouteId, limit: i64) -> Result<(i64, i64), Fault> {
    let sql = include_str!("../../../../sql/core/doubted_room.sql");
    let rows = tx.query(sql, &[&route, &limit]).await?;
    Ok(rows.first().map_or((0, 0), |row| (row.get(0), row.get(1))))
}

/// Which to hold against their payments again, after a number: all, or those alone whose payment may only be late. At
/// most `limit`, and no more once they have `bytes`.
pub async fn next(
    store: &Store,
    route: RouteId,
    after: CaseId,
    only_late: bool,
    (limit, bytes): (i64, i64),
) -> Result<Vec<CaseId>, Fault> {
    let sql = include_str!("../../../../sql/core/doubted_next.sql");
    let rows = store.query(sql, &[&route, &after, &only_late, &limit, &bytes]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Those that have waited for a minute are cases for people.
pub async fn judge(store: &Store, route: RouteId) -> Result<(), Fault> {
    store.query(include_str!("../../../../sql/core/doubted_judge.sql"), &[&route]).await?;
    Ok(())
}
