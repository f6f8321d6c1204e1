//! A job's runner: keeps the lease, asks for the runs that are due, and takes the run at hand one step further.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::ahead::Lately;
use super::context::Context;
use super::{Job, ReconcileTurn, Trouble, backfill, compare, look};
use crate::store::jobs::{self, Lease};
use crate::store::mapping::Mapping;
use crate::store::payments::Looker;
use crate::store::runs::{self, Run};
use crate::store::{Store, gaps, workers};
use rules::advice::run;
use rules::reconcile::{Event, State};
use rules::schedule::Schedule;
use rules::states::Phase;

/// How long giving up the lease may take.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);

/// The loop's state; all of it can be lost.
pub struct Reconciler {
    pub(super) job: Job,
    store: Store,
    mapping: watch::Receiver<Arc<Mapping>>,
    pub(super) owner: Uuid,
    registered: bool,
    /// The mapping that was checked.
    checked: Option<Arc<Mapping>>,
    /// What was last told in the log.
    told: Option<String>,
    lately: Lately,
    /// How often in a row the statuses of recent payments were not seen.
    unseen: AtomicU32,
}

impl Reconciler {
    /// A runner of a job, who has no lease yet.
    pub fn new(job: Job, store: Store, mapping: watch::Receiver<Arc<Mapping>>) -> Reconciler {
        let owner = Uuid::new_v4();
        Reconciler {
            job,
            store,
            mapping,
            owner,
            registered: false,
            checked: None,
            told: None,
            lately: Lately::default(),
            unseen: AtomicU32::new(0),
        }
    }

    /// One turn: keeps the lease, looks at recent payments if that is due, and takes the run at hand
    /// one step further.
    pub async fn run_once(&mut self) -> ReconcileTurn {
        let report = match self.turn().await {
            Ok(report) => report,
            Err(Trouble::Lost) => ReconcileTurn::NotOurs,
            Err(Trouble::Waits(why) | Trouble::Fails(why)) => ReconcileTurn::Waits(why),
        };
        match &report {
            ReconcileTurn::Waits(why) => self.tell(why).await,
            ReconcileTurn::Moved | ReconcileTurn::Idle => self.told = None,
            ReconcileTurn::NotOurs => {}
        }
        report
    }

    async fn turn(&mut self) -> Result<ReconcileTurn, Trouble> {
        let name = &self.job.settings.name;
        if !self.registered {
            jobs::register(&self.store, name, self.job.route).await?;
            self.registered = true;
        }
        if jobs::are_left_to_another(&self.store, self.job.route, &self.job.admission).await? {
            jobs::release(&self.store, self.owner).await?;
            return Ok(ReconcileTurn::NotOurs);
        }
        let Some(lease) = jobs::lease(&self.store, name, self.owner).await? else {
            return Ok(ReconcileTurn::NotOurs);
        };
        self.check().await?;
        let report = self.work(&lease).await?;
        if look::is_due(&lease) {
            self.advise(&lease).await?;
            for run in runs::relieve(&self.store, &lease.job).await? {
                info!(
                    job = lease.job,
                    run = run.0,
                    "what this run was held for has its purchases by now"
                );
            }
        }
        Ok(report)
    }

    async fn work(&self, lease: &Lease) -> Result<ReconcileTurn, Trouble> {
        let Some(looker) = Looker::new(self.mapping.borrow().clone(), self.job.source.clone())
        else {
            return match self.job.admission.held() {
                Some(why) => Err(Trouble::Waits(format!("the route is held: {}", why.reason))),
                None => Ok(ReconcileTurn::Idle),
            };
        };
        let context = Context {
            job: &self.job,
            store: &self.store,
            looker: &looker,
            lease,
            lately: &self.lately,
            unseen: &self.unseen,
        };
        look::look(&context).await?;
        let grace = self.job.settings.grace;
        let Some(run) = runs::take(&self.store, lease, grace).await? else {
            return self.schedule(lease).await;
        };
        if let Some(why) = self.job.admission.held() {
            return self.wait(&run, &format!("the route is held: {}", why.reason)).await;
        }
        let (event, why) = match advance(&context, &run).await {
            Ok(()) => return Ok(ReconcileTurn::Moved),
            Err(Trouble::Lost) => return Err(Trouble::Lost),
            Err(Trouble::Waits(why)) => (Event::Hindered(why.clone()), why),
            Err(Trouble::Fails(why)) => (Event::Impossible(why.clone()), why),
        };
        let (state, actions) = context.machine(&run).on(event);
        if state == State::Ended {
            context.commit(async |tx| context.carry_out(tx, &run, actions).await).await?;
            return Ok(ReconcileTurn::Moved);
        }
        self.wait(&run, &why).await
    }

