//! Holds events against the payments that they tell of.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use super::ApplyFault;
use super::batch::Fresh;
use crate::pure::payment::{self, Doubt, Payment};
use crate::store::json::JsonText;
use crate::store::mapping::{Mapping, Payments};
use crate::store::payments::{Scope, cell, run};
use crate::store::{Fault, Tx};

/// Notes of each event why it must make no purchase, if it must not. Without `payments` they are believed.
pub(super) async fn verify<'e, 'a: 'e>(
    tx: &Tx,
    mapping: &Mapping,
    payments: Option<Payments<'_>>,
    fresh: impl IntoIterator<Item = &'e mut Fresh<'a>>,
) -> Result<(), ApplyFault> {
    let Some(payments) = payments else { return Ok(()) };
    let events: Vec<(Option<String>, &mut Fresh<'a>)> =
        fresh.into_iter().map(|event| (mapping.key_of(&event.body), event)).collect();
    let keys: BTreeSet<&String> = events.iter().filter_map(|(key, _)| key.as_ref()).collect();
    let keys: Vec<String> = keys.into_iter().cloned().collect();
    if events.is_empty() {
        return Ok(());
    }
    let found = read(tx, payments, &keys).await?;
    for (key, event) in events {
        event.doubt = match key {
            None => Some(Doubt::NoKey),
            Some(key) => payment::doubt(&mapping.fields, &event.body, found.get(&key)),
        };
    }
    Ok(())
}

/// The payments of some keys. A key that is none of the column's type is nobody's, and must not keep the others from
/// being found: what is refused for its value is looked for by halves.
async fn read(
    tx: &Tx,
    payments: Payments<'_>,
    keys: &[String],
) -> Result<BTreeMap<String, Payment>, ApplyFault> {
    let mut found = BTreeMap::new();
    let mut open = vec![keys];
    while let Some(keys) = open.pop() {
        if keys.is_empty() {
            continue;
        }
        match ask(tx, payments, keys).await {
            Ok(rows) => found.extend(rows.iter().filter_map(one)),
            Err(fault) if fault.sqlstate().is_some_and(|code| code.starts_with("22")) => {
                if keys.len() > 1 {
                    let (first, second) = keys.split_at(keys.len() / 2);
                    open.extend([second, first]);
                }
            }
            Err(fault) => return Err(ApplyFault::Payments(fault)),
        }
    }
    Ok(found)
}

async fn ask(tx: &Tx, payments: Payments<'_>, keys: &[String]) -> Result<Vec<Row>, Fault> {
    let scope = Scope::Keys(keys);
    if let Some(source) = payments.source {
        let there = source.begin("source").await?;
        let rows = run(&there, payments.sql, scope).await;
        there.rollback().await;
        return rows;
    }
    tx.batch("SAVEPOINT payments").await?;
    let rows = run(tx, payments.sql, scope).await;
    match &rows {
        Ok(_) => tx.batch("RELEASE SAVEPOINT payments").await?,
        Err(fault) if fault.sqlstate().is_some() => {
            tx.batch("ROLLBACK TO SAVEPOINT payments; RELEASE SAVEPOINT payments").await?;
        }
        Err(_) => {}
    }
    rows
}

/// A row of `payments.sql`; one without a state says of nothing that it was paid.
fn one(row: &Row) -> Option<(String, Payment)> {
    let event = cell::<JsonText<'_>>(row, "event").map(|text| text.0.to_owned());
    let state = cell(row, "state").unwrap_or_else(|| "unknown".to_owned());
    Some((cell(row, "business_key")?, Payment { state, event }))
}
