//! The route's heartbeat: what the daemon says of itself in the database every few seconds, where the
//! logs end, and whether the world under the positions is still the one they were claimed in.

mod look;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tracing::debug;
use uuid::Uuid;

use super::Route;
use super::claim::Claimed;
use super::lane::LaneReport;
use crate::heartbeats;
use crate::kafka::probe::Probe;
use crate::progress::Progress;
use crate::store::workers::{self, Beat, State};
use crate::store::{Store, ignored_types};
use rules::diagnosis::{Code, Diagnosis};
use rules::error_policy::kafka as error_policy;
use rules::ingest::steps::Steps;
use rules::problem::Problem;

/// How often the daemon is seen.
const EVERY: Duration = Duration::from_secs(3);
/// How long signing off may take.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);

/// The loop's end of the heartbeat.
pub(super) struct Beating {
    shown: Arc<Shown>,
    task: JoinHandle<()>,
    vitals: Arc<Progress>,
    store: Store,
    worker: Uuid,
}

/// What the heartbeat shows, set by the loop.
struct Shown {
    now: Mutex<Showing>,
    changed: Notify,
    /// Told when the route is held and another daemon would run it.
    elsewhere: Notify,
    sign: Arc<heartbeats::Sign>,
}

struct Showing {
    state: State,
    /// Since when it is held without a break.
    held_since: Option<Instant>,
    /// How often it has left the group to another daemon since it last was not held.
    yielded: u32,
    reads: Option<Claimed>,
    /// Whether Kafka has no such topic.
    missing: bool,
    /// What is known of the steps of what is read.
    steps: Steps,
    /// The last trouble told, so that a client that repeats itself is heard once.
    told: Option<Problem>,
}

impl Beating {
    pub(super) fn start(
        route: &Arc<Route>,
        store: &Store,
        probe: &Arc<Probe>,
        vitals: &Arc<Progress>,
        reports: &mpsc::UnboundedSender<LaneReport>,
    ) -> Beating {
        let showing = Showing {
            state: State::Joining,
            held_since: None,
            yielded: 0,
            reads: None,
            missing: false,
            steps: Steps::default(),
            told: None,
        };
        let shown = Arc::new(Shown {
            now: Mutex::new(showing),
            changed: Notify::new(),
            elsewhere: Notify::new(),
            sign: route.sign.clone(),
        });
        let worker = Uuid::new_v4();
        let pulse = Pulse {
            route: route.clone(),
            store: store.clone(),
            probe: probe.clone(),
            vitals: vitals.clone(),
            reports: reports.clone(),
            shown: shown.clone(),
            worker,
            host: workers::host(),
        };
        let task = tokio::spawn(pulse.run());
        Beating { shown, task, vitals: vitals.clone(), store: store.clone(), worker }
    }

    /// Shows another state at once.
    pub(super) fn shows(&self, state: State) {
        self.shown.sign.shows(match &state {
            State::Held(why) | State::Stalled(why) => Some(why),
            State::Joining | State::Running => None,
        });
        self.vitals.held(match &state {
            State::Held(why) => Some(why.clone()),
            _ => None,
        });
        self.set(|showing| {
            showing.held_since = match state {
                State::Held(_) => showing.held_since.or(Some(Instant::now())),
                State::Running => {
                    showing.yielded = 0;
                    None
                }
                State::Joining | State::Stalled(_) => None,
            };
            showing.state = state;
        });
    }

    /// Tells what is read from now on.
    pub(super) fn reads(&self, claimed: Option<Claimed>) {
        self.set(|showing| {
            showing.missing &= claimed.is_none();
            let starts = claimed.iter().flat_map(|claimed| &claimed.starts);
            showing.steps = Steps::of(starts.map(|(p, begin)| (*p, begin.step)).collect());
            showing.reads = claimed;
            showing.told = None;
        });
    }

    /// Whether anything is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.shown.lock().reads.is_some()
    }

    /// The group was left to another daemon.
    pub(super) fn has_yielded(&self) {
        self.set(|showing| showing.yielded = showing.yielded.saturating_add(1));
    }

    /// Waits until the route is held and another daemon would run it.
    pub(super) async fn is_run_elsewhere(&self) {
        self.shown.elsewhere.notified().await;
    }

    /// Whether this trouble is another than the last.
    pub(super) fn is_news(&self, problem: &Problem) -> bool {
        let mut showing = self.shown.lock();
        let is_news = showing.told.as_ref() != Some(problem);
        showing.told = Some(problem.clone());
        is_news
    }

    /// Ends, and takes the daemon's row away if the database answers soon.
    pub(super) async fn stop(self) {
        self.task.abort();
        let leave = workers::leave(&self.store, self.worker);
        if !matches!(tokio::time::timeout(LEAVE_PATIENCE, leave).await, Ok(Ok(()))) {
            debug!("could not sign off; the row is taken for gone in thirty seconds");
        }
    }

    fn set(&self, change: impl FnOnce(&mut Showing)) {
        change(&mut self.shown.lock());
        self.shown.changed.notify_one();
    }
}

impl Shown {
    fn lock(&self) -> std::sync::MutexGuard<'_, Showing> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Pulse {
    route: Arc<Route>,
    store: Store,
    probe: Arc<Probe>,
    vitals: Arc<Progress>,
    reports: mpsc::UnboundedSender<LaneReport>,
    shown: Arc<Shown>,
    worker: Uuid,
    host: String,
}

impl Pulse {
    /// A look may wait for Kafka for long, and the daemon is seen all the same.
    async fn run(self) {
        tokio::join!(self.beats(), self.looks());
    }

    async fn beats(&self) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.shown.changed.notified() => {}
            }
            self.beat().await;
        }
    }

    async fn looks(&self) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    async fn beat(&self) {
        let beat = {
            let showing = self.shown.lock();
            let partitions = showing.reads.iter().flat_map(|c| c.starts.keys().copied()).collect();
            Beat {
                worker: self.worker,
                route: self.route.id,
                host: self.host.clone(),
                state: self.state(&showing),
                partitions,
            }
        };
        if let Err(fault) = workers::beat(&self.store, &beat).await {
            debug!(%fault, "no heartbeat could be written");
            return;
        }
        let ignored = self.route.ignored.take();
        if !ignored.is_empty()
            && ignored_types::add(&self.store, self.route.id, &ignored).await.is_err()
        {
            self.route.ignored.put_back(ignored);
        }
    }

    /// What the loop says, unless the watchdog or a look at Kafka knows better. Where several have a reason, the
    /// loop's is the cause.
    fn state(&self, showing: &Showing) -> State {
        match (&showing.state, self.vitals.verdict()) {
            (State::Joining, _) if showing.missing => {
                let topic = &self.route.settings.topic;
                let code = "UnknownTopicOrPartition";
                let why = Diagnosis::new(Code::Kafka, format!("Kafka has no topic {topic}"));
                State::Stalled(why.advice(error_policy::advice(code)))
            }
            (State::Joining | State::Running, Some(found)) => State::Stalled(found),
            // The wait for a lock ends with an error, and who has it is known to the watchdog alone.
            (State::Held(own), Some(found)) => {
                let reason = format!("{}: {}", found.reason, own.reason);
                State::Held(Diagnosis { reason, ..found })
            }
            (own, _) => own.clone(),
        }
    }
}
