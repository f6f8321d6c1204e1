//! Positions: append-only, the newest step counts, its primary key is the compare-and-set.

use std::collections::BTreeMap;

use rules::outcome::Counts;
use rules::record::Record;
use tokio_postgres::types::ToSql;
use tracing::debug;
use uuid::Uuid;

use super::gaps::{self, Gap};
pub use super::log::Log;
use super::{CommitFault, Fault, Store, Tx, jobs};
use rules::ids::{Epoch, Offset, RouteId, StepNumber};

/// How many steps of a partition are kept, and after how many more old ones are deleted.
pub const KEPT_STEPS: i64 = 64;

/// The record that the newest step ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp, if it had one.
    pub timestamp_ms: Option<i64>,
    /// The digest of its value.
    pub digest: Vec<u8>,
}

impl Anchor {
    /// What tells this record from another one at its place.
    pub fn of(record: &Record) -> Anchor {
        let (offset, timestamp_ms) = (record.offset, record.timestamp_ms);
        Anchor { offset, timestamp_ms, digest: record.digest().to_vec() }
    }
}

/// The newest step of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The step's number.
    pub step: StepNumber,
    /// The epoch of its claim.
    pub epoch: Epoch,
    /// The next offset to read.
    pub next_offset: Offset,
    /// Who wrote it: a batch's or a claim's own id.
    pub writer: Uuid,
    /// The last record applied, if any was.
    pub anchor: Option<Anchor>,
}

/// One partition's step forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub partition: i32,
    /// The step it builds on.
    pub step: StepNumber,
    /// The next offset to read afterwards.
    pub next_offset: Offset,
    /// The timestamp of the last record.
    pub anchor_timestamp_ms: Option<i64>,
    /// The digest of the last record's value.
    pub anchor_digest: [u8; 16],
    /// What was counted.
    pub counts: Counts,
}

/// One partition's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The partition.
    pub partition: i32,
    /// The step that was read as the newest, 0 for none.
    pub step: StepNumber,
    /// Where reading starts.
    pub next_offset: Offset,
    /// Why there.
    pub why: String,
}

/// Reads the newest step of each partition that has one.
pub async fn read(
    store: &Store,
    log: &Log,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Position>, Fault> {
    let sql = include_str!("../../../sql/core/position_read.sql");
    let rows = store.query(sql, &[&log.group, &log.topic_id, &partitions]).await?;
    let position = |row: &tokio_postgres::Row| Position {
        step: row.get(1),
        epoch: row.get(2),
        next_offset: row.get(3),
        writer: row.get(4),
        anchor: row
            .get::<_, Option<Offset>>(5)
            .zip(row.get::<_, Option<Vec<u8>>>(7))
            .map(|(offset, digest)| Anchor { offset, timestamp_ms: row.get(6), digest }),
    };
    Ok(rows.iter().map(|row| (row.get(0), position(row))).collect())
}

/// What this group has read of a topic before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicHistory {
    /// The topic's name under another id: it was made anew. Kafka's offset of a partition without a position under
    /// this id may then belong to the old log, also when another partition, or another daemon, has got to know the
    /// new one already.
    pub recreated: bool,
    /// This topic id, in any partition.
    pub begun: bool,
}

/// Asks what this group has read of the topic before.
pub async fn before(store: &Store, log: &Log) -> Result<TopicHistory, Fault> {
    let sql = include_str!("../../../sql/core/position_topic_known.sql");
    let rows = store.query(sql, &[&log.group, &log.topic, &log.topic_id]).await?;
    let before =
        |row: &tokio_postgres::Row| TopicHistory { recreated: row.get(0), begun: row.get(1) };
    Ok(rows.first().map(before).unwrap_or_default())
}

