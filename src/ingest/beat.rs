//! The route's heartbeat: what the daemon says of itself in the database every few seconds, where the
//! logs end, and whether the world under the positions is still the one they were claimed in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tracing::debug;
use uuid::Uuid;

use super::Route;
use super::claim::Claimed;
use super::lane::Report;
use super::survey::blocking;
use crate::kafka::probe::{Probe, Watermarks};
use crate::liveness;
use crate::pure::problem::Problem;
use crate::store::Store;
use crate::store::positions::{self, Log, Position};
use crate::store::workers::{self, Beat, Ends, State};
use crate::vitals::{Complaint, Vitals};

/// How often the daemon is seen.
const EVERY: Duration = Duration::from_secs(5);
/// How long signing off may take.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);

/// The loop's end of the heartbeat.
pub(super) struct Beating {
    shown: Arc<Shown>,
    task: JoinHandle<()>,
    vitals: Arc<Vitals>,
    store: Store,
    worker: Uuid,
}

/// What the heartbeat shows, set by the loop.
struct Shown {
    now: Mutex<Showing>,
    changed: Notify,
    /// Told when the route is held and another daemon would run it.
    elsewhere: Notify,
    sign: Arc<liveness::Sign>,
}

struct Showing {
    state: State,
    reads: Option<Claimed>,
    /// How many looks in a row have found Kafka's offset ahead of the position.
    ahead: u32,
    /// The last trouble told, so that a client that repeats itself is heard once.
    told: Option<Problem>,
}

impl Beating {
    pub(super) fn start(
        route: &Arc<Route>,
        store: &Store,
        probe: &Arc<Probe>,
        vitals: &Arc<Vitals>,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Beating {
        let showing = Showing { state: State::Joining, reads: None, ahead: 0, told: None };
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
            State::Held { reason, advice } | State::Stalled { reason, advice } => {
                Some((reason, advice))
            }
            State::Joining | State::Running => None,
        });
        self.vitals.held(match &state {
            State::Held { reason, advice } => {
                Some(Complaint { reason: reason.clone(), advice: advice.clone() })
            }
            _ => None,
        });
        self.set(|showing| showing.state = state);
    }

    /// Tells what is read from now on.
    pub(super) fn reads(&self, claimed: Option<Claimed>) {
        self.set(|showing| {
            showing.reads = claimed;
            showing.ahead = 0;
            showing.told = None;
        });
    }

    /// Whether anything is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.shown.lock().reads.is_some()
    }

    /// Waits until the route may not apply anything and another daemon would.
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
    vitals: Arc<Vitals>,
    reports: mpsc::UnboundedSender<Report>,
    shown: Arc<Shown>,
    worker: Uuid,
    host: String,
}

