//! A purchase that was there and was removed, after a refund say, is not made again by an event that only its place
//! in a log tells apart from the one that made it: on a log that was made anew each has another place. Nor is it
//! by a replay. The inbox knows that it was there.

use std::collections::BTreeSet;

use super::answers::Answer;
use super::batch::Fresh;
use super::doubted::map;
use super::fault::ApplyFault;
use crate::mapping::Mapping;
use crate::{Fault, Tx};
use rules::ids::RouteId;
use rules::outcome::Outcome;

const REMOVED: &str = "its purchase was made before and removed since, so it is not made again";

/// Runs the mapping. An event that may have made its purchase before under another id, and would make one which was
/// removed, is ignored, and says why. One with an id of its own is of another payment of the same thing, paid again say.
pub(super) async fn map_unless_gone(
    tx: &Tx,
    route: RouteId,
    mapping: &Mapping,
    fresh: &[Fresh<'_>],
    may_be_known: impl Fn(&Fresh<'_>) -> bool,
) -> Result<Vec<Answer>, ApplyFault> {
    tx.mark().await.map_err(ApplyFault::Engine)?;
    let answers = map(tx, mapping, fresh).await?;
    let doubted = fresh.iter().zip(&answers).filter(|(event, _)| may_be_known(event));
    let had = had(tx, route, doubted.map(|(_, answer)| answer)).await;
    let had = had.map_err(ApplyFault::Engine)?;
    if had.is_empty() {
        tx.keep().await.map_err(ApplyFault::Engine)?;
        return Ok(answers);
    }
    tx.undo().await.map_err(ApplyFault::Engine)?;
    let is_gone = |event: &Fresh<'_>, answer: &Answer| {
        may_be_known(event)
            && answer.outcome == Outcome::Applied
            && answer.business_key.as_ref().is_some_and(|key| had.contains(key))
    };
    let others = fresh.iter().zip(&answers).filter(|(event, answer)| !is_gone(event, answer));
    let others: Vec<Fresh<'_>> = others.map(|(event, _)| event.clone()).collect();
    let mut again = map(tx, mapping, &others).await?.into_iter();
    let answer = |(event, answer): (&Fresh<'_>, Answer)| {
        if is_gone(event, &answer) {
            let detail = Some(REMOVED.to_owned());
            return Some(Answer { outcome: Outcome::Ignored, detail, ..answer });
        }
        again.next()
    };
    let answers = fresh.iter().zip(answers).map(answer);
    answers.collect::<Option<Vec<Answer>>>().ok_or(ApplyFault::NoOutcome)
}

/// Which of the payments whose purchases were just made had one before.
async fn had(
    tx: &Tx,
    route: RouteId,
    answers: impl Iterator<Item = &Answer>,
) -> Result<BTreeSet<String>, Fault> {
    let made = answers.filter(|answer| answer.outcome == Outcome::Applied);
    let keys: Vec<&str> = made.filter_map(|answer| answer.business_key.as_deref()).collect();
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows =
        tx.query(include_str!("../../../../sql/core/inbox_had.sql"), &[&keys, &route]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
