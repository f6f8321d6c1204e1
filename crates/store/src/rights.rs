//! Whether the role may do what the daemon does. PostgreSQL looks at every right that a statement takes, of columns and
//! functions too, when it makes ready to run it; so each of makegood's own statements is explained, and none is run.

use std::collections::BTreeSet;
use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::{Fault, Store};

const STATEMENTS: &[&str] = include!(concat!(env!("OUT_DIR"), "/statements.rs"));

/// What says that a statement is about something that is not here, as where payments and purchases have a database each,
/// or is none that can be explained (COPY). Whether the schema is whole is another question, which is asked elsewhere.
const NOT_HERE: [&str; 5] = ["42P01", "42883", "42601", "3F000", "42703"];

/// What the role may not do, as PostgreSQL says it.
pub async fn refused(store: &Store) -> Result<Vec<String>, Fault> {
    let mut refused = BTreeSet::new();
    for sql in STATEMENTS {
        let tx = store.begin("rights").await?;
        let planned = tx.plan(sql).await;
        tx.rollback().await;
        match planned {
            Err(fault) if fault.sqlstate() == Some("42501") => {
                refused.insert(fault.to_string());
            }
            Err(fault) if fault.sqlstate().is_some_and(|code| NOT_HERE.contains(&code)) => {}
            planned => planned?,
        }
    }
    // Which of these tables is emptied is chosen at run time.
    for row in store.query(include_str!("../../../sql/core/doctor_rights.sql"), &[]).await? {
        refused.insert(format!("no right to TRUNCATE {}", row.get::<_, &str>(0)));
    }
    Ok(refused.into_iter().collect())
}

/// A null of whatever type is asked for.
#[derive(Debug)]
pub(super) struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
