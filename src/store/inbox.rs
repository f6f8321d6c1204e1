//! The transaction that the promise rests on: inbox, mapping, quarantine and position, all or nothing.
//!
//! Order inside it: look which events are new → run the mapping on those → write their inbox rows →
//! quarantine → constraints → the position's compare-and-set, its answer read. The inbox rows come
//! after the mapping because only it knows outcome and business key; writing them first would mean
//! writing each twice. Two transactions with the same event cannot both insert its inbox row, so one
//! of them starts over and sees the other's.

mod answers;
mod batch;
mod entry;
mod fault;
mod input;
mod make_good;
mod params;
mod rehearse;
mod replay;
mod unseen;

use std::collections::HashMap;

use tracing::debug;
use uuid::Uuid;

use answers::{Answer, Answers, Outcome};
pub use batch::{Applied, Batch};
use batch::{Fresh, Sorted};
pub use entry::{Entry, Kind};
pub use fault::ApplyFault;
use input::Input;
pub use make_good::{Backfill, MadeGood, make_good, rehearse_backfill};
use params::Rows;
pub use rehearse::{Rehearsed, rehearse};
pub use replay::{Replay, Replayed, rehearse_replay, replay};
pub use unseen::{Unseen, unseen};

use super::mapping::Mapping;
use super::positions::{self, Counts};
use super::quarantine::{self, Refusal};
use super::{CommitFault, Fault, Store, Tx, brake, test_events};

/// Applies a batch. `refusal`, if given, is the verdict on the batch's only record: it is quarantined
/// instead of going through the mapping.
pub async fn apply(
    store: &Store,
    batch: &Batch<'_>,
    refusal: Option<&Refusal>,
) -> Result<Applied, ApplyFault> {
    let mut sorted = Sorted::new(batch, refusal);
    let tx = store.begin("apply_batch").await.map_err(ApplyFault::Engine)?;
    let outcome = run(&tx, batch, &mut sorted).await;
    let ended = end(tx, outcome).await;
    if let Err(ApplyFault::Braked(_)) = ended {
        brake::ended(store, batch.route).await.map_err(ApplyFault::Engine)?;
    }
    ended.map(|()| sorted.applied())
}

/// Commits what went well, and rolls back what did not.
async fn end<T>(tx: Tx, outcome: Result<T, ApplyFault>) -> Result<T, ApplyFault> {
    match outcome {
        Ok(done) => match tx.commit().await {
            Ok(()) => Ok(done),
            Err(CommitFault::Refused(fault)) => Err(ApplyFault::Mapping(fault)),
            Err(CommitFault::Unknown(fault)) => Err(ApplyFault::Unknown(fault)),
        },
        Err(fault) => {
            if fault.is_sound() {
                tx.rollback().await;
            }
            Err(fault)
        }
    }
}

