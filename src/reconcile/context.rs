//! What a step of a run works with, and how its transactions end.

use std::sync::atomic::AtomicU32;

use tracing::{info, warn};

use super::ahead::Lately;
use super::{Job, Trouble};
use crate::config;
use crate::store::jobs::{self, Lease};
use crate::store::payments::{Looker, Place};
use crate::store::runs::{self, Run, RunStep};
use crate::store::{CommitFault, Fault, Store, Tx, gaps};
use rules::reconcile::Action;
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

    /// The run's machine.
    pub fn machine(&self, run: &Run) -> rules::reconcile::RunRules {
        rules::reconcile::RunRules {
            phase: run.phase,
            dry_run: run.dry_run,
            approved: run.approved,
            is_sweep: run.since.is_none(),
            brake: self.brake(),
        }
    }

    /// Writes a step, and what was decided with it.
    pub async fn write(
        &self,
        tx: &Tx,
        run: &Run,
        mut step: RunStep,
        actions: Vec<Action>,
    ) -> Result<(), Fault> {
        for action in &actions {
            if let Action::Begin(phase) = action {
                (step.phase, step.place) = (*phase, Place::default());
            }
        }
        runs::step(tx, run.id, &step).await?;
        self.carry_out(tx, run, actions).await
    }

    /// Writes what was decided.
    pub async fn carry_out(&self, tx: &Tx, run: &Run, actions: Vec<Action>) -> Result<(), Fault> {
        let (job, id) = (&self.lease.job, run.id);
        for action in actions {
            match action {
                // The phase is the step's; a wait is told outside the transaction that came to nothing.
                Action::Begin(_) | Action::Wait(_) => {}
                Action::Hold(why) => {
                    let approve = format!("{why}; `makegood reconcile approve {id}` lets it go on");
                    runs::hold(tx, id, &approve).await?;
                    warn!(job, run = id.0, "held: {approve}");
                }
                Action::Finish { error, held } => {
                    runs::finish(tx, id, error.as_deref(), held.as_deref()).await?;
                    if let Some(why) = error {
                        warn!(job, run = id.0, why, "the run failed");
                    }
                }
                Action::Cover => self.cover(tx, run).await?,
            }
        }
        Ok(())
    }

    async fn cover(&self, tx: &Tx, run: &Run) -> Result<(), Fault> {
        for (partition, from, to) in gaps::cover(tx, self.job.route, run.id, run.until).await? {
            let (job, run, from, to) = (&self.lease.job, run.id.0, from.0, to.0);
            info!(job, run, partition, from, to, "gap covered");
        }
        Ok(())
    }

    /// How many rows a window has at most.
    pub fn rows(&self) -> i64 {
        i64::try_from(self.job.settings.window).unwrap_or(i64::MAX)
    }

    fn brake(&self) -> Brake {
        let config::MaxBackfill { rows, share, share_from } = self.job.settings.max_backfill;
        Brake { rows, share, share_from }
    }
}
