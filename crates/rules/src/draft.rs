//! A first mapping for tables as they are: which column is which, what is told apart by name and type, and what only a
//! person can say. What nobody can tell gets a mark that keeps the mapping from fitting until somebody fills it in.

mod event;
mod kinds;
mod statuses;
mod written;

use std::collections::BTreeSet;

pub use event::EventPointers;
pub use statuses::{Meaning, StatusWord};

use super::sql::quoted;
use kinds::DraftKind;

/// What stands where a person has to write something: no column has such a name.
pub const MARK: &str = "FILL_IN";

/// A column, as the catalogue has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftColumn {
    /// Its name.
    pub name: String,
    /// Its type, as PostgreSQL writes it.
    pub kind: String,
    /// Whether an insert must give it a value.
    pub is_required: bool,
    /// Whether PostgreSQL makes its value, as an identity or from other columns.
    pub is_made: bool,
    /// Whether it alone is the primary key.
    pub is_primary: bool,
    /// Whether it alone has a unique index.
    pub is_unique: bool,
    /// The table and column that a foreign key leads to.
    pub points_to: Option<(String, String)>,
}

/// A table with its columns.
#[derive(Clone, Debug, Default)]
pub struct DraftTable {
    /// Its name, as it is written in SQL.
    pub name: String,
    /// Its columns.
    pub columns: Vec<DraftColumn>,
}

/// A value that a purchase takes over from its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedValue {
    /// The purchases' column, as it is written in SQL.
    pub purchase: String,
    /// The payments' column.
    pub payment: String,
    /// Where it stands in an event.
    pub pointer: String,
    /// The type of its field line.
    pub field: String,
    /// The type of the array that `apply.sql` is handed.
    pub param: String,
    /// The type of the column.
    pub kind: String,
    /// Whether a purchase must have it.
    pub is_required: bool,
}

/// A first mapping.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The purchases' table.
    pub purchases: String,
    /// The payments' table.
    pub payments: String,
    /// The payment's key, in both tables.
    pub key: CopiedValue,
    /// The first key there can be, as it is written in SQL.
    pub first_key: &'static str,
    /// What every text of a key looks like; `None` where every text is one.
    pub key_pattern: Option<&'static str>,
    /// What is taken over.
    pub terms: Vec<CopiedValue>,
    /// The purchases' column for the event's id.
    pub event_id: Option<String>,
    /// The purchases' column for when they were made.
    pub purchased_at: Option<String>,
    /// The payments' column that moves when one becomes paid.
    pub paid_at: String,
    /// Whether that column has no zone.
    pub paid_at_is_zoneless: bool,
    /// The payments' status.
    pub status: String,
    /// What its words mean.
    pub meaning: Meaning,
    /// Columns of purchases that must be set and that no payment has, each with its type.
    pub extras: Vec<(String, String)>,
    /// Whether an event was seen that says where values stand.
    pub event_was_seen: bool,
}

/// Names that a payment's last change goes by, the best first.
const PAID_AT: [&str; 7] = [
    "updated_at",
    "modified_at",
    "changed_at",
    "status_at",
    "paid_at",
    "succeeded_at",
    "created_at",
];
/// Names that the time of a purchase goes by.
const PURCHASED_AT: [&str; 5] =
    ["purchased_at", "bought_at", "enrolled_at", "granted_at", "created_at"];
const STATUS: [&str; 4] = ["status", "payment_status", "state", "payment_state"];

/// The column of purchases that has the payment's key, and the table and column it leads to.
pub fn key_of(purchases: &DraftTable) -> Option<(&DraftColumn, Option<&(String, String)>)> {
    let unique = || purchases.columns.iter().filter(|column| column.is_unique);
    let leads = unique().find(|column| column.points_to.is_some());
    let named = || unique().find(|column| column.name.to_lowercase().contains("payment"));
    leads.or_else(named).map(|column| (column, column.points_to.as_ref()))
}

/// The payments' column with the words of their status.
pub fn status_of(payments: &DraftTable) -> Option<&DraftColumn> {
    let named = |name: &&str| payments.columns.iter().find(|column| column.name == **name);
    STATUS.iter().find_map(named)
}

