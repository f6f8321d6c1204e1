//! The types of records that routes have ignored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::when::Times;
use super::{Fault, Store};
use rules::ids::RouteId;

/// A type that a route has ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredType {
    /// The route.
    pub route: String,
    /// The type, as far as it is text; its first 60 characters.
    pub event_type: String,
    /// About how many records; what a daemon had not written down when it was killed is missing.
    pub records: i64,
    /// When the last one came.
    pub last_at: Timestamp,
}

/// Adds to what a route has ignored.
pub async fn add(
    store: &Store,
    route: RouteId,
    counts: &BTreeMap<String, i64>,
) -> Result<(), Fault> {
    let (names, records): (Vec<&str>, Vec<i64>) =
        counts.iter().map(|(name, count)| (name.as_str(), *count)).unzip();
    let sql = include_str!("../../../sql/core/ignored_types_add.sql");
    store.query(sql, &[&route, &names, &records]).await?;
    Ok(())
}

/// Reads a row of `status_ignored.sql`.
pub(super) fn read(row: &Row) -> IgnoredType {
    IgnoredType {
        route: row.get("route"),
        event_type: row.get("event_type"),
        records: row.get("records"),
        last_at: row.moment("last_at"),
    }
}
