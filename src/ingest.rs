//! The loop from Kafka to PostgreSQL, one per route.
//!
//! # States
//!
//! * **Joining**: the group has given no partitions yet, or their positions are being claimed. Left
//!   when the claim is written; then the lanes adopt it and the member fetches from it.
//! * **Running**: records flow from the member to the lanes. Left on a revoke (back to Joining), on a
//!   collision, when the member stopped fetching by itself, and when the topic was made anew or the
//!   database lost steps: each of these claims again, the one way to begin reading.
//! * **Held**: a lane cannot apply its batch. It keeps the batch and tries again by itself; the member
//!   stays in the group, and gives up fetching when the lanes have been full for a while. Left when the
//!   batch is applied.
//!
//! None of the states is durable: what is, is the position in PostgreSQL.

mod attempt;
mod beat;
mod claim;
mod decode;
mod lane;
mod route;

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use route::Route;

use crate::config;
use crate::kafka::consumer::{Command, Event, Member, Source};
use crate::kafka::probe::Probe;
use crate::meter::{self, catalog};
use crate::pure::backoff::Backoff;
use crate::pure::problem::{Code, Problem};
use crate::store::Store;
use crate::store::mapping::Mapping;
use crate::store::workers::State;
use beat::Beating;
use claim::Claimed;
use lane::{Hold, Lane, Order, Report};

/// Pauses between attempts to claim; the first is long enough for a zombie to learn its fate.
const CLAIM_BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) };
/// How long leaving the group may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// How often the loop shows that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Runs a route until `stop`: joins the group, applies what comes, drains. Returns early only with a
/// problem that a new process may not have.
pub async fn run(
    route: Arc<Route>,
    kafka: config::Kafka,
    store: Store,
    mapping: watch::Receiver<Arc<Mapping>>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let probe = Arc::new(Probe::new(&kafka, &route.settings.topic, &route.settings.group)?);
    let client_id = format!("makegood-{}", route.settings.name);
    let (member, mut events) =
        Member::join(&kafka, &route.settings.topic, &route.settings.group, &client_id)?;
    let (reports, mut listener) = mpsc::unbounded_channel();
    let lanes = (0..route.settings.lanes.max(1))
        .map(|number| Lane::start(number, &route, &store, &mapping, &member.board, &reports))
        .collect();
    let (claims, mut claimed) = mpsc::unbounded_channel();
    let beating = Beating::start(&route, &store, &probe, &reports);
    let mut ingest = Ingest {
        route,
        store,
        probe,
        member,
        lanes,
        claims,
        beating,
        owned: Vec::new(),
        attempt: 0,
        failures: 0,
        generation: 0,
        holds: BTreeMap::new(),
    };
    let mut alive = tokio::time::interval(SIGN_OF_LIFE);
    let outcome = loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            _ = alive.tick() => ingest.route.sign.tick(),
            event = events.recv() => match event {
                None => break Err(Problem::new(Code::GaveUp, "the Kafka thread ended")),
                Some(Event::Fatal(problem)) => break Err(Problem { code: Code::GaveUp, ..problem }),
                Some(event) => ingest.on_event(event).await,
            },
            Some(report) = listener.recv() => ingest.on_report(report).await,
            Some(claim) = claimed.recv() => ingest.on_claimed(claim).await,
        }
    };
    ingest.drain(events).await;
    outcome
}

/// The loop's state.
struct Ingest {
    route: Arc<Route>,
    store: Store,
    probe: Arc<Probe>,
    member: Member,
    lanes: Vec<Lane>,
    claims: mpsc::UnboundedSender<ClaimEnd>,
    beating: Beating,
    /// The partitions the group gave us.
    owned: Vec<i32>,
    /// Counts claim attempts, so that the answer to an outdated one is known as such.
    attempt: u64,
    /// Claims that failed in a row.
    failures: u32,
    /// The newest fetch.
    generation: u64,
    /// Which lanes are held, and why.
    holds: BTreeMap<usize, Hold>,
}

/// The end of a claim attempt.
struct ClaimEnd {
    attempt: u64,
    outcome: Result<Claimed, Problem>,
}

