//! The transaction that the promise rests on: inbox, mapping, quarantine and position, all or nothing.
//!
//! Order inside it: hold the inbox's turn → look which records were put away before and which events are new → run the mapping on those →
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
mod mapped;
mod one_row;
mod params;
mod put_away;
mod rehearse;
mod replay;
mod seen;
mod slot;
mod turns;
mod unseen;
mod verify;

use answers::Answer;
pub use batch::{Applied, Batch};
use batch::{Fresh, Sorted};
use doubted::map;
pub use each::apply_each;
pub use entry::{Entry, Kind};
pub use fault::ApplyFault;
use fault::end;
use gone::map_unless_gone;
pub use make_good::{Backfill, MadeGood, make_good, rehearse_backfill};
use params::InboxRows;
pub use rehearse::{Rehearsed, rehearse};
pub use replay::{Replay, Replayed, is_own_fault, rehearse_replay, replay, verified};
use rules::outcome::{Counter, Outcome};
use seen::drop_seen;
use slot::Slot;
pub use turns::{AtHand, InboxTurn, next_turn, turn_at_hand};
pub use unseen::{Unseen, unseen};
use verify::verify;

use super::positions;
use super::quarantine::{self, QuarantineSnapshot, Refusal};
use super::{Store, Tx, test_events};
use put_away::put_away;

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

async fn run(tx: &Tx, batch: &Batch<'_>, sorted: &mut Sorted<'_>) -> Result<(), ApplyFault> {
    let slot = look(tx, batch, sorted).await?;
    let answers = answers(tx, batch, &sorted.fresh).await?;
    // Without the look-up a rejection could be of an event that was applied before: start over with it.
    if !batch.looks && answers.iter().any(|answer| answer.outcome == Outcome::Rejected) {
        return Err(ApplyFault::Raced);
    }
    keep(tx, batch, sorted, &slot, answers).await?;
    finish(tx, batch, sorted).await
}

/// Runs the mapping on a batch's events.
async fn answers(
    tx: &Tx,
    batch: &Batch<'_>,
    fresh: &[Fresh<'_>],
) -> Result<Vec<Answer>, ApplyFault> {
    let is_placed = |event: &Fresh<'_>| batch.is_placed(event);
    if fresh.iter().any(is_placed) {
        return map_unless_gone(tx, batch.route, batch.mapping, fresh, is_placed).await;
    }
    map(tx, batch.mapping, fresh).await
}

/// Asks what is known of the batch before the mapping runs, and drops what is known. Returns where its rows go.
async fn look(tx: &Tx, batch: &Batch<'_>, sorted: &mut Sorted<'_>) -> Result<Slot, ApplyFault> {
    let slot = Slot::hold(tx).await.map_err(ApplyFault::Engine)?;
    let (ranges, fingerprint) = (batch.ranges(), batch.mapping.fingerprint());
    let look =
        QuarantineSnapshot::take(tx, batch.route, batch.log.topic_id, &ranges, &fingerprint).await;
    sorted.drop_known(batch, look.map_err(ApplyFault::Engine)?);
    let slots = if batch.looks { &slot::ALL[..] } else { slot.others() };
    drop_seen(tx, batch, slots, sorted).await.map_err(ApplyFault::Engine)?;
    verify(tx, batch.mapping, batch.payments, &mut sorted.fresh).await?;
    Ok(slot)
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
    // An error that nobody looks at: what follows must not pass for done.
    #[cfg(feature = "failpoints")]
    if failpoints::reached("apply_batch.swallowed").await.is_some() {
        let _ = tx.batch("SELECT 1 / 0").await;
    }
    let moves = sorted.moves(batch);
    let collided = positions::advance(tx, batch.log, batch.writer, &moves)
        .await
        .map_err(ApplyFault::Engine)?;
    if collided.is_empty() { Ok(()) } else { Err(ApplyFault::Collided(collided)) }
}

/// Writes the inbox rows, closes the cases of payments that have their purchase now, and notes what the mapping
/// rejected.
async fn keep(
    tx: &Tx,
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
    slot: &Slot,
    answers: Vec<Answer>,
) -> Result<(), ApplyFault> {
    let mut rows = InboxRows::into_slot(slot, sorted.fresh.len());
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