impl Draft {
    /// Tells which column is which. The error says what a person has to name.
    pub fn of(
        purchases: &DraftTable,
        payments: &DraftTable,
        key: (&str, &str),
        words: &[StatusWord],
        places: &EventPointers,
    ) -> Result<Draft, String> {
        let of = |table: &DraftTable, name: &str| {
            let found = table.columns.iter().find(|column| column.name == name).cloned();
            found.ok_or_else(|| format!("{} has no column {name}", table.name))
        };
        let (theirs, id) = (of(purchases, key.0)?, of(payments, key.1)?);
        let kind = DraftKind::of(&theirs.kind).filter(|kind| kind.first_key().is_some());
        let kind = kind.ok_or_else(|| {
            format!(
                "{}.{} is {}; a key is a uuid, a whole number or a text",
                purchases.name, theirs.name, theirs.kind
            )
        })?;
        let paid_at = timed(payments, &PAID_AT).ok_or_else(|| {
            format!(
                "{} has no time that moves when a payment becomes paid, such as updated_at",
                payments.name
            )
        })?;
        let status = status_of(payments)
            .ok_or_else(|| format!("{} has no column such as status", payments.name))?;
        let key_term =
            term(&theirs, &id, kind.clone(), places.of_key(&payments.name, &theirs.name));
        let purchased_at =
            timed(purchases, &PURCHASED_AT).filter(|column| column.kind == kinds::ZONED);
        let taken: BTreeSet<&str> =
            [Some(theirs.name.as_str()), purchased_at.map(|c| c.name.as_str())]
                .into_iter()
                .flatten()
                .collect();
        let event_id = purchases.columns.iter().find(|c| c.name == "event_id" && c.kind == "uuid");
        let rest = purchases.columns.iter().filter(|column| {
            let is_other = !taken.contains(column.name.as_str()) && !column.is_made;
            is_other && !column.is_primary && event_id.is_none_or(|event| event.name != column.name)
        });
        let (mut terms, mut extras) = (Vec::new(), Vec::new());
        for column in rest {
            let same = payments.columns.iter().find(|other| {
                other.name == column.name
                    && other.name != status.name
                    && DraftKind::of(&other.kind) == DraftKind::of(&column.kind)
            });
            match (same, DraftKind::of(&column.kind)) {
                (Some(same), Some(kind)) if kind != DraftKind::Time || column.is_required => {
                    terms.push(term(column, same, kind, places.of(&column.name)));
                }
                _ if column.is_required => extras.push((quoted(&column.name), column.kind.clone())),
                _ => {}
            }
        }
        // A primary key that nothing makes has to come from somewhere too.
        let ids = purchases
            .columns
            .iter()
            .filter(|c| c.is_primary && c.is_required && c.name != theirs.name);
        extras.extend(ids.map(|column| (quoted(&column.name), column.kind.clone())));
        Ok(Draft {
            purchases: purchases.name.clone(),
            payments: payments.name.clone(),
            first_key: kind.first_key().unwrap_or_default(),
            key_pattern: kind.pattern(),
            key: key_term,
            terms,
            event_id: event_id.map(|column| quoted(&column.name)),
            purchased_at: purchased_at.map(|column| quoted(&column.name)),
            paid_at: quoted(&paid_at.name),
            paid_at_is_zoneless: paid_at.kind == kinds::ZONELESS,
            status: quoted(&status.name),
            meaning: Meaning::of(words),
            extras,
            event_was_seen: places.were_seen,
        })
    }

    /// What a person has to fill in or look at, one line each.
    pub fn open(&self) -> Vec<String> {
        let extra = |(column, kind): &(String, String)| {
            format!(
                "apply.sql: {MARK}_{}: what {column} ({kind}) is of a new purchase",
                column.trim_matches('"')
            )
        };
        let word = |word: &StatusWord| {
            format!(
                "apply.sql: \"{}\", the status of {}, is in none of the three lines",
                word.text,
                word.counted()
            )
        };
        let unpaid = self
            .meaning
            .paid
            .is_empty()
            .then(|| format!("apply.sql: {MARK}: which word of {} means paid", self.status));
        let extras = self.extras.iter().map(extra);
        extras.chain(self.meaning.unknown.iter().map(word)).chain(unpaid).collect()
    }
}

fn term(
    column: &DraftColumn,
    other: &DraftColumn,
    kind: DraftKind,
    pointer: String,
) -> CopiedValue {
    CopiedValue {
        purchase: quoted(&column.name),
        payment: quoted(&other.name),
        pointer,
        field: kind.field(),
        param: kind.param().to_owned(),
        kind: kind.column().to_owned(),
        is_required: column.is_required,
    }
}

/// The column with a time, by the best of these names, or the only one there is.
fn timed<'t>(table: &'t DraftTable, names: &[&str]) -> Option<&'t DraftColumn> {
    let times =
        || table.columns.iter().filter(|c| c.kind == kinds::ZONED || c.kind == kinds::ZONELESS);
    let named = names.iter().find_map(|name| times().find(|column| column.name == *name));
    let mut all = times();
    let only = all.next().filter(|_| all.next().is_none());
    named.or(only)
}
