//! Events whose payment is not there, or says something else. The mapping may know better than to make a purchase of
//! them: it exists already, or the mapping rejects or ignores them. So it is asked, and what it did is rolled back; only
//! those that it would apply are refused.

use super::answers::Answer;
use super::batch::Fresh;
use super::fault::ApplyFault;
use super::mapped::map_sound;
use crate::Tx;
use crate::mapping::Mapping;
use rules::error_policy::{Disposition, disposition};
use rules::outcome::Outcome;

/// Runs the mapping; an event in doubt makes no purchase. Returns an answer for each event, in their order.
pub(super) async fn map(
    tx: &Tx,
    mapping: &Mapping,
    fresh: &[Fresh<'_>],
) -> Result<Vec<Answer>, ApplyFault> {
    if fresh.iter().all(|event| event.doubt.is_none()) {
        return map_sound(tx, mapping, fresh).await;
    }
    let (doubted, sound): (Vec<Fresh<'_>>, Vec<Fresh<'_>>) =
        fresh.iter().cloned().partition(|event| event.doubt.is_some());
    let mut sound = map_sound(tx, mapping, &sound).await?.into_iter();
    let mut doubted = without_effect(tx, mapping, &doubted).await?.into_iter();
    let answers = fresh.iter().map(|event| match event.doubt {
        Some(_) => doubted.next(),
        None => sound.next(),
    });
    answers.collect::<Option<Vec<Answer>>>().ok_or(ApplyFault::NoOutcome)
}

/// What the mapping says of events in doubt. What it cannot answer for them is no matter: nobody holds up the others.
async fn without_effect(
    tx: &Tx,
    mapping: &Mapping,
    doubted: &[Fresh<'_>],
) -> Result<Vec<Answer>, ApplyFault> {
    tx.mark().await.map_err(ApplyFault::Engine)?;
    let answers = match map_sound(tx, mapping, doubted).await {
        Ok(answers) => answers.into_iter().map(Some).collect(),
        Err(ApplyFault::NoOutcome | ApplyFault::Altered | ApplyFault::Breach(_)) => {
            vec![None; doubted.len()]
        }
        Err(ApplyFault::Mapping(fault))
            if disposition(fault.sqlstate()) == Disposition::Isolate =>
        {
            vec![None; doubted.len()]
        }
        Err(fault) => return Err(fault),
    };
    tx.undo().await.map_err(ApplyFault::Engine)?;
    let refused = |event: &Fresh<'_>| Answer {
        outcome: Outcome::Rejected,
        business_key: mapping.key_of(&event.body),
        detail: None,
        doubt: event.doubt.clone(),
    };
    let answer = |(event, answer): (&Fresh<'_>, Option<Answer>)| {
        answer.filter(|answer| answer.outcome != Outcome::Applied).unwrap_or_else(|| refused(event))
    };
    Ok(doubted.iter().zip(answers).map(answer).collect())
}
