//! What the mapping's looks find in the host's tables: payments without a purchase, and contradictions.

use std::error::Error;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};

use super::cross_database::{self, Sides};
use super::json::JsonText;
use super::mapping::Mapping;
use super::when::{Sent, When};
use super::{Fault, Store, Tx};
use rules::states::FindingKind;
use rules::statuses::Statuses;

/// A place in the order of time and key; the default is before the first payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The time a payment became paid.
    pub at: Option<Timestamp>,
    /// Its key; `None` before all of that time.
    pub key: Option<String>,
}

/// Which payments to look at.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The next ones after a place that became paid before a time, at most so many.
    Window {
        /// Where the last window ended.
        after: &'a Place,
        /// The time.
        until: Timestamp,
        /// How many.
        rows: i64,
    },
    /// These.
    Keys(&'a [String]),
}

impl<'a> Scope<'a> {
    /// As the parameters of a look.
    pub(super) fn params(self) -> Params<'a> {
        match self {
            Scope::Window { after, until, rows } => Params {
                at: after.at.sent(),
                key: after.key.as_deref(),
                until: Some(until.sent()),
                rows: Some(rows),
                keys: None,
            },
            Scope::Keys(keys) => Params { keys: Some(keys), ..Params::default() },
        }
    }
}

/// Which payments, as a statement takes it.
#[derive(Default)]
pub(super) struct Params<'a> {
    at: Option<When>,
    key: Option<&'a str>,
    until: Option<When>,
    rows: Option<i64>,
    keys: Option<&'a [String]>,
}

impl Params<'_> {
    /// In their order, for a statement that may take what the words of the status mean as well.
    pub(super) fn each<'p>(&'p self, ask: PaymentsQuery<'p>) -> Vec<&'p (dyn ToSql + Sync)> {
        let mut each: Vec<&(dyn ToSql + Sync)> =
            vec![&self.at, &self.key, &self.until, &self.rows, &self.keys];
        ask.statuses_behind(&mut each);
        each
    }
}

/// A statement of the mapping that reads.
#[derive(Clone, Copy)]
pub struct PaymentsQuery<'a> {
    /// Its text.
    pub sql: &'a str,
    /// What the words of the payments' status mean.
    pub statuses: &'a Statuses,
}

impl<'a> PaymentsQuery<'a> {
    /// Puts them behind the statement's other parameters, as far as it takes them.
    pub(super) fn statuses_behind(self, params: &mut Vec<&'a (dyn ToSql + Sync)>) {
        let Statuses { paid, refunded, .. } = self.statuses;
        let lists: [&'a (dyn ToSql + Sync); 2] = [paid, refunded];
        params.extend(&lists[..Statuses::taken(self.sql, params.len())]);
    }
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentsFound<T> {
    /// What it was looking for.
    pub items: Vec<T>,
    /// How many payments were looked at.
    pub compared: i64,
    /// How many rows the window had, of those it could have had; more are behind it if it is full.
    pub read: i64,
    /// The last of them; `None` if there was none.
    pub edge: Option<Place>,
}

impl<T> Default for PaymentsFound<T> {
    fn default() -> PaymentsFound<T> {
        PaymentsFound { items: Vec::new(), compared: 0, read: 0, edge: None }
    }
}

impl<T> PaymentsFound<T> {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: PaymentsFound<T>) {
        self.items.extend(other.items);
        self.compared += other.compared;
    }
}

/// A payment without a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The payment, as the mapping names it.
    pub key: String,
    /// When it became paid.
    pub paid_at: Timestamp,
    /// Its event, as JSON text.
    pub event: String,
}

/// A contradiction between a payment and a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The payment.
    pub key: String,
    /// When it or its purchase was last changed.
    pub at: Option<Timestamp>,
    /// What kind of contradiction, one word.
    pub kind: String,
    /// What the payment says, as JSON text.
    pub expected: Option<String>,
    /// What the purchase says, as JSON text.
    pub found: Option<String>,
}

/// Why a look came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookFault {
    /// The statement failed.
    #[error(transparent)]
    Failed(#[from] Fault),
    /// It did not keep its contract.
    #[error("{0}")]
    Breach(String),
}

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

/// Runs a statement that reads. Rows that a policy hides make it fail: they must not pass for rows that are not
/// there.
pub(super) async fn run(
    tx: &Tx,
    ask: PaymentsQuery<'_>,
    scope: Scope<'_>,
) -> Result<Vec<Row>, Fault> {
    tx.batch("SET LOCAL row_security = off").await?;
    let rows = tx.query_host(ask.sql, &scope.params().each(ask)).await?;
    tx.batch("SET LOCAL row_security TO DEFAULT").await?;
    Ok(rows)
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

/// When a row says that something was; what has no time comes after all that has one.
pub(super) fn time(row: &Row, name: &str) -> Timestamp {
    cell(row, name).map_or(Timestamp::MAX, |When(at)| at)
}

/// A cell, `None` if it is null or of a value that cannot be read.
pub(super) fn cell<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Option<T> {
    row.try_get::<_, Option<T>>(name).ok().flatten()
}

fn json(row: &Row, name: &str) -> Option<String> {
    cell::<JsonText<'_>>(row, name).map(|text| text.0.to_owned())
}
