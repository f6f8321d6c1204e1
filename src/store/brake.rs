//! Asks, before a batch puts bad records away, whether that would be too many.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::inbox::{ApplyFault, Batch};
use super::{Fault, Store, Tx};
use crate::pure::brake::{Brake, Excess, Stretch};

/// The records of a batch in one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// How many there are.
    pub records: u64,
    /// The offset after the last.
    pub until: i64,
    /// The offsets of those to be put away.
    pub bad: Vec<i64>,
}

/// What the database has of one partition.
struct Look {
    stretch: Stretch,
    /// Offsets in quarantine, decided on or not.
    known: Vec<i64>,
}

/// Fails with [`ApplyFault::Braked`] if the batch would make the share of bad records too large, and
/// nobody has accepted that. Records that are in quarantine already count for nothing.
pub(super) async fn check(
    tx: &Tx,
    batch: &Batch<'_>,
    brake: &Brake,
    parts: &BTreeMap<i32, Part>,
    example: &str,
) -> Result<(), ApplyFault> {
    if brake.share >= 100 {
        return Ok(());
    }
    let looks = look(tx, batch, brake, parts).await.map_err(ApplyFault::Engine)?;
    let before: BTreeMap<i32, Stretch> =
        looks.iter().map(|(partition, look)| (*partition, look.stretch.clone())).collect();
    let mut after = before.clone();
    let mut news = 0;
    for (partition, part) in parts {
        let is_new = |at: &i64| !looks.get(partition).is_some_and(|look| look.known.contains(at));
        let bad: Vec<i64> = part.bad.iter().copied().filter(is_new).collect();
        news += bad.len();
        let stretch = after.entry(*partition).or_default();
        *stretch = stretch.after(part.records, part.until, &bad);
    }
    if news == 0 {
        return Ok(());
    }
    let goes_on = brake.excess(&before).is_some();
    match brake.excess(&after) {
        None if goes_on => Ok(()),
        None => end(tx, batch.route).await.map_err(ApplyFault::Engine),
        Some(excess) => match accepts(tx, batch.route, goes_on).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApplyFault::Braked(reason(&excess, brake, example))),
            Err(fault) => Err(ApplyFault::Engine(fault)),
        },
    }
}

async fn look(
    tx: &Tx,
    batch: &Batch<'_>,
    brake: &Brake,
    parts: &BTreeMap<i32, Part>,
) -> Result<BTreeMap<i32, Look>, Fault> {
    let window = i64::try_from(brake.share_from).unwrap_or(i64::MAX);
    let partitions: Vec<i32> = parts.keys().copied().collect();
    let ends: Vec<i64> = parts.values().map(|part| part.until).collect();
    let sql = include_str!("../../sql/core/quarantine_stretch.sql");
    let (group, topic_id) = (&batch.log.group, &batch.log.topic_id);
    let rows = tx.query(sql, &[group, topic_id, &batch.route, &window, &partitions, &ends]).await?;
    let look = |row: &Row| Look {
        stretch: Stretch {
            read: u64::try_from(row.get::<_, i64>("read")).unwrap_or_default(),
            next: row.get("next_offset"),
            bad: row.get("open"),
        },
        known: row.get("known"),
    };
    Ok(rows.iter().map(|row| (row.get("partition"), look(row))).collect())
}

/// Whether somebody lets the bad records pass: from the first that comes after the decision until the
/// share was small again.
async fn accepts(tx: &Tx, route: i16, goes_on: bool) -> Result<bool, Fault> {
    let rows = tx.query(include_str!("../../sql/core/accept_open.sql"), &[&route]).await?;
    match rows.first().map(|row| row.get::<_, bool>(0)) {
        Some(true) => Ok(goes_on),
        Some(false) => {
            tx.execute(include_str!("../../sql/core/accept_begin.sql"), &[&route]).await?;
            Ok(true)
        }
        None => Ok(false),
    }
}

async fn end(tx: &Tx, route: i16) -> Result<(), Fault> {
    tx.execute(include_str!("../../sql/core/accept_end.sql"), &[&route]).await?;
    Ok(())
}

/// Ends an acceptance whose stretch is over, after the batch that showed it was rolled back.
pub(super) async fn ended(store: &Store, route: i16) -> Result<(), Fault> {
    store.query(include_str!("../../sql/core/accept_end.sql"), &[&route]).await?;
    Ok(())
}

fn reason(excess: &Excess, brake: &Brake, example: &str) -> String {
    let Excess { bad, of, partition } = excess;
    let place = partition.map_or_else(String::new, |p| format!(" of partition {p}"));
    format!(
        "{bad} of the last {of} records{place} cannot be applied, more than {}% (max_quarantine.share); \
         the next one: {example}",
        brake.share
    )
}
