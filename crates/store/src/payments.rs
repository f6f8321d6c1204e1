//! What the mapping's looks find in the host's tables: payments without a purchase, and contradictions.

use std::error::Error;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::cross_database::{self, Sides};
use super::mapping::Mapping;
pub use super::payments_query::{
    Conflict, LookFault, Missing, PaymentsFound, PaymentsQuery, Place, Scope,
};
use super::payments_query::{cell, json, run, time};
use super::{Fault, Store, Tx};
use rules::states::FindingKind;

/// Looks at payments and purchases the way a mapping says.
#[derive(Clone)]
pub struct Looker {
    mapping: Arc<Mapping>,
    /// The payments' database, if it is not the one with the purchases.
    source: Option<Store>,
}

impl Looker {
    /// A looker; `source` is the payments' database, if it is not the one with the purchases. `None` if
    /// the mapping does not have what that takes, see [`Looks::lacks`](super::mapping::Looks::lacks).
    pub fn new(mapping: Arc<Mapping>, source: Option<Store>) -> Option<Looker> {
        mapping.looks.lacks(source.is_some()).is_none().then_some(Looker { mapping, source })
    }

    fn sides(&self) -> Option<Sides<'_>> {
        let looks = &self.mapping.looks;
        let (source, payments) = self.source.as_ref().zip(looks.payments.as_deref())?;
        let (payments, purchases) = (looks.ask(payments), looks.ask(looks.purchases.as_deref()?));
        Some(Sides { source, payments, purchases })
    }

    /// The mapping.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Payments without a purchase.
    pub async fn missing(
        &self,
        tx: &Tx,
        scope: Scope<'_>,
    ) -> Result<PaymentsFound<Missing>, LookFault> {
        if let Some(sides) = self.sides() {
            return cross_database::missing(sides, tx, scope).await;
        }
        let sql = self.mapping.looks.missing.as_deref().unwrap_or_default();
        let rows = run(tx, self.mapping.looks.ask(sql), scope).await?;
        read("missing.sql", &rows, "event", "paid_at", |row| {
            Some(Missing {
                key: cell(row, "business_key")?,
                paid_at: time(row, "paid_at"),
                event: json(row, "event")?,
            })
        })
    }

    /// The table of the payments, if it has any, paid or not.
    pub async fn any_payment(&self, tx: &Tx) -> Result<Option<String>, Fault> {
        let Some(table) = self.mapping.payments_table(self.source.is_some()) else {
            return Ok(None);
        };
        let sql = format!("SELECT EXISTS (SELECT FROM {table})");
        let rows = match &self.source {
            Some(source) => source.query_host(&sql, &[]).await?,
            None => tx.query_host(&sql, &[]).await?,
        };
        Ok(rows.first().is_some_and(|row| row.get(0)).then_some(table))
    }

    /// Contradictions; none if the mapping has no `conflicts.sql`.
    pub async fn conflicts(
        &self,
        tx: &Tx,
        scope: Scope<'_>,
    ) -> Result<PaymentsFound<Conflict>, LookFault> {
        if let Some(sides) = self.sides() {
            return cross_database::conflicts(sides, tx, scope).await;
        }
        let Some(sql) = &self.mapping.looks.conflicts else {
            return Ok(PaymentsFound::default());
        };
        let rows = run(tx, self.mapping.looks.ask(sql), scope).await?;
        read("conflicts.sql", &rows, "kind", "at", |row| {
            let kind = cell(row, "kind").filter(|k: &String| k.parse::<FindingKind>().is_err())?;
            Some(Conflict {
                key: cell(row, "business_key")?,
                at: Some(time(row, "at")),
                kind,
                expected: json(row, "expected"),
                found: json(row, "found"),
            })
        })
    }
}

/// Parts the rows: those that carry `mark` are findings, the one that does not is the window's edge.
fn read<T>(
    name: &str,
    rows: &[Row],
    mark: &str,
    time: &str,
    item: impl Fn(&Row) -> Option<T>,
) -> Result<PaymentsFound<T>, LookFault> {
    let breach = |what: &str| LookFault::Breach(format!("{name} returned {what}"));
    let mut found =
        PaymentsFound { items: Vec::with_capacity(rows.len()), ..PaymentsFound::default() };
    for row in rows {
        if cell::<Filled>(row, mark).is_some() {
            found.items.push(
                item(row).ok_or_else(|| breach("a row whose key or kind is null or reserved"))?,
            );
        } else if found.edge.is_some() {
            return Err(breach("two rows for the window's edge"));
        } else {
            found.edge =
                Some(Place { at: Some(self::time(row, time)), key: cell(row, "business_key") });
            found.compared =
                cell(row, "compared").ok_or_else(|| breach("no number of payments"))?;
            found.read = found.compared;
        }
    }
    Ok(found)
}

/// Any value at all.
struct Filled;

impl FromSql<'_> for Filled {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Filled)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
