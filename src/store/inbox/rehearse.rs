//! The mapping tried on events, and everything rolled back.

use std::collections::BTreeMap;

use super::batch::{Batch, Sorted};
use super::{ApplyFault, map};
use crate::store::mapping::Mapping;
use crate::store::{Fault, Store, Tx};

/// What would come of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// Its place among the batch's entries.
    pub entry: usize,
    /// The mapping's outcome.
    pub outcome: &'static str,
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
    let sorted = Sorted::new(batch, None);
    let tx = store.begin("rehearse").await.map_err(ApplyFault::Engine)?;
    let outcome = async {
        let answers = map(&tx, batch.mapping, &sorted.fresh).await?;
        tx.batch("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(ApplyFault::Mapping)?;
        let keys: Vec<&str> = answers.iter().filter_map(|a| a.business_key.as_deref()).collect();
        let rows = match shown && !keys.is_empty() {
            true => rows_of(&tx, batch.mapping, &keys).await.map_err(ApplyFault::Engine)?,
            false => BTreeMap::new(),
        };
        let mut rehearsed: Vec<Rehearsed> = (sorted.fresh.iter().zip(answers))
            .map(|(fresh, answer)| Rehearsed {
                entry: fresh.entry,
                outcome: answer.outcome.as_str(),
                rows: (answer.business_key.as_ref())
                    .and_then(|key| rows.get(key).cloned())
                    .unwrap_or_default(),
                business_key: answer.business_key,
                detail: answer.detail,
            })
            .collect();
        rehearsed.sort_by_key(|r| r.entry);
        Ok(rehearsed)
    }
    .await;
    tx.rollback().await;
    outcome
}

/// The rows of the table with the purchases under some keys, as this transaction sees them. A key that is
/// no value of the column finds nothing, and so do all others then.
async fn rows_of(
    tx: &Tx,
    mapping: &Mapping,
    keys: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let sql = include_str!("../../../sql/core/key_type.sql");
    let found = tx.query(sql, &[&mapping.table, &mapping.column]).await?;
    let Some(row) = found.first() else { return Ok(BTreeMap::new()) };
    let (table, column, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    // Names from the catalogue, written as it says; cast to the column's type, so that its index is used.
    let sql = format!(
        "SELECT t.{column}::text, to_jsonb(t)::text FROM {table} t WHERE t.{column} = ANY ($1::text[]::{kind}[])"
    );
    tx.batch("SAVEPOINT rows").await?;
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match tx.query(&sql, &[&keys]).await {
        Ok(found) => {
            for row in &found {
                rows.entry(row.get(0)).or_default().push(row.get(1));
            }
        }
        Err(Fault::Refused { .. }) => tx.batch("ROLLBACK TO SAVEPOINT rows").await?,
        Err(lost) => return Err(lost),
    }
    Ok(rows)
}
