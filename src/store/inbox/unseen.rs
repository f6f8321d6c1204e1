//! What some records would still do: tried, and everything rolled back.

use uuid::Uuid;

use super::batch::{Batch, Sorted};
use super::{ApplyFault, drop_seen, map};
use crate::store::{Fault, Store};

/// An event that the inbox does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Its place among the batch's entries.
    pub entry: usize,
    /// Its id.
    pub event_id: Uuid,
    /// The mapping's outcome for it, and the key it named; `None` if the mapping could not be asked.
    pub answer: Option<(&'static str, Option<String>)>,
}

/// The events of a batch, each once, that the inbox does not have, with what the mapping would make of
/// them now; or why it could not be asked. Changes nothing.
pub async fn unseen(
    store: &Store,
    batch: &Batch<'_>,
) -> Result<(Vec<Unseen>, Option<String>), Fault> {
    let mut sorted = Sorted::new(batch, None);
    let tx = store.begin("unseen").await?;
    drop_seen(&tx, batch, &mut sorted).await?;
    let answered = map(&tx, batch.mapping, &sorted.fresh).await;
    tx.rollback().await;
    let (answers, trouble) = match answered {
        Ok(answers) => (answers.into_iter().map(Some).collect::<Vec<_>>(), None),
        Err(ApplyFault::Engine(fault)) => return Err(fault),
        Err(fault) => {
            (sorted.fresh.iter().map(|_| None).collect(), Some(fault.reason_and_advice().0))
        }
    };
    let mut found: Vec<Unseen> = (sorted.fresh.iter().zip(answers))
        .map(|(fresh, answer)| Unseen {
            entry: fresh.entry,
            event_id: fresh.id,
            answer: answer.map(|a| (a.outcome.as_str(), a.business_key)),
        })
        .collect();
    found.sort_by_key(|one| one.entry);
    Ok((found, trouble))
}
