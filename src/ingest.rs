//! The loop from Kafka to PostgreSQL, one per route.
//!
//! What it is in and what leads where is the machine's, [`rules::ingest`]; this carries the actions out. Beside the machine's
//! states a route may be *held*: a lane cannot apply its batch, keeps it and tries again by itself, while the member stays in the
//! group; or nothing may be applied yet, see [`crate::start_gate`], and the place is pinned. It may be *barred*: the group does
//! not take the member in (`ingest/group_rejection.rs`). A partition that cannot be claimed or read is left out and looked at by
//! itself (`ingest/left_out.rs`). A member that broke, is stuck, or knew the topic before it was made anew is replaced
//! (`ingest/client_recovery.rs`); a held route is left to another daemon that runs it (`ingest/standby.rs`).

mod attempt;
mod attempts;
mod batch_work;
mod claim;
mod client_recovery;
mod decode;
mod fault;
mod group_rejection;
mod heartbeat;
mod ignored;
mod lane;
mod left_out;
pub mod partition_state;
mod preview;
mod reading;
mod route;
mod settle;
mod standby;
mod topic_settings;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use preview::{Preview, preview};
pub use route::Route;

use crate::config;
use crate::kafka::consumer::{self, Command};
use crate::kafka::probe::Probe;
use crate::meter::{self, catalog};
use crate::progress::{Progress, Remedy, Track};
use crate::stop::{blocking, unless_stopped};
use crate::store::Store;
use crate::store::mapping::Mapping;
use crate::store::workers::State;
use attempts::Attempts;
use client_recovery::{DROP_PATIENCE, GroupClient};
use group_rejection::Bar;
use heartbeat::Beating;
use lane::{Lane, LaneReport};
use rules::diagnosis::Diagnosis;
use rules::ingest::{Event, Ingest as Machine};
use rules::problem::{Code, Problem};

/// How long leaving the group may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// How often the loop shows that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How the loop is watched.
pub struct Watched {
    /// Where it shows itself.
    pub vitals: Arc<Progress>,
    /// What it is asked to do when it is stuck.
    pub remedies: mpsc::UnboundedReceiver<Remedy>,
}

/// Runs a route until `stop`: joins the group, applies what comes, drains. Returns early only with a
/// problem that a new process may not have.
pub async fn run(
    route: Arc<Route>,
    kafka: config::Kafka,
    store: Store,
    mapping: watch::Receiver<Arc<Mapping>>,
    watched: Watched,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let Watched { vitals, mut remedies } = watched;
    let (settings, brokers) = (route.settings.clone(), kafka.clone());
    let opening = blocking(move || Probe::new(&brokers, &settings.topic, &settings.group));
    let Some(probe) = unless_stopped(&stop, opening).await else { return Ok(()) };
    let probe = Arc::new(probe?);
    let (reports, mut listener) = mpsc::unbounded_channel();
    let beating = Beating::start(&route, &store, &probe, &vitals, &reports);
    tokio::select! {
        biased;
        () = stop.cancelled() => {
            beating.stop().await;
            return Ok(());
        }
        () = standby::stand_aside(&route, &store, &beating, None) => {}
    }
    let Some(client) = unless_stopped(&stop, GroupClient::join(&route, &kafka, 1)).await else {
        beating.stop().await;
        return Ok(());
    };
    let client = client?;
    vitals.client(client.member.pulse.clone());
    let lanes = (0..route.settings.lanes.max(1))
        .map(|number| Lane::start(number, &route, &store, &mapping, &vitals, &reports))
        .collect();
    let (attempts, mut ended) = Attempts::new();
    let mut admission = route.admission.clone();
    let mut ingest = Ingest {
        route,
        kafka,
        stop: stop.clone(),
        store,
        probe,
        client,
        lanes,
        attempts,
        beating,
        vitals,
        machine: Machine::default(),
        tracks: BTreeMap::new(),
        left_out: BTreeMap::new(),
        holds: BTreeMap::new(),
        barred: None,
        reports,
    };
    let mut alive = tokio::time::interval(SIGN_OF_LIFE);
    let outcome = loop {
        let step = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            _ = alive.tick() => { ingest.route.sign.tick(); ingest.renew_login().await }
            event = ingest.client.events.recv() => match event {
                None => ingest.broken(&Problem::new(Code::GaveUp, "the Kafka thread ended")).await,
                Some(consumer::Event::Broken(problem)) => ingest.broken(&problem).await,
                Some(consumer::Event::Fatal(problem)) => break Err(Problem { code: Code::Config, ..problem }),
                Some(event) => ingest.on_event(event).await,
            },
            Some(report) = listener.recv() => ingest.on_report(report).await,
            Some(end) = ended.recv() => ingest.on_end(end).await,
            Some(remedy) = remedies.recv() => ingest.on_remedy(remedy).await,
            () = admission.changed() => ingest.on_admission().await,
            () = ingest.beating.is_run_elsewhere() => ingest.give_way().await,
        };
        if step.is_err() {
            break step;
        }
    };
    ingest.drain().await;
    outcome
}

