//! Which events the inbox has.

use std::collections::HashMap;

use uuid::Uuid;

use super::batch::{Batch, Sorted};
use crate::{Fault, Tx};
use rules::ids::RouteId;

/// Leaves only events that the inbox does not have. The same id with other bytes is an event of its
/// own, under an id derived from both.
pub(super) async fn drop_seen(
    tx: &Tx,
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
) -> Result<(), Fault> {
    // The second round looks up the derived ids of the first; those derive no further.
    for _ in 0..2 {
        let ids: Vec<Uuid> = sorted.unchecked();
        if ids.is_empty() {
            return Ok(());
        }
        sorted.drop_seen(batch, &seen(tx, batch.route, &ids).await?);
    }
    Ok(())
}

/// Which of some event ids the inbox has, and the digests of what came with them.
pub(super) async fn seen(
    tx: &Tx,
    route: RouteId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<u8>>, Fault> {
    let rows =
        tx.query(include_str!("../../../../sql/core/inbox_seen.sql"), &[&ids, &route]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
