//! The loop that compares payments with purchases and makes good what is missing, one per job.
//!
//! # States
//!
//! * **Waiting for the lease**: another daemon runs the job. Left when that one has said nothing for a
//!   while, or has stopped. A daemon that may not apply anything yet leaves the lease to one that does.
//! * **Idle**: no run was asked for. Left by a row in `makegood.runs`, whoever wrote it: a person, the
//!   schedule, a signal. A notification only makes it quicker.
//! * **Running**: a run is taken step by step, each step a window or a chunk and a transaction of its
//!   own: *compare* until all is looked at, *make good* what was found, look for *conflicts*.
//! * **Waiting**: the world is broken, or the route's mapping is not admitted: nothing moves until it is
//!   mended, and the step is tried again. No payment goes to quarantine for it. What holds a partition, or a
//!   record, holds no run.
//!
//! A run that finds too much missing, or that a person stops, is **held** and waits for an approval; the
//! loop goes on with others. None of the states is in memory: what is, is the run's row, so that another
//! runner goes on from its last step.

mod ahead;
mod backfill;
mod beyond;
mod compare;
mod context;
mod look;
mod reconciler;
mod statuses;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;
use uuid::Uuid;

pub use self::reconciler::Reconciler;
use crate::config;
use crate::control::Control;
use crate::heartbeats::Sign;
use crate::start_gate::Admission;
use crate::stop::unless_stopped;
use crate::store::mapping::{Mapping, Unfit};
use crate::store::payments::LookFault;
use crate::store::{Fault, Store, jobs};
use rules::backoff::Backoff;
use rules::diagnosis::Diagnosis;
use rules::ids::RouteId;
use rules::problem::Problem;

/// How long a notification that was lost delays a run.
const POLL: Duration = Duration::from_secs(3);
/// Pauses while the world is broken.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), max: Duration::from_secs(10) };
/// A consumer that is at work moves within this.
const STILL: Duration = Duration::from_secs(30);
/// How often the lease is kept while a step takes its time.
const BEAT: Duration = Duration::from_secs(4);

const MAY_NOT_READ: &str = "makegood's role must be able to read every payment and every purchase; grant it SELECT, \
    and where a policy of row security hides rows, give it the attribute BYPASSRLS";

/// A configured job and its route.
#[derive(Clone)]
pub struct Job {
    /// What the operator configured.
    pub settings: config::Reconcile,
    /// The route's key in the database.
    pub route: RouteId,
    /// The route's topic.
    pub topic: String,
    /// How many suspects of the route slow it down.
    pub suspects: usize,
    /// What the route's loops tell each other about them.
    pub control: Control,
    /// The payments' database, if it is not the one with the purchases.
    pub source: Option<Store>,
    /// Where the loop shows signs of life.
    pub sign: Arc<Sign>,
    /// Whether the route may apply anything yet.
    pub admission: Admission,
}

impl Job {
    /// How long a partition that does not move counts as on its way.
    fn patience(&self) -> Duration {
        self.settings.grace.max(STILL)
    }
}

/// What one turn of the loop came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconcileTurn {
    /// A step was made; there may be more.
    Moved,
    /// Nothing to do.
    Idle,
    /// Another daemon runs the job.
    NotOurs,
    /// Nothing can be done until this is over.
    Waits(String),
}

/// Why a turn ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    /// It will pass, or somebody must mend it; the same is tried again.
    Waits(String),
    /// The run cannot be done.
    Fails(String),
    /// Another daemon runs the job by now.
    Lost,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble::Waits(fault.to_string())
    }
}

impl From<LookFault> for Trouble {
    fn from(fault: LookFault) -> Trouble {
        match fault {
            LookFault::Failed(fault) if fault.sqlstate() == Some("42501") => {
                Trouble::Waits(format!("{fault}: {MAY_NOT_READ}"))
            }
            LookFault::Failed(fault) => fault.into(),
            LookFault::Breach(what) => Trouble::Fails(what),
        }
    }
}

impl From<Unfit> for Trouble {
    fn from(unfit: Unfit) -> Trouble {
        let Diagnosis { reason, advice, .. } = unfit.diagnosis();
        Trouble::Waits(format!("{reason}; {advice}"))
    }
}

/// Runs a job until `stop`. `heard` changes with every notification, `asked` with every signal.
pub async fn run(
    job: Job,
    store: Store,
    mapping: watch::Receiver<Arc<Mapping>>,
    mut heard: watch::Receiver<u64>,
    mut asked: watch::Receiver<u64>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let mut reconciler = Reconciler::new(job, store.clone(), mapping);
    let _beat = AbortOnDropHandle::new(tokio::spawn(beat(store, reconciler.owner)));
    let mut failures = 0;
    loop {
        reconciler.job.sign.tick();
        let Some(report) = unless_stopped(&stop, Box::pin(reconciler.run_once())).await else {
            break;
        };
        let pause = match report {
            ReconcileTurn::Moved => {
                failures = 0;
                Duration::ZERO
            }
            ReconcileTurn::Idle | ReconcileTurn::NotOurs => {
                failures = 0;
                POLL
            }
            ReconcileTurn::Waits(_) => {
                failures += 1;
                BACKOFF.delay(failures - 1, fastrand::f64())
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Ok(()) = asked.changed() => reconciler.ask().await,
            Ok(()) = heard.changed(), if failures == 0 => {}
            () = rest(pause) => {}
        }
    }
    reconciler.leave().await;
    Ok(())
}

/// Waits, or only lets others have their turn: the shortest sleep takes a millisecond or two, and a run has many steps.
async fn rest(pause: Duration) {
    if pause.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(pause).await;
    }
}

async fn beat(store: Store, owner: Uuid) {
    loop {
        tokio::time::sleep(BEAT).await;
        if let Err(fault) = jobs::beat(&store, owner).await {
            debug!(%fault, "the lease could not be kept");
        }
    }
}

/// A guess is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
