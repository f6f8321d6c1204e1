//! What a mapping's statement over payments is asked, and what it answers. Knows of no mapping.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use super::json::JsonText;
use super::when::{Sent, When};
use super::{Fault, Tx};
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

/// When a row says that something was; what has no time comes after all that has one.
pub(super) fn time(row: &Row, name: &str) -> Timestamp {
    cell(row, name).map_or(Timestamp::MAX, |When(at)| at)
}

/// A cell, `None` if it is null or of a value that cannot be read.
pub(super) fn cell<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Option<T> {
    row.try_get::<_, Option<T>>(name).ok().flatten()
}

/// A cell of JSON, as its text.
pub(super) fn json(row: &Row, name: &str) -> Option<String> {
    cell::<JsonText<'_>>(row, name).map(|text| text.0.to_owned())
}
