//! What stands in the way of a mapping.

use crate::mapping::Mapping;
use crate::{Fault, Store, host_tables};

/// Business keys that are there more than once, and how often; at most ten.
pub async fn duplicates(store: &Store, mapping: &Mapping) -> Result<Vec<(String, i64)>, Fault> {
    let key = &mapping.key;
    let table = host_tables::find(store, std::slice::from_ref(&key.table)).await?;
    let sql = include_str!("../../../../sql/core/key_type.sql");
    let rows = store.query(sql, &[&table.first().copied().flatten(), &key.columns]).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let columns: Vec<String> = rows.iter().map(|row| row.get("column_name")).collect();
    let texts: Vec<String> = columns.iter().map(|column| format!("{column}::text")).collect();
    let sql = include_str!("../../../../sql/core/key_duplicates.sql")
        .replace("{table}", row.get("table_name"))
        .replace("{columns}", &columns.join(", "))
        .replace("{texts}", &texts.join(", "));
    let rows = store.query(&sql, &[]).await?;
    Ok(rows.iter().map(|row| (key.text(row.get(0)), row.get(1))).collect())
}
