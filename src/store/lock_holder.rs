//! Who holds the lock that makegood's own statements wait for.

use tokio_postgres::Row;

use super::{Fault, Store};
use crate::pure::standing::age;

/// A session that others wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id; 0 for a prepared transaction.
    pub pid: i32,
    /// Who it is and since when, as far as this role may know.
    pub who: String,
}

/// Finds whom the sessions of this role that are called `application_name` wait for.
pub async fn find(store: &Store, application_name: &str) -> Result<Option<Holder>, Fault> {
    let sql = include_str!("../../sql/core/lock_holder.sql");
    let rows = store.query(sql, &[&application_name]).await?;
    Ok(rows.first().map(Holder::of))
}

impl Holder {
    /// Of a row with pid, application, state, role, and the seconds for which it is so.
    pub(super) fn of(row: &Row) -> Holder {
        let part = |index: usize| {
            row.get::<_, Option<String>>(index).filter(|text| !text.is_empty()).unwrap_or_default()
        };
        let seconds: Option<f64> = row.get(4);
        let parts = [
            part(3),
            part(1),
            part(2),
            seconds
                .map(|s| format!("for {}", age(std::time::Duration::from_secs_f64(s))))
                .unwrap_or_default(),
        ];
        let known: Vec<&str> = parts.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
        let who = if known.is_empty() { "unknown".to_owned() } else { known.join(", ") };
        Holder { pid: row.get(0), who }
    }
}
