//! Looks into the table with the purchases by business key, whatever the mapping calls it.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::mapping::Mapping;
use super::{Fault, Tx, host_tables};

/// The rows under some keys as JSON, as this transaction sees them. A key that is no value of the column finds
/// nothing, and so do all others then.
pub(super) async fn rows_of(
    tx: &Tx,
    mapping: &Mapping,
    keys: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in ask(tx, mapping, "to_jsonb(t)::text", keys).await? {
        rows.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(rows)
}

/// Which of some keys have a purchase.
pub(super) async fn which(tx: &Tx, mapping: &Mapping, keys: &[&str]) -> Result<Vec<String>, Fault> {
    let rows = ask(tx, mapping, "true", keys).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Which of some keys have a purchase that this very transaction wrote. A row that is seen while the transaction that
/// wrote it is in progress is one's own, also from within a savepoint.
pub(super) async fn own(tx: &Tx, mapping: &Mapping, keys: &[&str]) -> Result<Vec<String>, Fault> {
    let is_own = "pg_catalog.pg_xact_status((
        (pg_catalog.pg_current_xact_id()::text::bigint >> 32 << 32) + t.xmin::text::bigint
    )::text::pg_catalog.xid8) = 'in progress'";
    let rows = ask(tx, mapping, is_own, keys).await?;
    Ok(rows.iter().filter(|row| row.get(1)).map(|row| row.get(0)).collect())
}

async fn ask(tx: &Tx, mapping: &Mapping, what: &str, keys: &[&str]) -> Result<Vec<Row>, Fault> {
    let table = host_tables::ids(tx, std::slice::from_ref(&mapping.table)).await?;
    let sql = include_str!("../../sql/core/key_type.sql");
    let found = tx.query(sql, &[&table.first().copied().flatten(), &mapping.column]).await?;
    let Some(row) = found.first() else { return Ok(Vec::new()) };
    let part = |column: usize| row.get::<_, String>(column);
    let (table, column, kind, equals) = (part(0), part(1), part(2), part(3));
    // Names from the catalogue, written as it says; cast to the column's type, so that its index is used.
    let sql = format!(
        "SELECT t.{column}::text, {what} FROM {table} t
         WHERE t.{column} OPERATOR({equals}.=) ANY ($1::text[]::{kind}[])"
    );
    tx.batch("SAVEPOINT rows").await?;
    let found = tx.query(&sql, &[&keys]).await;
    match found {
        Ok(rows) => tx.batch("RELEASE SAVEPOINT rows").await.map(|()| rows),
        Err(Fault::Refused { .. }) => {
            tx.batch("ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows").await?;
            Ok(Vec::new())
        }
        Err(lost) => Err(lost),
    }
}
