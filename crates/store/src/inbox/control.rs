//! A control: an event that is known to be sound, tried under a key that nobody has, and rolled back. If it gets
//! through, the world works, also where nothing new is left to insert.

use std::borrow::Cow;

use jiff::Timestamp;
use uuid::Uuid;

use super::batch::Fresh;
use super::doubted::map;
use super::fault::ApplyFault;
use crate::Tx;
use crate::mapping::Mapping;
use rules::envelope;
use rules::fields::Body;
use rules::outcome::Outcome;

/// Whether the mapping applies the event `sound` under a fresh key now.
pub(super) async fn works(tx: &Tx, mapping: &Mapping, sound: &str) -> Result<bool, ApplyFault> {
    let id = Uuid::new_v4();
    let Some(json) = mapping.with_fresh_key(sound, id) else { return Ok(false) };
    let body = Cow::Owned(Body::read(&json, &mapping.fields));
    let event = Fresh::new(0, id, envelope::digest(json.as_bytes()), body, Timestamp::now());
    tx.mark().await.map_err(ApplyFault::Engine)?;
    let answered = async {
        let answers = map(tx, mapping, std::slice::from_ref(&event)).await?;
        tx.settle_constraints("").await.map_err(ApplyFault::Mapping)?;
        Ok(answers)
    }
    .await;
    if let Err(ApplyFault::Mapping(fault)) = &answered
        && fault.sqlstate().is_none()
    {
        return Err(ApplyFault::Mapping(fault.clone()));
    }
    tx.undo().await.map_err(ApplyFault::Engine)?;
    Ok(answered.is_ok_and(|answers: Vec<_>| {
        answers.iter().any(|answer| answer.outcome == Outcome::Applied)
    }))
}
