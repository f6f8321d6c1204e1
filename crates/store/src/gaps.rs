//! Offsets that were never read: recorded with the claim that left them out, covered by a sweep.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::Log;
use super::when::{Sent, Times};
use super::{Fault, Store, Tx};
use rules::ids::{Offset, RouteId, RunId};

/// A range of offsets that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: Offset,
    /// One past the last.
    pub to: Offset,
    /// Why: the start's name, or who reset the position.
    pub reason: String,
}

/// A gap that nothing has covered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenGap {
    /// Its number.
    pub id: i64,
    /// Its route.
    pub route: String,
    /// Its topic.
    pub topic: String,
    /// The topic's id.
    pub topic_id: Uuid,
    /// Which offsets, and why.
    pub gap: Gap,
    /// When it was found.
    pub found_at: Timestamp,
}

/// Records gaps, in the transaction that moves the positions past them.
pub async fn put(tx: &Tx, route: RouteId, log: &Log, gaps: &[Gap]) -> Result<(), Fault> {
    let sql = include_str!("../../../sql/core/gap_put.sql");
    for gap in gaps {
        let Gap { partition, from, to, reason } = gap;
        tx.execute(sql, &[&route, &log.topic, &log.topic_id, partition, from, to, reason]).await?;
    }
    Ok(())
}

/// Records gaps; an open one for the same reason that ends where one begins gets longer instead.
pub async fn extend(tx: &Tx, route: RouteId, log: &Log, gaps: &[Gap]) -> Result<(), Fault> {
    let sql = include_str!("../../../sql/core/gap_extend.sql");
    for gap in gaps {
        let Gap { partition, from, to, reason } = gap;
        tx.execute(sql, &[&route, &log.topic, &log.topic_id, partition, from, to, reason]).await?;
    }
    Ok(())
}

/// Records what a topic that was made anew had under its earlier ids and nobody had read; returns what is
/// new. How much came after a daemon last looked nobody can know.
pub async fn put_deleted(tx: &Tx, route: RouteId, log: &Log) -> Result<Vec<Gap>, Fault> {
    let sql = include_str!("../../../sql/core/gap_put_deleted.sql");
    let rows = tx.query(sql, &[&route, &log.group, &log.topic, &log.topic_id]).await?;
    Ok(rows.iter().map(gap).collect())
}

/// Closes the gaps that a sweep up to `until` has covered, in its last transaction; returns them.
pub async fn cover(
    tx: &Tx,
    route: RouteId,
    run: RunId,
    until: Timestamp,
) -> Result<Vec<(i32, Offset, Offset)>, Fault> {
    let sql = include_str!("../../../sql/core/gap_cover.sql");
    let rows = tx.query(sql, &[&route, &run, &until.sent()]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// When the newest open gap of a route was found, if it has one.
pub async fn newest_open(store: &Store, route: RouteId) -> Result<Option<Timestamp>, Fault> {
    let rows =
        store.query(include_str!("../../../sql/core/gap_newest_open.sql"), &[&route]).await?;
    Ok(rows.first().and_then(|row| row.time("found_at")))
}

/// The gaps that are open, by route, partition and offset.
pub async fn open(store: &Store) -> Result<Vec<OpenGap>, Fault> {
    let rows = store.query(include_str!("../../../sql/core/gap_list.sql"), &[]).await?;
    Ok(rows.iter().map(read).collect())
}

/// A row of `gap_list.sql`.
pub(super) fn read(row: &Row) -> OpenGap {
    OpenGap {
        id: row.get("gap"),
        route: row.get("route"),
        topic: row.get("topic"),
        topic_id: row.get("topic_id"),
        gap: gap(row),
        found_at: row.moment("found_at"),
    }
}

fn gap(row: &Row) -> Gap {
    Gap {
        partition: row.get("partition"),
        from: row.get("from_offset"),
        to: row.get("to_offset"),
        reason: row.get("reason"),
    }
}