/// Claims partitions: a new epoch at a chosen offset, and the gaps that come with it, in one
/// transaction. Returns the new step of each partition; one that somebody else moved meanwhile is
/// absent, and the caller reads again. `replaced`: the log is another than it was; what the old one had is
/// recorded as far as it is known, and returned, and a sweep looks for the rest.
pub async fn claim(
    store: &Store,
    route: RouteId,
    log: &Log,
    claims: &[Claim],
    gaps: &[Gap],
    replaced: bool,
) -> Result<(BTreeMap<i32, StepNumber>, Vec<Gap>), Fault> {
    let tx = store.begin("claim").await?;
    let mut deleted = Vec::new();
    if replaced {
        deleted = gaps::put_deleted(&tx, route, log).await?;
        jobs::sweep_again(&tx, route).await?;
    }
    let claimed = claim_in(&tx, route, log, claims, gaps).await?;
    match tx.commit().await {
        Ok(()) => Ok((claimed, deleted)),
        // Unknown is as good as refused here: the next attempt reads the newest step first.
        Err(CommitFault::Refused(fault) | CommitFault::Unknown(fault)) => Err(fault),
    }
}

/// The same in a transaction of the caller's.
pub async fn claim_in(
    tx: &Tx,
    route: RouteId,
    log: &Log,
    claims: &[Claim],
    gaps: &[Gap],
) -> Result<BTreeMap<i32, StepNumber>, Fault> {
    let partitions: Vec<i32> = claims.iter().map(|c| c.partition).collect();
    let steps: Vec<StepNumber> = claims.iter().map(|c| c.step).collect();
    let offsets: Vec<Offset> = claims.iter().map(|c| c.next_offset).collect();
    let whys: Vec<&str> = claims.iter().map(|c| c.why.as_str()).collect();
    gaps::put(tx, route, log, gaps).await?;
    let sql = include_str!("../../../sql/core/position_claim.sql");
    let writer = Uuid::new_v4();
    let rows = tx
        .query(
            sql,
            &[&log.group, &log.topic_id, &log.topic, &partitions, &steps, &offsets, &whys, &writer],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Moves partitions on, as the last statement of a batch's transaction. Returns the partitions whose
/// compare-and-set failed: with any, the transaction must be rolled back.
pub async fn advance(tx: &Tx, log: &Log, writer: Uuid, moves: &[Move]) -> Result<Vec<i32>, Fault> {
    let partitions: Vec<i32> = moves.iter().map(|m| m.partition).collect();
    let steps: Vec<StepNumber> = moves.iter().map(|m| m.step).collect();
    let offsets: Vec<Offset> = moves.iter().map(|m| m.next_offset).collect();
    let timestamps: Vec<Option<i64>> = moves.iter().map(|m| m.anchor_timestamp_ms).collect();
    let digests: Vec<&[u8]> = moves.iter().map(|m| m.anchor_digest.as_slice()).collect();
    let counts: Vec<String> = moves.iter().map(|m| array(&m.counts)).collect();
    let rows = tx
        .query(
            include_str!("../../../sql/core/position_advance.sql"),
            &[
                &log.group,
                &log.topic_id,
                &partitions,
                &steps,
                &offsets,
                &timestamps,
                &digests,
                &counts,
                &writer,
            ],
        )
        .await?;
    let moved: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    Ok(partitions.into_iter().filter(|p| !moved.contains(p)).collect())
}

/// Whether the batch `writer`, which would have moved `partition` on from `step`, was committed.
/// Read on a new connection after a commit whose answer was lost.
pub async fn landed(
    store: &Store,
    log: &Log,
    partition: i32,
    step: StepNumber,
    writer: Uuid,
) -> Result<bool, Fault> {
    let sql = include_str!("../../../sql/core/position_landed.sql");
    let rows =
        store.query(sql, &[&log.group, &log.topic_id, &partition, &step.next(), &writer]).await?;
    Ok(!rows.is_empty())
}

/// Deletes old steps of some partitions, given the newest of each. If that fails, the next time makes up for it.
pub async fn trim(store: &Store, log: &Log, newest: &BTreeMap<i32, StepNumber>) {
    let sql = include_str!("../../../sql/core/position_trim.sql");
    let (partitions, steps): (Vec<i32>, Vec<StepNumber>) = newest.iter().unzip();
    let params: [&(dyn ToSql + Sync); 5] =
        [&log.group, &log.topic_id, &partitions, &steps, &KEPT_STEPS];
    if let Err(fault) = store.query(sql, &params).await {
        debug!(%fault, "old positions stay for now");
    }
}

/// As the text of an array, for an array of arrays would be taken apart.
fn array(counts: &Counts) -> String {
    let counts: Vec<String> = counts.each().map(|(_, count)| count.to_string()).collect();
    format!("{{{}}}", counts.join(","))
}
