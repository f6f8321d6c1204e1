//! What a step of a run works with, and how its transactions end.

use std::sync::atomic::AtomicU32;

use super::ahead::Lately;
use super::{Job, Trouble};
use crate::config;
use crate::store::jobs::{self, Lease};
use crate::store::payments::Looker;
use crate::store::runs::{self, Run};
use crate::store::{CommitFault, Fault, Store, Tx};
use rules::schedule::Brake;

/// What a step works with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub job: &'a Job,
    pub store: &'a Store,
    pub looker: &'a Looker,
    pub lease: &'a Lease,
    pub lately: &'a Lately,
    /// How often in a row the statuses of recent payments were not seen.
    pub unseen: &'a AtomicU32,
}

impl Context<'_> {
    /// Does something in a transaction that only commits while the lease is ours.
    pub async fn commit(
        &self,
        work: impl AsyncFnOnce(&Tx) -> Result<(), Fault>,
    ) -> Result<(), Trouble> {
        let tx = self.store.begin("reconcile").await?;
        work(&tx).await?;
        self.end_tx(tx).await
    }

    /// Commits a transaction if the lease is still ours. An unanswered commit is no trouble: the run's
    /// row tells how far it has come.
    pub async fn end_tx(&self, tx: Tx) -> Result<(), Trouble> {
        if !jobs::hold(&tx, self.lease).await? {
            tx.rollback().await;
            return Err(Trouble::Lost);
        }
        tx.commit().await.map_err(|fault| match fault {
            CommitFault::Refused(fault) | CommitFault::Unknown(fault) => fault.into(),
        })
    }

    /// Whether records wait for the route's consumer.
    pub async fn is_behind(&self) -> Result<bool, Fault> {
        let patience = self.job.patience();
        Ok(jobs::consumed(self.store, self.job.route, patience).await?.is_some())
    }

    /// Ends a run.
    pub async fn end(
        &self,
        run: &Run,
        error: Option<&str>,
        held: Option<&str>,
    ) -> Result<(), Trouble> {
        self.commit(async |tx| runs::finish(tx, run.id, error, held).await).await
    }

    /// How many rows a window has at most.
    pub fn rows(&self) -> i64 {
        i64::try_from(self.job.settings.window).unwrap_or(i64::MAX)
    }

    pub fn brake(&self) -> Brake {
        let config::MaxBackfill { rows, share, share_from } = self.job.settings.max_backfill;
        Brake { rows, share, share_from }
    }
}