    /// Tells in the run's row why it waits.
    async fn wait(&self, run: &Run, why: &str) -> Result<ReconcileTurn, Trouble> {
        if run.held.as_deref() != Some(why) {
            runs::waits(&self.store, run.id, why).await?;
        }
        Err(Trouble::Waits(why.to_owned()))
    }

    /// Checks the contract of a mapping that was not checked yet.
    async fn check(&mut self) -> Result<(), Trouble> {
        let mapping = self.mapping.borrow().clone();
        if self.checked.as_ref().is_some_and(|checked| Arc::ptr_eq(checked, &mapping)) {
            return Ok(());
        }
        let (store, source) = (&self.store, self.job.source.as_ref());
        // What it can do without is checked where it is used.
        for look in mapping.looks_for(source.is_some()).iter().filter(|look| look.is_needed()) {
            mapping.check_look(source.filter(|_| look.in_source).unwrap_or(store), look).await?;
        }
        self.checked = Some(mapping);
        Ok(())
    }

    /// Says in the job's row what hinders it while all goes well.
    async fn advise(&self, lease: &Lease) -> Result<(), Trouble> {
        let mapping = self.mapping.borrow().clone();
        let source = self.job.source.as_ref();
        let notice = match mapping.looks.lacks(source.is_some()) {
            Some(file) => {
                Some(format!("nothing is reconciled: there is no {file} beside {}", mapping.origin))
            }
            None => {
                let wanted = mapping.wanted_indexes(&self.store, source).await?;
                let wanted: Vec<String> = wanted.iter().map(run).collect();
                (!wanted.is_empty()).then(|| format!("slow without an index: {}", wanted.join(" ")))
            }
        };
        if lease.notice != notice {
            if let Some(notice) = &notice {
                warn!(job = lease.job, "{notice}");
            }
            jobs::notice(&self.store, &lease.job, notice.as_deref()).await?;
        }
        Ok(())
    }

    /// Asks for the run that is due, if one is.
    async fn schedule(&self, lease: &Lease) -> Result<ReconcileTurn, Trouble> {
        let settings = &self.job.settings;
        let schedule = Schedule {
            now: lease.now,
            cursor: lease.cursor,
            swept: lease.swept,
            scheduled: lease.scheduled,
            every: settings.every,
            sweep: settings.sweep,
            grace: settings.grace,
            consumed: jobs::consumed(&self.store, self.job.route, self.job.patience()).await?,
            gap: gaps::newest_open(&self.store, self.job.route).await?,
        };
        let Some(range) = schedule.due() else { return Ok(ReconcileTurn::Idle) };
        let by = self.process();
        let asked = runs::schedule(&self.store, lease, range, &by).await?;
        if asked {
            debug!(
                job = lease.job,
                since = range.since.map(tracing::field::display),
                reason = range.reason.as_str(),
                "run due"
            );
        }
        Ok(if asked { ReconcileTurn::Moved } else { ReconcileTurn::Idle })
    }

    /// Asks for a run in the name of a signal.
    pub(super) async fn ask(&self) {
        info!(job = self.job.settings.name, "SIGUSR1: reconciling");
        if let Err(fault) =
            runs::signal(&self.store, &self.job.settings.name, &self.process()).await
        {
            warn!(job = self.job.settings.name, %fault, "the run could not be asked for");
        }
    }

    fn process(&self) -> String {
        format!("{} pid {}", workers::host(), std::process::id())
    }

    /// Says once in the log, and in the job's row, why nothing moves.
    async fn tell(&mut self, why: &str) {
        if self.told.as_deref() != Some(why) {
            warn!(job = self.job.settings.name, "reconciliation waits: {why}");
            self.told = Some(why.to_owned());
            let _ = jobs::notice(&self.store, &self.job.settings.name, Some(why)).await;
        }
    }

    /// Gives up the lease, so that another daemon need not wait for its end.
    pub(super) async fn leave(&self) {
        let release = jobs::release(&self.store, self.owner);
        if !matches!(tokio::time::timeout(LEAVE_PATIENCE, release).await, Ok(Ok(()))) {
            debug!("the lease could not be given up; it ends by itself");
        }
    }
}

/// Takes a run one step further.
async fn advance(context: &Context<'_>, run: &Run) -> Result<(), Trouble> {
    match run.phase {
        Phase::Compare => compare::compare(context, run).await,
        Phase::MakeGood => backfill::step(context, run).await,
        Phase::Conflicts => compare::conflicts(context, run).await,
    }
}
