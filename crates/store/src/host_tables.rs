//! The host's tables by the names that the mapping gives them.

use tokio_postgres::Row;

use super::{Fault, Store, Tx};

const IDS: &str = include_str!("../../../sql/core/host_table_ids.sql");

/// Which tables some names are, in their order; `None` for a name that is none. What is asked of them then need not
/// search the host's schemas.
pub(super) async fn find(store: &Store, names: &[String]) -> Result<Vec<Option<u32>>, Fault> {
    store.query_host(IDS, &[&names]).await.map(ids_of)
}

/// The same within a transaction.
pub(super) async fn ids(tx: &Tx, names: &[String]) -> Result<Vec<Option<u32>>, Fault> {
    tx.query_host(IDS, &[&names]).await.map(ids_of)
}

fn ids_of(rows: Vec<Row>) -> Vec<Option<u32>> {
    rows.iter().map(|row| row.get(0)).collect()
}
