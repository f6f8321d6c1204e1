//! The transaction that the promise rests on: inbox, mapping, quarantine and position, all or nothing.
//!
//! Order inside it: look which records were put away before and which events are new → run the mapping on those →
//! write their inbox rows → quarantine → what was applied proves suspects and closes cases → constraints → the position's compare-and-set, its answer read. The inbox rows come
//! after the mapping because only it knows outcome and business key; writing them first would mean
//! writing each twice. Two transactions with the same event cannot both insert its inbox row, so one
//! of them starts over and sees the other's.

mod answers;
mod batch;
mod control;
mod doubted;
mod each;
mod entry;
mod fault;
mod gone;
mod input;
mod make_good;
mod one_row;
mod params;
mod put_away;
mod rehearse;
mod replay;
mod unseen;
mod verify;

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use self::one_row::Before;
use answers::{Answer, Answers};
pub use batch::{Applied, Batch};
use batch::{Fresh, Sorted};
use doubted::map;
pub use each::apply_each;
pub use entry::{Entry, Kind};
pub use fault::ApplyFault;
use gone::map_unless_gone;
use input::Input;
pub use make_good::{Backfill, MadeGood, make_good, rehearse_backfill};
use params::Rows;
pub use rehearse::{Rehearsed, rehearse};
pub use replay::{Replay, Replayed, is_own_fault, rehearse_replay, replay, verified};
use rules::outcome::{Counter, Outcome};
pub use unseen::{Unseen, unseen};
use verify::verify;

use super::mapping::Mapping;
use super::positions;
use super::quarantine::{self, Look, Refusal};
use super::{CommitFault, Fault, Store, Tx, purchased, test_events};
use put_away::put_away;
use rules::ids::RouteId;

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
    end(tx, outcome).await.map(|()| sorted.applied())
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
    look(tx, batch, sorted).await?;
    let answers = answers(tx, batch, &sorted.fresh).await?;
    // Without the look-up a rejection could be of an event that was applied before: start over with it.
    if !batch.looks && answers.iter().any(|answer| answer.outcome == Outcome::Rejected) {
        return Err(ApplyFault::Raced);
    }
    keep(tx, batch, sorted, answers).await?;
    finish(tx, batch, sorted).await
}

