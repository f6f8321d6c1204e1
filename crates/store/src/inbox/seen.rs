//! Which events the inbox has.

use std::collections::HashMap;

use uuid::Uuid;

use super::batch::{Batch, Fresh, Sorted};
use crate::when::When;
use crate::{Fault, Tx};
use rules::ids::RouteId;

/// Leaves only events that the tables of these slots do not have, nor had before they were emptied. The same id with
/// other bytes is an event of its own, under an id derived from both.
pub(super) async fn drop_seen(
    tx: &Tx,
    batch: &Batch<'_>,
    slots: &[i16],
    sorted: &mut Sorted<'_>,
) -> Result<(), Fault> {
    // The second round looks up the derived ids of the first; those derive no further.
    for _ in 0..2 {
        if slots.is_empty() || sorted.unchecked().next().is_none() {
            return Ok(());
        }
        let seen = seen(tx, batch.route, slots, sorted.unchecked()).await?;
        sorted.drop_seen(batch, &seen);
    }
    Ok(())
}

/// Which of some events the inbox has by their ids, and the digests of what came with them.
pub(super) async fn seen<'e, 'a: 'e>(
    tx: &Tx,
    route: RouteId,
    slots: &[i16],
    events: impl Iterator<Item = &'e Fresh<'a>>,
) -> Result<HashMap<Uuid, Vec<u8>>, Fault> {
    let (mut ids, mut digests, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        ids.push(event.id);
        digests.push(event.digest.as_slice());
        times.push(When(event.at));
    }
    let sql = include_str!("../../../../sql/core/inbox_seen.sql");
    let rows = tx.query(sql, &[&ids, &route, &digests, &times, &slots]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
