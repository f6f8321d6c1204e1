//! Looks into the table with the purchases by business key, whatever the mapping calls it.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::mapping::Mapping;
use super::{Fault, Tx, host_tables};

/// The rows under some keys as JSON, as this transaction sees them. A key that is no value of the columns finds
/// nothing, and so do all others then.
pub(super) async fn rows_of(
    tx: &Tx,
    mapping: &Mapping,
    keys: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Found { key, row } in ask(tx, mapping, "to_jsonb(t)::text", keys).await? {
        rows.entry(key).or_default().push(row.get(1));
    }
    Ok(rows)
}

/// Which of some keys have a purchase.
pub(super) async fn which(tx: &Tx, mapping: &Mapping, keys: &[&str]) -> Result<Vec<String>, Fault> {
    let rows = ask(tx, mapping, "true", keys).await?;
    Ok(rows.into_iter().map(|found| found.key).collect())
}

/// Which of some keys have a purchase that this very transaction wrote. A row that is seen while the transaction that
/// wrote it is in progress is one's own, also from within a savepoint.
pub(super) async fn own(tx: &Tx, mapping: &Mapping, keys: &[&str]) -> Result<Vec<String>, Fault> {
    let is_own = "pg_catalog.pg_xact_status((
        (pg_catalog.pg_current_xact_id()::text::bigint >> 32 << 32) + t.xmin::text::bigint
    )::text::pg_catalog.xid8) = 'in progress'";
    let rows = ask(tx, mapping, is_own, keys).await?;
    Ok(rows.into_iter().filter(|found| found.row.get(1)).map(|found| found.key).collect())
}

/// One row that was found.
struct Found {
    key: String,
    row: Row,
}

async fn ask(tx: &Tx, mapping: &Mapping, what: &str, keys: &[&str]) -> Result<Vec<Found>, Fault> {
    let key = &mapping.key;
    let table = host_tables::ids(tx, std::slice::from_ref(&key.table)).await?;
    let sql = include_str!("../../../sql/core/key_type.sql");
    let columns = tx.query(sql, &[&table.first().copied().flatten(), &key.columns]).await?;
    if columns.len() != key.columns.len() {
        return Ok(Vec::new());
    }
    let sql = statement(&columns, what);
    let parts: Vec<Vec<String>> = keys.iter().filter_map(|text| key.parts(text)).collect();
    let values: Vec<Vec<&str>> = (0..columns.len())
        .map(|column| parts.iter().map(|parts| parts[column].as_str()).collect())
        .collect();
    let values: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
    match tx.attempt(Box::pin(tx.query(&sql, &values))).await {
        Ok(rows) => {
            let found = |row: Row| Found { key: key.text(row.get(0)), row };
            Ok(rows.into_iter().map(found).collect())
        }
        Err(Fault::Refused { .. }) => Ok(Vec::new()),
        Err(lost) => Err(lost),
    }
}

/// Names from the catalogue, written as it says; cast to the columns' types, so that their index is used.
fn statement(columns: &[Row], what: &str) -> String {
    let part = |row: &Row, name: &str| row.get::<_, String>(name);
    let table = columns.first().map(|row| part(row, "table_name")).unwrap_or_default();
    let texts: Vec<String> =
        columns.iter().map(|row| format!("t.{}::text", part(row, "column_name"))).collect();
    let texts = format!("ARRAY[{}]", texts.join(", "));
    if let [row] = columns {
        let (column, kind, equals) =
            (part(row, "column_name"), part(row, "kind"), part(row, "equals"));
        return format!(
            "SELECT {texts}, {what} FROM {table} t
             WHERE t.{column} OPERATOR({equals}.=) ANY ($1::text[]::{kind}[])"
        );
    }
    let numbered = || columns.iter().zip(1..);
    let given: Vec<String> = numbered().map(|(_, n)| format!("${n}::text[]")).collect();
    let names: Vec<String> = numbered().map(|(_, n)| format!("k{n}")).collect();
    let equal: Vec<String> = numbered()
        .map(|(row, n)| {
            let (column, kind, equals) =
                (part(row, "column_name"), part(row, "kind"), part(row, "equals"));
            format!("t.{column} OPERATOR({equals}.=) k.k{n}::{kind}")
        })
        .collect();
    format!(
        "SELECT {texts}, {what}
         FROM (SELECT DISTINCT * FROM unnest({})) AS k ({})
         JOIN {table} t ON {}",
        given.join(", "),
        names.join(", "),
        equal.join(" AND ")
    )
}
