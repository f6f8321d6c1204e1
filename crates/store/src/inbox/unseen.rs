//! What some records would still do: tried, and everything rolled back.

use uuid::Uuid;

use super::batch::{Batch, Sorted};
use super::doubted::map;
use super::fault::ApplyFault;
use super::seen::drop_seen;
use super::slot;
use crate::Store;
use rules::outcome::Attempted;

/// An event that the inbox does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Its place among the batch's entries.
    pub entry: usize,
    /// Its id.
    pub event_id: Uuid,
    /// What would come of it.
    pub outcome: Attempted,
    /// The payment, if the mapping named it.
    pub business_key: Option<String>,
}

/// The events of a batch, each once, that the inbox does not have, with what the mapping would make of
/// them now. Changes nothing.
pub async fn unseen(store: &Store, batch: &Batch<'_>) -> Result<Vec<Unseen>, ApplyFault> {
    let mut sorted = Sorted::new(batch, None);
    let tx = store.begin("unseen").await.map_err(ApplyFault::Engine)?;
    let answers = async {
        drop_seen(&tx, batch, &slot::ALL, &mut sorted).await.map_err(ApplyFault::Engine)?;
        let answers = map(&tx, batch.mapping, &sorted.fresh).await?;
        tx.settle_constraints("").await.map_err(ApplyFault::Mapping)?;
        Ok(answers)
    }
    .await;
    tx.rollback().await;
    let mut found: Vec<Unseen> = (sorted.fresh.iter().zip(answers?))
        .map(|(fresh, answer)| Unseen {
            entry: fresh.entry,
            event_id: fresh.id,
            outcome: answer.outcome.into(),
            business_key: answer.business_key,
        })
        .collect();
    found.sort_by_key(|one| one.entry);
    Ok(found)
}