impl Pulse {
    async fn run(self) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look().await,
                () = self.shown.changed.notified() => self.beat().await,
            }
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
                state: self.state(&showing.state),
                partitions,
            }
        };
        if let Err(fault) = workers::beat(&self.store, &beat).await {
            debug!(%fault, "no heartbeat could be written");
        }
    }

    /// What the loop says, unless the watchdog knows better. Where both have a reason, the loop's is
    /// the cause.
    fn state(&self, own: &State) -> State {
        match (own, self.vitals.verdict()) {
            (State::Joining | State::Running, Some(found)) => {
                State::Stalled { reason: found.reason, advice: found.advice }
            }
            _ => own.clone(),
        }
    }

    /// Looks at the log and the positions: asks for a restart when the topic was made anew or the database
    /// went back in time, and writes the log's ends down.
    async fn look(&self) {
        self.beat().await;
        if self.route.admission.held().is_some()
            && workers::is_run_elsewhere(&self.store, self.route.id).await.unwrap_or(false)
        {
            self.shown.elsewhere.notify_waiters();
        }
        let reads = self.shown.lock().reads.clone();
        let Some(claimed) = reads else { return };
        let partitions: Vec<i32> =
            claimed.starts.keys().chain(claimed.silent.keys()).copied().collect();
        if partitions.is_empty() {
            return;
        }
        let (probe, asked) = (self.probe.clone(), partitions.clone());
        let seen = blocking(move || {
            let topic_id = probe.topic_id()?;
            let ends = probe.ends(&asked)?.records;
            // What is not heard of is not ahead.
            let committed = probe.committed(&asked).unwrap_or_default().records;
            Ok((topic_id, ends, committed))
        });
        let Ok((topic_id, ends, committed)) = seen.await else { return };
        if topic_id != claimed.log.topic_id {
            self.restart("the topic has another id: it was made anew");
            return;
        }
        let found = positions::read(&self.store, &claimed.log, &partitions).await;
        let Ok(found) = found else { return };
        self.check_steps(&claimed, &found, &committed);
        self.note_ends(&claimed.log, &found, ends).await;
    }

    /// Writes down where the logs end, and whether what is left of them is nothing that a consumer is given.
    /// Reading on from the position tells, whatever the member and the lanes have in hand. `ends` were asked
    /// for before, so that what comes meanwhile is not taken for read.
    async fn note_ends(
        &self,
        log: &Log,
        found: &BTreeMap<i32, Position>,
        ends: BTreeMap<i32, Watermarks>,
    ) {
        let ahead: BTreeMap<i32, i64> = (ends.iter())
            .filter_map(|(p, ends)| Some((*p, ends.ahead_of(found.get(p)?.next_offset)?)))
            .collect();
        let (probe, from) = (self.probe.clone(), ahead.clone());
        let first = blocking(move || probe.first_from(&from)).await.unwrap_or_default().records;
        let seen = |(partition, Watermarks { low, high }): (&i32, &Watermarks)| {
            let is_all_read = first.get(partition).is_some_and(Option::is_none);
            let all_read_from = ahead.get(partition).copied().filter(|_| is_all_read);
            Ends { partition: *partition, low: *low, high: *high, all_read_from }
        };
        let seen: Vec<Ends> = ends.iter().map(seen).collect();
        if let Err(fault) = workers::watermarks(&self.store, log, &seen).await {
            debug!(%fault, "the log's ends could not be written");
        }
    }

    /// A failed-over database may have lost its last commits, steps among them; what it lost must be
    /// read again even if no new record comes. `committed` was read before: Kafka hears of a step only
    /// after PostgreSQL has it, so an offset of Kafka's that is ahead was lost here. Once may be the
    /// moment after a claim that Kafka has not heard of yet.
    fn check_steps(
        &self,
        claimed: &Claimed,
        found: &BTreeMap<i32, Position>,
        committed: &BTreeMap<i32, i64>,
    ) {
        let floor: BTreeMap<i32, i64> = claimed.starts.iter().map(|(p, b)| (*p, b.step)).collect();
        let lost = floor.iter().any(|(p, step)| found.get(p).is_none_or(|f| f.step < *step));
        let is_ahead =
            |(p, kafka): (&i32, &i64)| found.get(p).is_some_and(|f| f.next_offset < *kafka);
        let ahead = match committed.iter().any(is_ahead) {
            true => self.shown.lock().ahead + 1,
            false => 0,
        };
        self.shown.lock().ahead = ahead;
        if lost || ahead > 1 {
            self.restart("the database lost steps that were committed: it went back in time");
            return;
        }
        // What was seen committed is the floor of the next look.
        let mut showing = self.shown.lock();
        if let Some(reads) = showing.reads.as_mut().filter(|r| r.log == claimed.log) {
            for (partition, begin) in &mut reads.starts {
                if let Some(position) = found.get(partition) {
                    begin.step = begin.step.max(position.step);
                }
            }
        }
    }

    fn restart(&self, why: &'static str) {
        self.shown.lock().reads = None;
        let _ = self.reports.send(Report::Restart(why));
    }
}
