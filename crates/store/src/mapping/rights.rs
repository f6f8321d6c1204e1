//! Whether the role may do what the mapping does.

use tokio_postgres::types::ToSql;

use super::{Mapping, ReadStatement, Unfit};
use crate::rights::Null;
use crate::{Fault, Store};

impl Mapping {
    /// Checks the rights for `apply.sql`. Preparing a statement asks for none, and running it is too late,
    /// so it is planned.
    pub async fn may_apply(&self, store: &Store) -> Result<(), Unfit> {
        self.may_run(store, "apply.sql", &self.apply, self.params().len()).await
    }

    /// Checks the rights for one of the statements that read.
    pub async fn may_look(&self, store: &Store, look: &ReadStatement<'_>) -> Result<(), Unfit> {
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
        match planned(store, sql, params).await {
            Ok(()) => Ok(()),
            Err(fault @ Fault::Lost { .. }) => Err(Unfit::Unknown(fault)),
            Err(fault) => Err(self.refused(store, file, sql, fault).await),
        }
    }
}

/// Has the server make ready to run a statement of the mapping, and does not run it.
pub(super) async fn planned(store: &Store, sql: &str, params: usize) -> Result<(), Fault> {
    let nulls: Vec<&(dyn ToSql + Sync)> = (0..params).map(|_| &Null as _).collect();
    store.query_host(&format!("EXPLAIN {sql}"), &nulls).await.map(drop)
}
