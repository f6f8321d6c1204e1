//! Holds events against the payments that they tell of.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use super::batch::Fresh;
use super::fault::ApplyFault;
use crate::by_keys::{ByKeys, by_keys};
use crate::json::JsonText;
use crate::mapping::{Mapping, Payments};
use crate::payments_query::{Scope, cell, run};
use crate::{Fault, Tx};
use rules::payment::{self, Doubt, Payment};

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
    let within = Within { tx, payments };
    let asked = Box::pin(by_keys(&keys, &within, payments.last_found)).await;
    let asked = asked.map_err(ApplyFault::Payments)?;
    let found: BTreeMap<String, Payment> = asked.rows.iter().filter_map(one).collect();
    for (key, event) in events {
        event.doubt = match key {
            None => Some(Doubt::NoKey),
            Some(key) => match asked.refused.get(&key) {
                Some(fault) => Some(Doubt::Refused(fault.to_string())),
                None => payment::doubt(&mapping.fields, &event.body, found.get(&key)),
            },
        };
    }
    Ok(())
}

/// `payments.sql`, run within a transaction.
struct Within<'t> {
    tx: &'t Tx,
    payments: Payments<'t>,
}

impl ByKeys for Within<'_> {
    async fn ask(&self, scope: Scope<'_>) -> Result<Vec<Row>, Fault> {
        let Within { tx, payments } = self;
        if let Some(source) = payments.source {
            let there = source.begin("source").await?;
            let rows = run(&there, payments.ask, scope).await;
            there.rollback().await;
            return rows;
        }
        tx.attempt(Box::pin(run(tx, payments.ask, scope))).await
    }
}

/// A row of `payments.sql`; one without a state says of nothing that it was paid.
fn one(row: &Row) -> Option<(String, Payment)> {
    let event = cell::<JsonText<'_>>(row, "event").map(|text| text.0.to_owned());
    let state = cell(row, "state").unwrap_or_else(|| "unknown".to_owned());
    Some((cell(row, "business_key")?, Payment { state, event }))
}
