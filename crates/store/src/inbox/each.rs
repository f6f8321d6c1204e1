//! A few records one by one in one transaction, each behind a savepoint: where many are refused, halving in fresh
//! transactions costs a commit for each of them.

use std::collections::BTreeMap;

use super::answers::Answer;
use super::batch::{Applied, Batch, Fresh, Sorted};
use super::control::works;
use super::doubted::map;
use super::fault::{ApplyFault, end};
use super::{answers, finish, keep, look};
use crate::quarantine::Refusal;
use crate::{Store, Tx};
use rules::error_policy::{Disposition, disposition};
use rules::outcome::Outcome;

/// So long may one record take here. What takes longer is a suspect, and is tried again alone with all the time. And a
/// plan for few rows is made once, not for each of them.
const BOUND: &str =
    "SET LOCAL statement_timeout = '3s'; SET LOCAL plan_cache_mode = force_generic_plan";
/// The rest is about all of them: it is planned for the tables as they are.
const UNPLANNED: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

/// What came of one record.
enum Tried {
    Answered(Answer),
    Refused(ApplyFault),
}

/// Applies the events of a batch one by one, all in one transaction. What is refused is put away: as judged if
/// another one was applied after it and it was then refused again, or if an event that is known to be sound gets
/// through under a fresh key both before and after it was refused again; else as a suspect. `sound` is that event's
/// JSON.
pub async fn apply_each(
    store: &Store,
    batch: &Batch<'_>,
    sound: Option<&str>,
) -> Result<Applied, ApplyFault> {
    let mut sorted = Sorted::new(batch, None);
    let tx = store.begin("apply_each").await.map_err(ApplyFault::Engine)?;
    let outcome = run(store, &tx, batch, &mut sorted, sound).await;
    end(tx, outcome).await.map(|()| sorted.applied())
}

async fn run(
    store: &Store,
    tx: &Tx,
    batch: &Batch<'_>,
    sorted: &mut Sorted<'_>,
    sound: Option<&str>,
) -> Result<(), ApplyFault> {
    let slot = look(tx, batch, sorted).await?;
    tx.batch(BOUND).await.map_err(ApplyFault::Engine)?;
    let mut fresh = std::mem::take(&mut sorted.fresh);
    // In the order they were read, which is the order that shows what was applied after what.
    fresh.sort_by_key(|event| event.entry);
    let tried = try_each(tx, batch, &fresh).await?;
    let judged = judge(tx, batch, &fresh, &tried, sound).await?;
    tx.batch(UNPLANNED).await.map_err(ApplyFault::Engine)?;
    let mut answers = Vec::with_capacity(fresh.len());
    // One look at the catalogue for all that are refused for the same.
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let source = batch.payments.and_then(|payments| payments.source);
    for ((event, tried), is_own) in fresh.into_iter().zip(tried).zip(judged) {
        match tried {
            Tried::Answered(answer) => {
                answers.push(answer);
                sorted.fresh.push(event);
            }
            Tried::Refused(fault) => {
                let reason = fault.diagnosis().reason;
                let advice = match known.get(&reason) {
                    Some(advice) => advice.clone(),
                    None => fault.advice(store, source, batch.mapping).await,
                };
                known.insert(reason, advice.clone());
                let refusal = Refusal { is_suspect: !is_own, ..fault.refusal(advice) };
                sorted.refused.push((event.entry, refusal));
            }
        }
    }
    keep(tx, batch, sorted, &slot, answers).await?;
    finish(tx, batch, sorted).await
}

