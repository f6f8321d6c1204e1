//! The mapping tried on events, and everything rolled back.

use std::collections::BTreeMap;

use super::batch::{Batch, Sorted};
use super::doubted::map;
use super::fault::ApplyFault;
use super::verify::verify;
use crate::Store;
use crate::purchased::rows_of;
use rules::outcome::Attempted;

/// What would come of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// Its place among the batch's entries.
    pub entry: usize,
    /// What the mapping answered, or why its payment does not bear it out.
    pub outcome: Attempted,
    /// The key it named.
    pub business_key: Option<String>,
    /// What it said besides.
    pub detail: Option<String>,
    /// The rows under that key, as JSON, if they were asked for; for `applied` it is the one it would make.
    pub rows: Vec<String>,
}

/// Runs the mapping on a batch's events, each id once, and rolls back. Neither inbox nor position is
/// touched, so an event that was taken in before is tried as well. `shown`: the rows are looked up too.
pub async fn rehearse(
    store: &Store,
    batch: &Batch<'_>,
    shown: bool,
) -> Result<Vec<Rehearsed>, ApplyFault> {
    let mut sorted = Sorted::new(batch, None);
    let tx = store.begin("rehearse").await.map_err(ApplyFault::Engine)?;
    let outcome = async {
        verify(&tx, batch.mapping, batch.payments, &mut sorted.fresh).await?;
        let answers = map(&tx, batch.mapping, &sorted.fresh).await?;
        tx.settle_constraints("").await.map_err(ApplyFault::Mapping)?;
        let keys: Vec<&str> = answers.iter().filter_map(|a| a.business_key.as_deref()).collect();
        let rows = match shown && !keys.is_empty() {
            true => rows_of(&tx, batch.mapping, &keys).await.map_err(ApplyFault::Engine)?,
            false => BTreeMap::new(),
        };
        let mut rehearsed: Vec<Rehearsed> = (sorted.fresh.iter().zip(answers))
            .map(|(fresh, answer)| Rehearsed {
                entry: fresh.entry,
                outcome: Attempted::of(answer.doubt.as_ref(), answer.outcome),
                rows: (answer.business_key.as_ref())
                    .and_then(|key| rows.get(key).cloned())
                    .unwrap_or_default(),
                business_key: answer.business_key,
                detail: answer.doubt.map(|doubt| doubt.detail()).or(answer.detail),
            })
            .collect();
        rehearsed.sort_by_key(|r| r.entry);
        Ok(rehearsed)
    }
    .await;
    tx.rollback().await;
    outcome
}
