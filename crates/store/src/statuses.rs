//! The words that stand in the payments' status, and those that no line of the mapping names: no window ever looks at
//! such a payment.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::json::JsonText;
use super::mapping::Mapping;
use super::when::Sent;
use super::{Fault, Store};
use rules::sql::quoted;

/// How many payments of other words are counted.
const COUNTED: i64 = 10_000;
/// How a payment without a status is called among those with one.
const NULL: &str = "null";
/// The farthest that a zone's clock is from UTC.
const ZONES: &str = "16 hours";

/// A word, and how many payments have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCount {
    /// The status; `None` is null.
    pub status: Option<String>,
    /// How many.
    pub payments: i64,
}

/// What a job, or a run, has seen of the words that nobody named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnnamedStatuses {
    /// The words, and how many payments have each; null is written as such a word.
    pub unnamed: BTreeMap<String, i64>,
    /// Why some payments could not be looked at for them.
    pub unseen: Option<String>,
}

impl UnnamedStatuses {
    pub(super) fn of(text: JsonText<'_>) -> UnnamedStatuses {
        // Nobody else writes it; what cannot be read is seen again.
        serde_json::from_str(text.0).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Adds the words of further payments.
    pub fn add(&mut self, words: Vec<StatusCount>) {
        for StatusCount { status, payments } in words {
            *self.unnamed.entry(status.unwrap_or_else(|| NULL.to_owned())).or_default() += payments;
        }
    }

    /// Adds the words of payments that may have been counted before.
    pub fn merge(&mut self, other: &UnnamedStatuses) {
        for (word, payments) in &other.unnamed {
            let known = self.unnamed.entry(word.clone()).or_default();
            *known = (*known).max(*payments);
        }
        if other.unseen.is_some() {
            self.unseen.clone_from(&other.unseen);
        }
    }

    /// The words, the most frequent first.
    pub fn words(&self) -> Vec<StatusCount> {
        let word = |(word, payments): (&String, &i64)| StatusCount {
            status: (word != NULL).then(|| word.clone()),
            payments: *payments,
        };
        let mut words: Vec<StatusCount> = self.unnamed.iter().map(word).collect();
        words.sort_by_key(|word| Reverse(word.payments));
        words
    }
}

/// Some payments, by the time that windows go by.
#[derive(Clone, Copy, Debug)]
pub struct PaymentsRange {
    /// From then on; `None` for the first.
    pub from: Option<Timestamp>,
    /// Before then; `None` for all that follow.
    pub until: Option<Timestamp>,
    /// Those without a time too.
    pub timeless: bool,
    /// Whether payments of somewhat earlier do no harm.
    pub is_rough: bool,
}

/// The words that nobody named, with the number of payments that have them, of so many as are counted; `None` where the
/// mapping does not name the column. `store` is the payments' database.
pub async fn unnamed(store: &Store, mapping: &Mapping) -> Result<Option<Vec<StatusCount>>, Fault> {
    let Some((table, column)) = &mapping.looks.statuses.column else { return Ok(None) };
    unnamed_where(store, mapping, (table, column), "true", &[]).await.map(Some)
}

/// The same of some payments, read by the index that the mapping names; `None` where it names none whose column is a
/// time.
pub async fn unnamed_within(
    store: &Store,
    mapping: &Mapping,
    elsewhere: bool,
    range: PaymentsRange,
) -> Result<Option<Vec<StatusCount>>, Fault> {
    let Some((table, column)) = &mapping.looks.statuses.column else { return Ok(None) };
    let Some(at) = mapping.time_of_status(elsewhere) else { return Ok(None) };
    let shape = store.describe(&format!("SELECT {at} AS at FROM {table}")).await?;
    let slack = match shape.columns.first() {
        Some((_, Type::TIMESTAMPTZ)) => "0",
        // Its zone is not known here; one range follows the other all the same.
        Some((_, Type::TIMESTAMP | Type::DATE)) if range.is_rough => ZONES,
        Some((_, Type::TIMESTAMP | Type::DATE)) => "0",
        _ => return Ok(None),
    };
    let from = range.from.unwrap_or(Timestamp::MIN).sent();
    let until = range.until.map(|until| until.sent());
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&from];
    let mut condition = format!("{at} >= $2::timestamptz - interval '{slack}'");
    if let Some(until) = &until {
        params.push(until);
        condition += &format!(" AND {at} < $3::timestamptz");
    }
    if range.timeless {
        condition = format!("({condition} OR {at} IS NULL)");
    }
    let words = unnamed_where(store, mapping, (table, column), &condition, &params).await?;
    Ok(Some(words))
}

async fn unnamed_where(
    store: &Store,
    mapping: &Mapping,
    (table, column): (&str, &str),
    condition: &str,
    more: &[&(dyn ToSql + Sync)],
) -> Result<Vec<StatusCount>, Fault> {
    let column = quoted(column);
    let sql = format!(
        "SELECT word AS status, pg_catalog.count(*) AS payments
         FROM (SELECT {column}::text AS word FROM {table}
               WHERE ({column}::text = ANY ($1::text[])) IS NOT TRUE AND {condition} LIMIT {COUNTED}) others
         GROUP BY word ORDER BY payments DESC, word LIMIT 20"
    );
    let known = mapping.looks.statuses.known();
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&known];
    params.extend(more);
    Ok(store.query_host(&sql, &params).await?.iter().map(word).collect())
}

/// All words, with the number of payments that have them.
pub async fn all(store: &Store, mapping: &Mapping) -> Result<Vec<StatusCount>, Fault> {
    let Some((table, column)) = &mapping.looks.statuses.column else { return Ok(Vec::new()) };
    let column = quoted(column);
    let sql = format!(
        "SELECT {column}::text AS status, pg_catalog.count(*) AS payments
         FROM {table} GROUP BY 1 ORDER BY payments DESC, status LIMIT 20"
    );
    Ok(store.query_host(&sql, &[]).await?.iter().map(word).collect())
}

fn word(row: &Row) -> StatusCount {
    StatusCount { status: row.get("status"), payments: row.get("payments") }
}

/// Words with their numbers, as one text.
pub fn told(words: &[StatusCount]) -> String {
    let one = |word: &StatusCount| {
        let most = if word.payments >= COUNTED { " or more" } else { "" };
        format!("{} ({}{most})", word.status.as_deref().unwrap_or("null"), word.payments)
    };
    words.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What is wrong with words that nobody named, and the way out.
pub fn complaint(mapping: &Mapping, words: &[StatusCount]) -> Option<(String, String)> {
    let (table, _) = mapping.looks.statuses.column.as_ref().filter(|_| !words.is_empty())?;
    let says = format!(
        "{table} has payments with a status that no line of the mapping names, so that nobody looks at them: {}",
        told(words)
    );
    let first = words.iter().find_map(|word| word.status.clone()).unwrap_or_default();
    let fix = format!(
        "add each to the line at the top of apply.sql that it belongs to, and reload: paid, refunded or not-paid, as in: -- makegood: not-paid {}{first}{}",
        mapping.looks.statuses.not_paid.iter().map(|word| format!("{word}, ")).collect::<String>(),
        if mapping.is_built_in() {
            " (`makegood mapping new purchases` writes the files out)"
        } else {
            ""
        }
    );
    Some((says, fix))
}