/// Runs the mapping on a batch's events.
async fn answers(
    tx: &Tx,
    batch: &Batch<'_>,
    fresh: &[Fresh<'_>],
) -> Result<Vec<Answer>, ApplyFault> {
    if fresh.iter().any(|event| batch.is_placed(event)) {
        return map_unless_gone(tx, batch.route, batch.mapping, fresh).await;
    }
    map(tx, batch.mapping, fresh).await
}

/// Asks what is known of the batch before the mapping runs, and drops what is known.
async fn look(tx: &Tx, batch: &Batch<'_>, sorted: &mut Sorted<'_>) -> Result<(), ApplyFault> {
    let (ranges, fingerprint) = (batch.ranges(), batch.mapping.fingerprint());
    let look = Look::take(tx, batch.route, batch.log.topic_id, &ranges, &fingerprint).await;
    sorted.drop_known(batch, look.map_err(ApplyFault::Engine)?);
    if batch.looks {
        drop_seen(tx, batch, sorted).await.map_err(ApplyFault::Engine)?;
    }
    verify(tx, batch.mapping, batch.payments, &mut sorted.fresh).await
}

/// Everything after the inbox rows; the compare-and-set is the last statement.
async fn finish(tx: &Tx, batch: &Batch<'_>, sorted: &mut Sorted<'_>) -> Result<(), ApplyFault> {
    if sorted.made() > 0 {
        sorted.look.prove(tx, &[]).await.map_err(ApplyFault::Engine)?;
    }
    put_away(tx, batch, sorted).await?;
    for (id, record, verdict) in batch.tests() {
        test_events::answer(tx, id, record, verdict).await.map_err(ApplyFault::Engine)?;
    }
    tx.settle_constraints("").await.map_err(ApplyFault::Mapping)?;
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
async fn seen(tx: &Tx, route: RouteId, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<u8>>, Fault> {
    let rows = tx.query(include_str!("../../../sql/core/inbox_seen.sql"), &[&ids, &route]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Runs the mapping, once more for events without an outcome: another transaction may have won the
/// race for their key, and a new statement sees it. Returns an answer for each event, in their order.
async fn map_sound(
    tx: &Tx,
    mapping: &Mapping,
    fresh: &[Fresh<'_>],
) -> Result<Vec<Answer>, ApplyFault> {
    let mut answers = Answers::to(fresh);
    let before = Before::count(tx, mapping).await?;
    ask(tx, mapping, fresh, &mut answers).await?;
    if answers.open().is_empty() {
        let answers = answers.all().ok_or(ApplyFault::NoOutcome)?;
        before.check(tx, mapping, fresh, &answers).await?;
        return Ok(answers);
    }
    made_elsewhere(tx, mapping, fresh, &mut answers).await?;
    ask(tx, mapping, fresh, &mut answers).await?;
    answers.all().ok_or(ApplyFault::NoOutcome)
}

/// Runs the mapping on the events that have no answer yet.
async fn ask(
    tx: &Tx,
    mapping: &Mapping,
    fresh: &[Fresh<'_>],
    answers: &mut Answers,
) -> Result<(), ApplyFault> {
    let open: Vec<&Fresh<'_>> = answers.open().into_iter().map(|at| &fresh[at]).collect();
    if open.is_empty() {
        return Ok(());
    }
    let input = Input::of(mapping, &open);
    let rows = tx.query_host(&mapping.apply, &input.params()).await.map_err(ApplyFault::Mapping)?;
    rows.iter().try_for_each(|row| answers.take(row))
}

/// Where a trigger puts rows elsewhere, an INSERT returns nothing, though the purchase was made. The mapping then finds
/// it when it is run once more, which would make it twice: so that is done and rolled back, and what it found of this
/// transaction's own rows was made here.
async fn made_elsewhere(
    tx: &Tx,
    mapping: &Mapping,
    fresh: &[Fresh<'_>],
    answers: &mut Answers,
) -> Result<(), ApplyFault> {
    let open = answers.open().into_iter();
    let mut keyed: Vec<(usize, String)> =
        open.filter_map(|at| Some((at, mapping.key_of(&fresh[at].body)?))).collect();
    if keyed.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = keyed.iter().map(|(_, key)| key.as_str()).collect();
    let own = purchased::own(tx, mapping, &keys).await.map_err(ApplyFault::Engine)?;
    keyed.retain(|(_, key)| own.contains(key));
    if keyed.is_empty() {
        return Ok(());
    }
    tx.mark().await.map_err(ApplyFault::Engine)?;
    let mut found = answers.clone();
    ask(tx, mapping, fresh, &mut found).await?;
    tx.undo().await.map_err(ApplyFault::Engine)?;
    let mut made = HashSet::new();
    for (at, key) in keyed {
        if found.has_purchase(at) {
            let outcome =
                if made.insert(key.clone()) { Outcome::Applied } else { Outcome::Already };
            let answer = Answer { outcome, business_key: Some(key), detail: None, doubt: None };
            answers.give(at, answer);
        }
    }
    Ok(())
}

/// Writes the inbox rows, closes the cases of payments that have their purchase now, and notes what the mapping
/// rejected.
async fn keep(
    tx: &Tx,
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
    answers: Vec<Answer>,
) -> Result<(), ApplyFault> {
    let mut rows = Rows::with_capacity(sorted.fresh.len());
    let mut keys = Vec::new();
    for (fresh, answer) in sorted.fresh.iter().zip(answers) {
        let record = batch.entries[fresh.entry].record;
        let Some(counter) = answer.outcome.counter() else {
            sorted.refused.push((fresh.entry, answer.rejection()));
            continue;
        };
        let counts = sorted.counts.entry(record.partition).or_default();
        counts[counter] += 1;
        if fresh.reused.is_some() {
            counts[Counter::IdReused] += 1;
        }
        if answer.outcome.has_purchase() {
            sorted.sound = Some(fresh.entry);
        }
        rows.push(batch.route, fresh, Some((record.partition, record.offset)), &answer);
        if sorted.look.keyed && answer.outcome != Outcome::Ignored {
            keys.extend(answer.business_key);
        }
    }
    if !rows.is_empty() {
        rows.write(tx).await?;
    }
    quarantine::made_good(tx, batch.route, &keys).await.map_err(ApplyFault::Engine)
}
