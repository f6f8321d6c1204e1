//! The loop from Kafka to PostgreSQL, one per route.
//!
//! # States
//!
//! * **Joining**: the group has given no partitions yet, or their positions are being claimed. Left
//!   when the claim is written; then the lanes adopt it and the member fetches from it.
//! * **Running**: records flow from the member to the lanes. Left on a revoke (back to Joining), on a
//!   collision, when the member stopped fetching by itself, when the topic was made anew or the
//!   database lost steps, and when the watchdog asks for it: each of these claims again, the one way to
//!   begin reading.
//!   A partition that cannot be claimed or read is left out and looked at again by itself (`ingest/silent.rs`), and shown
//!   as a stall; the others run.
//! * **Barred**: the group does not take the member in, because workers of another kind are in it for example.
//!   Shown as stalled, with who is in the way; the client goes on asking. Left when the group gives partitions.
//! * **Held**: a lane cannot apply its batch. It keeps the batch and tries again by itself; the member
//!   stays in the group, and gives up fetching when the lanes have been full for a while. Left when the
//!   batch is applied. A route that may not apply anything yet, see [`crate::start_gate`], is held from its
//!   first moment: it joins, claims and pins its positions, and fetches nothing. Left when it is admitted,
//!   by claiming again; and when another daemon would run the route, by leaving the group to it (`ingest/standby.rs`).
//!
//! A member that broke or is stuck, or knew the topic before it was made anew, is left behind for a new one, which brings the loop back to Joining.
//!
//! None of the states is durable: what is, is the position in PostgreSQL.

mod attempt;
mod batch_work;
mod claim;
mod client_recovery;
mod decode;
mod fault;
mod group_rejection;
mod heartbeat;
mod ignored;
mod lane;
pub mod partition_state;
mod preview;
mod reading;
mod route;
mod settle;
mod silent;
mod standby;
mod topic_settings;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use uuid::Uuid;

pub use preview::{Preview, preview};
pub use route::Route;

use crate::config;
use crate::kafka::consumer::{Command, Event, Member};
use crate::kafka::login;
use crate::kafka::probe::Probe;
use crate::meter::{self, catalog};
use crate::progress::{Complaint, Remedy, Track, Vitals};
use crate::store::Store;
use crate::store::mapping::Mapping;
use crate::store::workers::State;
use claim::Claimed;
use group_rejection::Bar;
use heartbeat::Beating;
use lane::{Hold, Lane, Report};
use rules::problem::{Code, Problem};
use silent::Silent;

/// How long leaving the group may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// How often the loop shows that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How the loop is watched.
pub struct Watched {
    /// Where it shows itself.
    pub vitals: Arc<Vitals>,
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
    let probe = Arc::new(Probe::new(&kafka, &route.settings.topic, &route.settings.group)?);
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
    let login = login::version();
    let (member, events) = client_recovery::join(&route, &kafka, 1)?;
    vitals.client(member.pulse.clone());
    let lanes = (0..route.settings.lanes.max(1))
        .map(|number| Lane::start(number, &route, &store, &mapping, &vitals, &reports))
        .collect();
    let (claims, mut claimed) = mpsc::unbounded_channel();
    let mut admission = route.admission.clone();
    let mut ingest = Ingest {
        route,
        kafka,
        store,
        probe,
        member,
        events,
        member_number: 1,
        member_since: Instant::now(),
        login,
        lanes,
        claims,
        beating,
        vitals,
        owned: Vec::new(),
        assignment: 0,
        attempt: 0,
        claiming: None,
        failures: 0,
        careful: false,
        silent: Silent::default(),
        topic_id: None,
        tracks: BTreeMap::new(),
        generation: 0,
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
            event = ingest.events.recv() => match event {
                None => ingest.broken(&Problem::new(Code::GaveUp, "the Kafka thread ended")).await,
                Some(Event::Broken(problem)) => ingest.broken(&problem).await,
                Some(Event::Fatal(problem)) => break Err(Problem { code: Code::Config, ..problem }),
                Some(event) => { ingest.on_event(event).await; Ok(()) }
            },
            Some(report) = listener.recv() => ingest.on_report(report).await,
            Some(end) = claimed.recv() => ingest.on_end(end).await,
            Some(remedy) = remedies.recv() => ingest.on_remedy(remedy).await,
            () = admission.changed() => { ingest.on_admission(); Ok(()) }
            () = ingest.beating.is_run_elsewhere() => ingest.give_way(&stop).await,
        };
        if step.is_err() {
            break step;
        }
    };
    ingest.drain().await;
    outcome
}

