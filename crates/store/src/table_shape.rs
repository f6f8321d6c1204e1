//! A table of the host's as the catalogue has it, and the words of a status in it: what a mapping is drafted from.

use super::{Fault, Store};
use rules::draft::{DraftColumn, StatusWord};
use rules::sql::quoted;

/// How many words of a status are looked at; more are none.
const WORDS: i64 = 50;
/// How many payments are looked at for them: the latest ones of a large table would take as long as all.
const SEEN: i64 = 1_000_000;

/// The columns of a table, as it is written in SQL; none where there is no such table.
pub async fn columns(store: &Store, table: &str) -> Result<Vec<DraftColumn>, Fault> {
    let sql = include_str!("../../../sql/core/table_shape.sql");
    let rows = store.query_host(sql, &[&table]).await?;
    let column = |row: &tokio_postgres::Row| {
        let other: (Option<String>, Option<String>) =
            (row.get("other_table"), row.get("other_column"));
        DraftColumn {
            name: row.get("column_name"),
            kind: row.get("kind"),
            is_required: row.get("required"),
            is_made: row.get("is_made"),
            is_primary: row.get("is_primary"),
            is_unique: row.get("is_unique"),
            points_to: other.0.zip(other.1),
        }
    };
    Ok(rows.iter().map(column).collect())
}

/// The words in a column, the most frequent first, and at last those that its type knows and no row has.
pub async fn words(store: &Store, table: &str, column: &str) -> Result<Vec<StatusWord>, Fault> {
    let sql = format!(
        "WITH seen AS (
             SELECT word, pg_catalog.count(*) AS times
             FROM (SELECT {}::text AS word FROM {table} LIMIT $1::bigint) seen
             WHERE word IS NOT NULL
             GROUP BY word
         ), possible AS (
             SELECT e.enumlabel::text AS word
             FROM pg_catalog.pg_attribute a
             JOIN pg_catalog.pg_enum e ON e.enumtypid = a.atttypid
             WHERE a.attrelid = pg_catalog.to_regclass($3::text) AND a.attname = $4::text
         )
         SELECT word, times FROM seen
         UNION ALL
         SELECT word, 0 FROM possible WHERE word NOT IN (SELECT word FROM seen)
         ORDER BY times DESC, word LIMIT $2::bigint",
        quoted(column)
    );
    let rows = store.query_host(&sql, &[&SEEN, &WORDS, &table, &column]).await?;
    Ok(rows.iter().map(|row| StatusWord { text: row.get(0), payments: row.get(1) }).collect())
}