impl Ingest {
    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Assigned(partitions) => {
                meter::count(catalog::REBALANCES, "route", &self.route.settings.name);
                self.owned = partitions;
                self.failures = 0;
                self.claim_after(Duration::ZERO, None);
            }
            Event::Revoked { done } => {
                self.owned.clear();
                self.attempt += 1;
                self.drop_all().await;
                self.beating.reads(None);
                self.show_state();
                let _: Result<(), std_mpsc::TrySendError<()>> = done.try_send(());
            }
            Event::Stopped(why) => {
                warn!(
                    route = self.route.settings.name,
                    why, "reading stopped; it starts again when the lanes are empty"
                );
                let settled = self.settle();
                self.claim_after(Duration::ZERO, Some(settled));
            }
            Event::Trouble(problem) => {
                if self.beating.is_news(&problem) {
                    warn!(
                        route = self.route.settings.name,
                        code = problem.code.as_str(),
                        hint = problem.hint,
                        "{}",
                        problem.cause
                    );
                }
            }
            Event::Fatal(_) => {}
        }
    }

    async fn on_report(&mut self, report: Report) {
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
            Report::Restart(why) if self.owned.is_empty() => {
                info!(
                    route = self.route.settings.name,
                    why, "nothing to claim again: no partition is assigned"
                );
            }
            Report::Restart(why) => {
                warn!(
                    route = self.route.settings.name,
                    why, "positions are read and claimed again"
                );
                self.member.tell(Command::Unfetch);
                self.drop_all().await;
                self.failures += 1;
                self.claim_after(CLAIM_BACKOFF.delay(self.failures - 1, fastrand::f64()), None);
            }
            Report::Ended(lane) => {
                error!(lane, "a lane ended by itself");
                self.beating.fail("a lane ended by itself; restart makegood");
            }
        }
    }

    async fn on_claimed(&mut self, end: ClaimEnd) {
        if end.attempt != self.attempt {
            return;
        }
        match end.outcome {
            Ok(claimed) => {
                self.failures = 0;
                self.fetch(claimed).await;
            }
            Err(problem) => {
                let delay = CLAIM_BACKOFF.delay(self.failures, fastrand::f64());
                if self.beating.is_news(&problem) {
                    warn!(
                        route = self.route.settings.name,
                        code = problem.code.as_str(),
                        hint = problem.hint,
                        "cannot claim positions yet: {}",
                        problem.cause
                    );
                }
                self.failures = self.failures.saturating_add(1);
                self.holds.insert(CLAIM_HOLD, Hold { reason: problem.cause, advice: problem.hint });
                self.show_state();
                self.claim_after(delay, None);
            }
        }
    }

    /// Starts a claim of what we own, after a pause and after the lanes have settled if asked to.
    fn claim_after(&mut self, pause: Duration, settled: Option<Vec<oneshot::Receiver<()>>>) {
        self.attempt += 1;
        let (attempt, partitions) = (self.attempt, self.owned.clone());
        let (route, store, probe, claims) =
            (self.route.clone(), self.store.clone(), self.probe.clone(), self.claims.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            for lane in settled.into_iter().flatten() {
                let _ = lane.await;
            }
            let outcome = claim::claim(&route, &store, &probe, &partitions).await;
            let _ = claims.send(ClaimEnd { attempt, outcome });
        });
    }

    /// Has the lanes adopt a claim and the member read from it.
    async fn fetch(&mut self, claimed: Claimed) {
        self.holds.remove(&CLAIM_HOLD);
        self.generation += 1;
        let mut sources = Vec::new();
        let count = self.lanes.len();
        for (number, lane) in self.lanes.iter().enumerate() {
            let steps: BTreeMap<i32, i64> = claimed
                .starts
                .iter()
                .filter(|(partition, _)| lane_of(**partition, count) == number)
                .map(|(partition, start)| (*partition, start.step))
                .collect();
            sources.extend(steps.keys().map(|partition| Source {
                partition: *partition,
                offset: claimed.starts[partition].offset,
                lane: lane.records.clone(),
            }));
            lane.tell(Order::Adopt {
                generation: self.generation,
                log: claimed.log.clone(),
                steps,
            })
            .await;
        }
        info!(
            route = self.route.settings.name,
            partitions = claimed.starts.len(),
            topic_id = %claimed.log.topic_id,
            "reading"
        );
        self.beating.reads(Some(claimed));
        self.member.tell(Command::Fetch { generation: self.generation, sources });
        self.show_state();
    }

    /// Has every lane drop what it holds; a batch in flight is waited for.
    async fn drop_all(&mut self) {
        let mut dropped = Vec::new();
        for lane in &self.lanes {
            let (done, wait) = oneshot::channel();
            lane.tell(Order::Drop { done }).await;
            dropped.push(wait);
        }
        for wait in dropped {
            let _ = wait.await;
        }
    }

    /// Asks every lane to answer once it holds nothing any more.
    fn settle(&self) -> Vec<oneshot::Receiver<()>> {
        let ask = |lane: &Lane| {
            let (done, wait) = oneshot::channel();
            lane.tell_now(Order::Settle { done });
            wait
        };
        self.lanes.iter().map(ask).collect()
    }

    fn show_state(&self) {
        let state = match self.holds.values().next() {
            Some(hold) => State::Held { reason: hold.reason.clone(), advice: hold.advice.clone() },
            None if self.owned.is_empty() || !self.beating.is_reading() => State::Joining,
            None => State::Running,
        };
        self.beating.shows(state);
    }

    /// Stops reading, finishes the batches in flight, commits, leaves the group.
    async fn drain(mut self, events: mpsc::UnboundedReceiver<Event>) {
        info!(route = self.route.settings.name, "draining");
        self.member.tell(Command::Unfetch);
        self.drop_all().await;
        // From here on a revoke finds nobody to ask and does not wait.
        drop(events);
        self.member.close(CLOSE_PATIENCE).await;
        self.beating.stop().await;
    }
}

/// The place of a failed claim among the holds of the lanes.
const CLAIM_HOLD: usize = usize::MAX;

/// The lane of a partition: always the same one, so that its records stay in order.
fn lane_of(partition: i32, lanes: usize) -> usize {
    partition.unsigned_abs() as usize % lanes
}