async fn try_each(
    tx: &Tx,
    batch: &Batch<'_>,
    fresh: &[Fresh<'_>],
) -> Result<Vec<Tried>, ApplyFault> {
    let mut tried = Vec::with_capacity(fresh.len());
    tx.mark().await.map_err(ApplyFault::Engine)?;
    for event in fresh {
        tried.push(try_one(tx, batch, event).await?);
    }
    tx.keep().await.map_err(ApplyFault::Engine)?;
    Ok(tried)
}

/// Tries one event behind a savepoint, and leaves a savepoint for the next one; in few statements, for what counts here is
/// how often the server is waited for. Fails with what is no event's own doing.
async fn try_one(tx: &Tx, batch: &Batch<'_>, event: &Fresh<'_>) -> Result<Tried, ApplyFault> {
    let answered = async {
        let answers = answers(tx, batch, std::slice::from_ref(event)).await?;
        let next = "RELEASE SAVEPOINT mark; SAVEPOINT mark";
        tx.settle_constraints(next).await.map_err(ApplyFault::Mapping)?;
        Ok(answers)
    }
    .await;
    match answered {
        Ok(mut answers) => {
            let answer = answers.pop().ok_or(ApplyFault::NoOutcome)?;
            // Only the look-up of the inbox tells a rejection from an event that was applied before.
            if answer.outcome == Outcome::Rejected && !batch.looks {
                return Err(ApplyFault::Raced);
            }
            Ok(Tried::Answered(answer))
        }
        Err(fault) => {
            let may_be_its_own = match &fault {
                ApplyFault::Mapping(inner) => disposition(inner.sqlstate()) == Disposition::Isolate,
                ApplyFault::NoOutcome | ApplyFault::Altered | ApplyFault::Breach(_) => true,
                _ => false,
            };
            if !may_be_its_own {
                return Err(fault);
            }
            tx.batch("ROLLBACK TO SAVEPOINT mark").await.map_err(ApplyFault::Engine)?;
            Ok(Tried::Refused(fault))
        }
    }
}

/// Which of the refused ones are at fault themselves.
async fn judge(
    tx: &Tx,
    batch: &Batch<'_>,
    fresh: &[Fresh<'_>],
    tried: &[Tried],
    sound: Option<&str>,
) -> Result<Vec<bool>, ApplyFault> {
    let is_applied = |t: &Tried| matches!(t, Tried::Answered(a) if a.outcome == Outcome::Applied);
    let last_applied = tried.iter().rposition(is_applied);
    let may_judge =
        |t: &Tried| matches!(t, Tried::Refused(fault) if fault.sqlstate() != Some("57014"));
    let open: Vec<usize> = (0..tried.len()).filter(|at| may_judge(&tried[*at])).collect();
    let (followed, rest): (Vec<usize>, Vec<usize>) =
        open.into_iter().partition(|at| last_applied.is_some_and(|last| *at < last));
    let mut judged = vec![false; tried.len()];
    for at in followed {
        judged[at] = is_refused_again(tx, batch, &fresh[at]).await?;
    }
    let Some(sound) = sound.filter(|_| !rest.is_empty()) else { return Ok(judged) };
    if !works(tx, batch.mapping, sound).await? {
        return Ok(judged);
    }
    let mut again = Vec::new();
    for at in rest {
        if is_refused_again(tx, batch, &fresh[at]).await? {
            again.push(at);
        }
    }
    if works(tx, batch.mapping, sound).await? {
        again.into_iter().for_each(|at| judged[at] = true);
    }
    Ok(judged)
}

/// Whether an event is refused once more. One that is taken now is left to be tried again as a suspect.
async fn is_refused_again(
    tx: &Tx,
    batch: &Batch<'_>,
    event: &Fresh<'_>,
) -> Result<bool, ApplyFault> {
    let answered = async {
        let map = map(tx, batch.mapping, std::slice::from_ref(event));
        // Both are sent before the first is answered.
        let (marked, answers) = tokio::join!(tx.mark(), map);
        marked.map_err(ApplyFault::Engine)?;
        answers?;
        tx.settle_constraints("").await.map_err(ApplyFault::Mapping)
    }
    .await;
    if let Err(fault) = &answered
        && fault.sqlstate().is_none()
        && !matches!(fault, ApplyFault::NoOutcome | ApplyFault::Altered | ApplyFault::Breach(_))
    {
        return answered.map(|()| false);
    }
    tx.undo().await.map_err(ApplyFault::Engine)?;
    Ok(answered.is_err_and(|fault| fault.sqlstate() != Some("57014")))
}