async fn run(tx: &Tx, batch: &Batch<'_>, sorted: &mut Sorted<'_>) -> Result<(), ApplyFault> {
    if batch.looks {
        drop_seen(tx, batch, sorted).await.map_err(ApplyFault::Engine)?;
    }
    let answers = map(tx, batch.mapping, &sorted.fresh).await?;
    // An event that was applied long ago is none to reject now.
    if !batch.looks && answers.iter().any(|answer| answer.outcome == Outcome::Rejected) {
        return Err(ApplyFault::Raced);
    }
    let rejected = keep(tx, batch, sorted, answers).await?;
    sorted.refused.extend(rejected);
    sorted.refused.sort_by_key(|(entry, _)| *entry);
    quarantine(tx, batch, sorted).await?;
    for (id, record, verdict) in batch.tests() {
        test_events::answer(tx, id, record, verdict).await.map_err(ApplyFault::Engine)?;
    }
    // A deferred constraint would otherwise speak up inside COMMIT, after the last answer was read.
    tx.batch("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(ApplyFault::Mapping)?;
    let moves = sorted.moves(batch);
    let collided = positions::advance(tx, batch.log, batch.writer, &moves)
        .await
        .map_err(ApplyFault::Engine)?;
    if collided.is_empty() { Ok(()) } else { Err(ApplyFault::Collided(collided)) }
}

/// Leaves only events that the inbox does not have. The same id with other bytes is an event of its
/// own, under an id derived from both.
async fn drop_seen(tx: &Tx, batch: &Batch<'_>, sorted: &mut Sorted<'_>) -> Result<(), Fault> {
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
async fn seen(tx: &Tx, route: i16, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<u8>>, Fault> {
    let rows = tx.query(include_str!("../../sql/core/inbox_seen.sql"), &[&ids, &route]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Runs the mapping, once more for events without an outcome: another transaction may have won the
/// race for their key, and a new statement sees it. Returns an answer for each event, in their order.
async fn map(tx: &Tx, mapping: &Mapping, fresh: &[Fresh<'_>]) -> Result<Vec<Answer>, ApplyFault> {
    let mut answers = Answers::to(fresh);
    for _ in 0..2 {
        let open = answers.open();
        if open.is_empty() {
            break;
        }
        let open: Vec<&Fresh<'_>> = open.into_iter().map(|at| &fresh[at]).collect();
        let input = Input::of(mapping, &open);
        let rows = tx.query(&mapping.apply, &input.params()).await.map_err(ApplyFault::Mapping)?;
        for row in &rows {
            answers.take(row)?;
        }
    }
    answers.all().ok_or(ApplyFault::NoOutcome)
}

/// Writes the inbox rows and returns what the mapping rejected.
async fn keep(
    tx: &Tx,
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
    answers: Vec<Answer>,
) -> Result<Vec<(usize, Refusal)>, ApplyFault> {
    let mut rows = Rows::with_capacity(sorted.fresh.len());
    let mut rejected = Vec::new();
    for (fresh, answer) in sorted.fresh.iter().zip(answers) {
        let record = batch.entries[fresh.entry].record;
        let counts: &mut Counts = sorted.counts.entry(record.partition).or_default();
        match answer.outcome {
            Outcome::Applied => counts.applied += 1,
            Outcome::Already => counts.already += 1,
            Outcome::Conflict => counts.conflict += 1,
            Outcome::Ignored => counts.ignored += 1,
            Outcome::Rejected => {
                rejected.push((fresh.entry, answer.rejection()));
                continue;
            }
        }
        if fresh.reused.is_some() {
            counts.id_reused += 1;
        }
        rows.push(batch.route, fresh, Some((record.partition, record.offset)), &answer);
    }
    if !rows.is_empty() {
        rows.write(tx).await?;
    }
    Ok(rejected)
}

/// Puts away what could not be decoded, what the mapping rejected, and the record under a verdict,
/// unless that is too much.
async fn quarantine(tx: &Tx, batch: &Batch<'_>, sorted: &mut Sorted<'_>) -> Result<(), ApplyFault> {
    let Some((_, Refusal { reason, detail, .. })) = sorted.refused.first() else { return Ok(()) };
    let parts = batch.parts(&sorted.refused);
    brake::check(tx, batch, &batch.brake, &parts, &format!("{reason}, {detail}")).await?;
    for (entry, refusal) in sorted.refused.drain(..) {
        let Entry { record, event_id, digest, .. } = &batch.entries[entry];
        let is_new =
            quarantine::put(tx, batch.route, batch.log, record, *event_id, digest, &refusal)
                .await
                .map_err(ApplyFault::Engine)?;
        let counts = sorted.counts.entry(record.partition).or_default();
        if is_new {
            counts.quarantined += 1;
            sorted.quarantined.push(entry);
        } else {
            counts.duplicate += 1;
            debug!(partition = record.partition, offset = record.offset, "already in quarantine");
        }
    }
    Ok(())
}
