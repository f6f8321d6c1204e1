//! What payments and purchases say, for somebody who compares and writes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use crate::by_keys::{ByKeys, LastFound, by_keys};
use crate::json::JsonText;
use crate::mapping::Mapping;
use crate::payments_query::{PaymentsQuery, Place, Scope, cell, run, time};
use crate::{Fault, Store};
use rules::payment::Payment;

/// Both sides, and how the mapping reads them.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The database with the purchases.
    pub store: &'a Store,
    /// The payments' database, if it is another one.
    pub source: Option<&'a Store>,
    /// The mapping.
    pub mapping: &'a Mapping,
}

impl Beside<'_> {
    /// The payments of some keys, each with its terms; none where the mapping does not say how they are read.
    pub async fn payments(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, (Payment, Value)>, Fault> {
        let Some(sql) = &self.mapping.looks.payments else { return Ok(BTreeMap::new()) };
        let store = self.source.unwrap_or(self.store);
        let side = Side { store, ask: self.mapping.looks.ask(sql) };
        let found = Box::pin(by_keys(keys, &side, &LastFound::default())).await?;
        let payment = |row: &Row| {
            let state = cell(row, "state").unwrap_or_else(|| "unknown".to_owned());
            let event = cell::<JsonText<'_>>(row, "event").map(|text| text.0.to_owned());
            Some((cell(row, "business_key")?, (Payment { state, event }, terms(row))))
        };
        Ok(found.rows.iter().filter_map(payment).collect())
    }

    /// The purchases of some keys: their terms.
    pub async fn purchases(&self, keys: &[String]) -> Result<BTreeMap<String, Value>, Fault> {
        let Some(side) = self.purchases_side() else { return Ok(BTreeMap::new()) };
        let found = Box::pin(by_keys(keys, &side, &LastFound::default())).await?;
        let purchase = |row: &Row| Some((cell(row, "business_key")?, terms(row)));
        Ok(found.rows.iter().filter_map(purchase).collect())
    }

    /// The next purchases in the order of their time, with their places.
    pub async fn purchases_after(
        &self,
        after: &Place,
        until: Timestamp,
        rows: i64,
    ) -> Result<Vec<(Timestamp, String)>, Fault> {
        let Some(side) = self.purchases_side() else { return Ok(Vec::new()) };
        let found = side.ask(Scope::Window { after, until, rows }).await?;
        let place = |row: &Row| Some((time(row, "at"), cell(row, "business_key")?));
        Ok(found.iter().filter_map(place).collect())
    }

    fn purchases_side(&self) -> Option<Side<'_>> {
        let sql = self.mapping.looks.purchases.as_deref()?;
        Some(Side { store: self.store, ask: self.mapping.looks.ask(sql) })
    }
}

fn terms(row: &Row) -> Value {
    let text = cell::<JsonText<'_>>(row, "terms");
    text.and_then(|text| serde_json::from_str(text.0).ok()).unwrap_or_default()
}

/// One of the mapping's statements in transactions of its own.
struct Side<'a> {
    store: &'a Store,
    ask: PaymentsQuery<'a>,
}

impl ByKeys for Side<'_> {
    async fn ask(&self, scope: Scope<'_>) -> Result<Vec<Row>, Fault> {
        let tx = self.store.begin("shadow").await?;
        let rows = run(&tx, self.ask, scope).await;
        tx.rollback().await;
        rows
    }
}