/// The loop: the machine, what it acts on, and what is shown.
struct Ingest {
    route: Arc<Route>,
    kafka: config::Kafka,
    stop: CancellationToken,
    store: Store,
    probe: Arc<Probe>,
    client: GroupClient,
    lanes: Vec<Lane>,
    attempts: Attempts,
    beating: Beating,
    vitals: Arc<Progress>,
    machine: Machine,
    /// How far the partitions of the newest claim are.
    tracks: BTreeMap<i32, Arc<Track>>,
    /// Why partitions are not read.
    left_out: BTreeMap<i32, Problem>,
    /// Which lanes are held, and why.
    holds: BTreeMap<usize, Diagnosis>,
    /// Why the group does not take us in.
    barred: Option<Bar>,
    /// Where lanes, the heartbeat and looks at the group report.
    reports: mpsc::UnboundedSender<LaneReport>,
}

impl Ingest {
    async fn on_event(&mut self, event: consumer::Event) -> Result<(), Problem> {
        match event {
            consumer::Event::Assigned { assignment, partitions } => {
                self.vitals.assigned(Some(partitions.clone()));
                meter::count(catalog::REBALANCES, "route", &self.route.settings.name);
                self.barred = None;
                self.happen(Event::Assigned { assignment, partitions }).await
            }
            consumer::Event::Revoked { done } => {
                self.client.revoked = Some(done);
                self.happen(Event::Revoked).await
            }
            consumer::Event::Stopped(why) => self.on_stopped(why, false).await,
            consumer::Event::Unreadable(problem) => {
                self.on_trouble(problem, true);
                self.on_stopped("a record could not be read", true).await
            }
            consumer::Event::Trouble { problem, wants_help } => {
                self.on_trouble(problem, wants_help);
                Ok(())
            }
            consumer::Event::Barred(problem) => {
                self.on_refusal(problem);
                Ok(())
            }
            consumer::Event::Broken(_) | consumer::Event::Fatal(_) => Ok(()),
        }
    }

    fn on_trouble(&mut self, problem: Problem, wants_help: bool) {
        if self.beating.is_news(&problem) {
            warn!(
                route = self.route.settings.name,
                code = problem.code.as_str(),
                hint = problem.advice,
                "{}",
                problem.reason
            );
        }
        if wants_help {
            self.vitals.trouble(problem);
        }
    }

    async fn on_report(&mut self, report: LaneReport) -> Result<(), Problem> {
        match report {
            LaneReport::Held(lane, hold) => {
                meter::count(catalog::HOLDS, "route", &self.route.settings.name);
                self.holds.insert(lane, hold);
                self.show_state();
            }
            LaneReport::Resumed(lane) => {
                self.holds.remove(&lane);
                self.show_state();
            }
            LaneReport::Restart(why) => self.restart(why, false).await?,
            LaneReport::Barred(problem) => self.on_barred(problem),
            LaneReport::Ended(lane) => {
                return Err(Problem::new(Code::GaveUp, format!("lane {lane} ended by itself")));
            }
        }
        Ok(())
    }

    /// There is another word on whether anything may be applied. What was only pinned is claimed again, for
    /// that is how reading begins.
    async fn on_admission(&mut self) -> Result<(), Problem> {
        match self.route.admission.held() {
            None => self.happen(Event::Admitted).await,
            Some(_) => {
                self.show_state();
                Ok(())
            }
        }
    }

    fn show_state(&self) {
        let hold = self.holds.values().next();
        let state = match (self.route.admission.held(), hold, &self.barred) {
            (Some(why), ..) => State::Held(why),
            (None, Some(hold), _) => State::Held(hold.clone()),
            (None, None, Some(bar)) => bar.state(),
            (None, None, None)
                if self.machine.partitions().is_empty() || !self.beating.is_reading() =>
            {
                State::Joining
            }
            (None, None, None) => self.state_of_left_out().unwrap_or(State::Running),
        };
        self.beating.shows(state);
    }

    /// Stops reading, finishes the batches in flight, commits, leaves the group.
    async fn drain(mut self) {
        info!(route = self.route.settings.name, "draining");
        self.client.member.tell(Command::Unfetch);
        self.attempts.end();
        if tokio::time::timeout(DROP_PATIENCE, self.drop_all()).await.is_err() {
            warn!(
                route = self.route.settings.name,
                "a batch in flight is given up; it will be read again"
            );
        }
        // From here on a revoke finds nobody to ask and does not wait.
        drop(self.client.events);
        self.client.member.close(CLOSE_PATIENCE).await;
        self.beating.stop().await;
    }
}
