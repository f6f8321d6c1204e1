//! The mapping, run until each event has its answer.

use std::collections::HashSet;

use super::answers::{Answer, Answers};
use super::batch::Fresh;
use super::fault::ApplyFault;
use super::input::Input;
use super::one_row::Before;
use crate::mapping::Mapping;
use crate::{Tx, purchased};
use rules::outcome::Outcome;

/// Runs the mapping, once more for events without an outcome: another transaction may have won the
/// race for their key, and a new statement sees it. Returns an answer for each event, in their order.
pub(super) async fn map_sound(
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
