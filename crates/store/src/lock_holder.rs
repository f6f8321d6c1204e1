//! Who holds the lock that makegood's own statements wait for.

use tokio_postgres::Row;

use super::{Fault, Store};
use rules::health::age;

/// A session that others wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id; 0 for a prepared transaction.
    pub pid: i32,
    /// Who it is and since when, as far as this role may know.
    pub who: String,
    /// The transaction that has the lock, and on which table, where it is known.
    lock: Option<(String, Option<u32>)>,
}

/// Finds whom the sessions of this role that are called `application_name` wait for. Their statements give up, and
/// are tried again after a pause: meanwhile it is `known`, if that still has its lock.
pub async fn find(
    store: &Store,
    application_name: &str,
    known: Option<&Holder>,
) -> Result<Option<Holder>, Fault> {
    let sql = include_str!("../../../sql/core/lock_holder.sql");
    let (transaction, relation) = known.and_then(|known| known.lock.clone()).unzip();
    let rows = store.query(sql, &[&application_name, &transaction, &relation.flatten()]).await?;
    Ok(rows.first().map(|row| Holder {
        lock: row
            .get::<_, Option<String>>("transaction")
            .map(|transaction| (transaction, row.get("relation"))),
        ..Holder::of(row, row.get("table_name"))
    }))
}

impl Holder {
    /// Of a row with pid, application, state, role, and the seconds for which it is so; and the table, if it is known.
    pub(super) fn of(row: &Row, table: Option<String>) -> Holder {
        let part = |index: usize| row.get::<_, Option<String>>(index);
        let seconds: Option<f64> = row.get(4);
        let seconds =
            seconds.map(|s| format!("for {}", age(std::time::Duration::from_secs_f64(s))));
        let on = table.map(|table| format!("on {table}"));
        let parts = [part(3), part(1), part(2), seconds, on];
        let known: Vec<String> =
            parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let who = if known.is_empty() { "unknown".to_owned() } else { known.join(", ") };
        Holder { pid: row.get(0), who, lock: None }
    }
}
