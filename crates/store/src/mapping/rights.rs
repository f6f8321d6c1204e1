//! Whether the role may do what the mapping does.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::{Look, Mapping, Unfit};
use crate::{Fault, Store};

/// A null of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl Mapping {
    /// Checks the rights for `apply.sql`. Preparing a statement asks for none, and running it is too late,
    /// so it is planned.
    pub async fn may_apply(&self, store: &Store) -> Result<(), Unfit> {
        self.may_run(store, "apply.sql", &self.apply, self.params().len()).await
    }

    /// Checks the rights for one of the statements that read.
    pub async fn may_look(&self, store: &Store, look: &Look<'_>) -> Result<(), Unfit> {
        let Some(sql) = look.sql else { return Ok(()) };
        self.may_run(store, look.file, sql, look.takes(sql).len()).await
    }

    async fn may_run(
        &self,
        store: &Store,
        file: &str,
        sql: &str,
        params: usize,
    ) -> Result<(), Unfit> {
        let nulls: Vec<&(dyn ToSql + Sync)> = (0..params).map(|_| &Null as _).collect();
        match store.query_host(&format!("EXPLAIN {sql}"), &nulls).await {
            Ok(_) => Ok(()),
            Err(fault @ Fault::Lost { .. }) => Err(Unfit::Unknown(fault)),
            Err(fault) => Err(self.refused(store, file, sql, fault).await),
        }
    }
}