/// The loop's state.
struct Ingest {
    route: Arc<Route>,
    kafka: config::Kafka,
    store: Store,
    probe: Arc<Probe>,
    member: Member,
    /// What the present member tells; what an older one still says goes nowhere.
    events: mpsc::UnboundedReceiver<Event>,
    /// Counts the members, from 1.
    member_number: u32,
    member_since: Instant,
    /// The present member's login.
    login: u64,
    lanes: Vec<Lane>,
    claims: mpsc::UnboundedSender<ClaimEnd>,
    beating: Beating,
    vitals: Arc<Vitals>,
    /// The partitions the group gave us.
    owned: Vec<i32>,
    /// The number of that assignment, as the present member counts.
    assignment: u64,
    /// Counts claim attempts, so that the answer to an outdated one is known as such.
    attempt: u64,
    /// The newest attempt; replacing or dropping it ends it.
    claiming: Option<AbortOnDropHandle<()>>,
    /// Claims that failed, or led to nothing that moved, in a row.
    failures: u32,
    /// Whether a record could not be read since the last claim that left no partition out.
    careful: bool,
    /// The partitions that could not be claimed.
    silent: Silent,
    /// The topic as the newest claim has it.
    topic_id: Option<Uuid>,
    /// How far the partitions of the newest claim are.
    tracks: BTreeMap<i32, Arc<Track>>,
    /// The newest fetch.
    generation: u64,
    /// Which lanes are held, and why.
    holds: BTreeMap<usize, Hold>,
    /// Why the group does not take us in.
    barred: Option<Bar>,
    /// Where lanes, the heartbeat and looks at the group report.
    reports: mpsc::UnboundedSender<Report>,
}

/// The end of something that was tried for the partitions.
struct ClaimEnd {
    /// The claim attempt, or the one after which was looked.
    attempt: u64,
    outcome: Outcome,
}

enum Outcome {
    /// Of a claim.
    Claimed(Result<Claimed, Problem>),
    /// Of a look at the partitions that could not be claimed: those that still could not.
    Looked(Result<BTreeMap<i32, Problem>, Problem>),
}

impl Ingest {
    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Assigned { assignment, partitions } => {
                self.vitals.assigned(Some(partitions.clone()));
                meter::count(catalog::REBALANCES, "route", &self.route.settings.name);
                (self.owned, self.assignment) = (partitions, assignment);
                self.barred = None;
                self.failures = 0;
                self.claim_after(Duration::ZERO, None);
            }
            Event::Revoked { done } => {
                self.vitals.assigned(None);
                self.forget_partitions().await;
                let _: Result<(), std_mpsc::TrySendError<()>> = done.try_send(());
            }
            Event::Stopped(why) => self.on_stopped(why),
            Event::Unreadable(problem) => {
                self.careful = true;
                self.on_trouble(problem, true);
                self.on_stopped("a record could not be read");
            }
            Event::Trouble { problem, wants_help } => self.on_trouble(problem, wants_help),
            Event::Barred(problem) => self.on_refusal(problem),
            Event::Broken(_) | Event::Fatal(_) => {}
        }
    }

    fn on_trouble(&mut self, problem: Problem, wants_help: bool) {
        if self.beating.is_news(&problem) {
            warn!(
                route = self.route.settings.name,
                code = problem.code.as_str(),
                hint = problem.hint,
                "{}",
                problem.cause
            );
        }
        if wants_help {
            self.vitals.trouble(Complaint { reason: problem.cause, advice: problem.hint });
        }
    }

    async fn on_report(&mut self, report: Report) -> Result<(), Problem> {
        match report {
            Report::Held(lane, hold) => {
                meter::count(catalog::HOLDS, "route", &self.route.settings.name);
                self.holds.insert(lane, hold);
                self.show_state();
            }
            Report::Resumed(lane) => {
                self.holds.remove(&lane);
                self.show_state();
            }
            Report::Restart(why) => self.restart(why).await,
            Report::Barred(problem) => self.on_barred(problem),
            Report::Ended(lane) => {
                return Err(Problem::new(Code::GaveUp, format!("lane {lane} ended by itself")));
            }
        }
        Ok(())
    }

    /// Lets go of everything that was the group's.
    async fn forget_partitions(&mut self) {
        self.owned.clear();
        self.attempt += 1;
        // Why they could not be claimed is over with them.
        self.holds.remove(&reading::HOLD);
        self.claiming = None;
        self.silent.forget();
        self.beating.reads(None);
        self.drop_all().await;
        self.show_state();
    }

    /// There is another word on whether anything may be applied. What was only pinned is claimed again, for
    /// that is how reading begins.
    fn on_admission(&mut self) {
        if self.route.admission.held().is_none() && self.beating.is_reading() {
            self.claim_after(Duration::ZERO, None);
        }
        self.show_state();
    }

    fn show_state(&self) {
        let hold = self.holds.values().next();
        let state = match (self.route.admission.held(), hold, &self.barred) {
            (Some(why), ..) => State::Held { reason: why.reason, advice: why.advice },
            (None, Some(Hold { reason, advice }), _) => {
                State::Held { reason: reason.clone(), advice: advice.clone() }
            }
            (None, None, Some(bar)) => bar.state(),
            (None, None, None) if self.owned.is_empty() || !self.beating.is_reading() => {
                State::Joining
            }
            (None, None, None) => self.silent.state().unwrap_or(State::Running),
        };
        self.beating.shows(state);
    }

    /// Stops reading, finishes the batches in flight, commits, leaves the group.
    async fn drain(mut self) {
        info!(route = self.route.settings.name, "draining");
        self.member.tell(Command::Unfetch);
        self.claiming = None;
        self.drop_all().await;
        // From here on a revoke finds nobody to ask and does not wait.
        drop(self.events);
        self.member.close(CLOSE_PATIENCE).await;
        self.beating.stop().await;
    }
}
