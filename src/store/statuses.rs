//! The words that stand in the payments' status, and those that no line of the mapping names: no window ever looks at
//! such a payment.

use tokio_postgres::Row;

use super::mapping::Mapping;
use super::{Fault, Store};
use rules::sql::quoted;

/// How many payments of other words are counted.
const COUNTED: i64 = 10_000;

/// A word, and how many payments have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The status; `None` is null.
    pub status: Option<String>,
    /// How many.
    pub payments: i64,
}

/// The words that nobody named, with the number of payments that have them, of so many as are counted; `None` where the
/// mapping does not name the column. `store` is the payments' database.
pub async fn unnamed(store: &Store, mapping: &Mapping) -> Result<Option<Vec<Word>>, Fault> {
    let Some((table, column)) = &mapping.looks.statuses.column else { return Ok(None) };
    let column = quoted(column);
    let sql = format!(
        "SELECT word AS status, pg_catalog.count(*) AS payments
         FROM (SELECT {column}::text AS word FROM {table} WHERE ({column}::text = ANY ($1::text[])) IS NOT TRUE LIMIT {COUNTED}) others
         GROUP BY word ORDER BY payments DESC, word LIMIT 20"
    );
    let known = mapping.looks.statuses.known();
    Ok(Some(store.query_host(&sql, &[&known]).await?.iter().map(word).collect()))
}

/// All words, with the number of payments that have them.
pub async fn all(store: &Store, mapping: &Mapping) -> Result<Vec<Word>, Fault> {
    let Some((table, column)) = &mapping.looks.statuses.column else { return Ok(Vec::new()) };
    let column = quoted(column);
    let sql = format!(
        "SELECT {column}::text AS status, pg_catalog.count(*) AS payments
         FROM {table} GROUP BY 1 ORDER BY payments DESC, status LIMIT 20"
    );
    Ok(store.query_host(&sql, &[]).await?.iter().map(word).collect())
}

fn word(row: &Row) -> Word {
    Word { status: row.get("status"), payments: row.get("payments") }
}

/// Words with their numbers, as one text.
pub fn told(words: &[Word]) -> String {
    let one = |word: &Word| {
        let most = if word.payments >= COUNTED { " or more" } else { "" };
        format!("{} ({}{most})", word.status.as_deref().unwrap_or("null"), word.payments)
    };
    words.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What is wrong with words that nobody named, and the way out.
pub fn complaint(mapping: &Mapping, words: &[Word]) -> Option<(String, String)> {
    let (table, _) = mapping.looks.statuses.column.as_ref().filter(|_| !words.is_empty())?;
    let says = format!(
        "{table} has payments with a status that no line of the mapping names, so that nobody looks at them: {}",
        told(words)
    );
    let first = words.iter().find_map(|word| word.status.clone()).unwrap_or_default();
    let fix = format!(
        "add each to the line at the top of apply.sql that it belongs to, and reload: `-- makegood: paid`, `refunded` or \
         `not-paid`, as in: -- makegood: not-paid {}{first}{}",
        mapping.looks.statuses.not_paid.iter().map(|word| format!("{word}, ")).collect::<String>(),
        if mapping.is_built_in() {
            " (`makegood mapping new DIR` writes the files out)"
        } else {
            ""
        }
    );
    Some((says, fix))
}
