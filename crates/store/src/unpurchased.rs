//! Payments without a purchase, told apart: to be made good, or gone since.

use std::collections::BTreeMap;

use super::Tx;
use super::findings::{self, Standing};
use super::payments::{LookFault, Looker, Missing, Scope};
use rules::ids::RouteId;

/// See the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpurchased {
    /// To be made good.
    pub missing: Vec<Missing>,
    /// They had a purchase once, and it was removed: for people.
    pub gone: Vec<Missing>,
    /// Their events are in quarantine.
    pub refused: Vec<Missing>,
}

/// Tells apart what a look found.
pub async fn sort(
    tx: &Tx,
    looker: &Looker,
    route: RouteId,
    job: &str,
    found: Vec<Missing>,
) -> Result<Unpurchased, LookFault> {
    let keys: Vec<String> = found.iter().map(|m| m.key.clone()).collect();
    let health = findings::standing(tx, route, job, &keys).await?;
    let still = still_missing(tx, looker, &health).await?;
    let mut sorted = Unpurchased::default();
    for one in found {
        match health.get(&one.key) {
            None => sorted.missing.push(one),
            Some(Standing::Gone) if still.contains_key(&one.key) => sorted.gone.push(one),
            Some(Standing::Refused) => sorted.refused.push(one),
            Some(Standing::Gone | Standing::Settled) => {}
        }
    }
    Ok(sorted)
}

/// The purchase of an event that the inbox has can have come with it, after the look and before the
/// inbox was asked; only one that a second look does not see either is gone.
async fn still_missing(
    tx: &Tx,
    looker: &Looker,
    health: &BTreeMap<String, Standing>,
) -> Result<BTreeMap<String, Missing>, LookFault> {
    let gone = health.iter().filter(|(_, s)| **s == Standing::Gone);
    let keys: Vec<String> = gone.map(|(key, _)| key.clone()).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = looker.missing(tx, Scope::Keys(&keys)).await?;
    Ok(found.items.into_iter().map(|m| (m.key.clone(), m)).collect())
}
