//! The daemon's own copy of the overview, taken anew every two seconds. Whoever wants to know, a probe, a
//! scrape, a page, gets the copy: asking costs the servers nothing, and is answered while they are away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use super::evaluate::unreachable;
use super::readiness::{self, ReadinessCheck};
use super::{History, Overview, RouteOverview, Sources};
use crate::config::Config;
use crate::heartbeats::Heartbeats;
use crate::store::Store;
use crate::store::verdicts::{self, Judged};
use rules::diagnosis::Diagnosis;
use rules::health::{self, Health, Verdict};
use rules::problem::Problem;

/// The pause between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// How often the verdicts are written down at least.
const SAID_EVERY: Duration = Duration::from_secs(3);
/// How long a look may wait for PostgreSQL, and then for Kafka.
const PATIENCE: Duration = Duration::from_secs(3);

/// The overview as it was last taken, and what this process says of itself.
#[derive(Clone)]
pub struct Snapshot {
    /// The overview; `None` until the first look has ended.
    pub overview: Option<Overview>,
    /// When it was taken, by this machine's clock.
    pub taken_at: Timestamp,
    /// Since when the verdict has been what it is.
    pub since: Timestamp,
    taken: Instant,
    /// This process's signs of life.
    pub liveness: Heartbeats,
    /// What the last hour was like.
    pub history: Arc<History>,
}

/// Takes snapshots.
pub struct Refresher {
    sources: Sources,
    sender: watch::Sender<Arc<Snapshot>>,
    /// Under which the verdicts are written down.
    writer: Uuid,
    /// The verdicts that were written down last, and when.
    said: Option<(Instant, Vec<Verdict>)>,
}

impl Snapshot {
    /// What the database's clock shows now, or what ours showed when nothing was known of it yet.
    pub fn present(&self) -> Timestamp {
        self.overview.as_ref().map_or(self.taken_at, Overview::present)
    }

    /// How long ago it was taken.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    /// Whether the work can be done, check by check.
    pub fn readiness(&self) -> Vec<ReadinessCheck> {
        readiness::checks(self)
    }
}

impl Refresher {
    /// Connects to nothing yet.
    pub fn new(config: Arc<Config>, liveness: Heartbeats) -> Result<Refresher, Problem> {
        let sources = Sources::new(config, "makegood status", PATIENCE)?;
        let now = Timestamp::now();
        let taken = Instant::now();
        let history = Arc::default();
        let first =
            Snapshot { overview: None, taken_at: now, since: now, taken, liveness, history };
        let sender = watch::Sender::new(Arc::new(first));
        Ok(Refresher { sources, sender, writer: Uuid::new_v4(), said: None })
    }

    /// Where the newest snapshot can be had, and waited for.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sender.subscribe()
    }

    /// Takes one after the other until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.refresh() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn refresh(&mut self) {
        let taken = self.sources.overview().await;
        let before = self.sender.borrow().clone();
        let mut overview = match &taken.trouble {
            Some(problem) => keep(before.overview.as_ref(), &taken, problem),
            None => taken,
        };
        if let Some(outbox) = &mut overview.outbox {
            outbox.add_own_trouble(&before.liveness);
        }
        for route in &mut overview.routes {
            add_own_trouble(route, &before.liveness);
        }
        self.say(&overview).await;
        let now = Timestamp::now();
        let same = before.overview.as_ref().is_some_and(|b| b.worst() == overview.worst());
        self.sender.send_replace(Arc::new(Snapshot {
            history: before.history.with(now, &overview),
            overview: Some(overview),
            taken_at: now,
            since: if same { before.since } else { now },
            taken: Instant::now(),
            liveness: before.liveness.clone(),
        }));
    }
}

impl Refresher {
    /// Writes the verdicts down for those who read SQL: each change, and now and then that they still hold.
    async fn say(&mut self, overview: &Overview) {
        let outbox = overview.outbox.as_ref().map(|outbox| &outbox.health);
        let routes = overview.routes.iter().map(|route| route.health.verdict);
        let words: Vec<Verdict> = routes.chain(outbox.map(|health| health.verdict)).collect();
        let is_known = self
            .said
            .as_ref()
            .is_some_and(|(at, said)| at.elapsed() < SAID_EVERY && *said == words);
        if is_known {
            return;
        }
        let is_outbox_said = self.say_of_outbox(outbox).await;
        if overview.trouble.is_some() {
            return;
        }
        let verdicts: Vec<Judged<'_>> = (overview.routes.iter())
            .map(|RouteOverview { name, health, .. }| Judged {
                route: name,
                verdict: health.verdict.as_str(),
                rank: health.verdict.rank(),
                sentence: &health.sentence,
            })
            .collect();
        let writing = async |store: &Store| verdicts::write(store, self.writer, &verdicts).await;
        // Where they cannot be written they get old, which the view tells.
        match self.sources.purchases.ask(PATIENCE, "the verdicts", writing).await {
            Ok(()) if is_outbox_said => self.said = Some((Instant::now(), words)),
            Ok(()) => {}
            Err(problem) => debug!(%problem, "the verdicts were not written down"),
        }
    }

    /// The same of the outbox, whose database may be another one.
    async fn say_of_outbox(&self, said: Option<&Health>) -> bool {
        let (Some(base), Some(said)) = (&self.sources.outbox, said) else { return true };
        let writing = async |store: &Store| verdicts::write_outbox(store, self.writer, said).await;
        let written = base.ask(PATIENCE, "the outbox's verdict", writing).await;
        if let Err(problem) = &written {
            debug!(%problem, "the outbox's verdict was not written down");
        }
        written.is_ok()
    }
}

/// While the database is away, what it last said is shown, with its age, beside what Kafka says now.
fn keep(before: Option<&Overview>, taken: &Overview, problem: &Problem) -> Overview {
    let Some(before) = before else { return taken.clone() };
    let look = |name: &str| taken.routes.iter().find(|r| r.name == name).map(|r| r.look.clone());
    let routes = before.routes.iter().map(|route| RouteOverview {
        health: unreachable(problem),
        look: look(&route.name).unwrap_or_else(|| route.look.clone()),
        ..route.clone()
    });
    Overview {
        routes: routes.collect(),
        trouble: taken.trouble.clone(),
        outbox: taken.outbox.clone(),
        ..before.clone()
    }
}

/// A loop of this process that is held cannot always say so in the database, on a full disk for example.
fn add_own_trouble(route: &mut RouteOverview, liveness: &Heartbeats) {
    let name = loop_name(&route.name);
    let is_down = route.health.verdict == Verdict::Down;
    let Some(trouble) = liveness.trouble(&name) else {
        // This process runs: whatever the database knows of it, nobody need start it.
        if is_down && liveness.runs(&name) {
            let sentence = "joining: this daemon runs the route and has not reported yet; if this lasts, its log says why";
            route.health = Health::new(Verdict::Joining, sentence);
        }
        return;
    };
    if is_down || route.health.verdict < Verdict::Held {
        let (age, Diagnosis { reason, advice, .. }) = (trouble.since.elapsed(), &trouble.diagnosis);
        let sentence = health::holds(health::Held { age, reason, advice });
        route.health =
            Health::new(Verdict::Held, sentence).because(reason, advice).lasting(Some(age));
    }
}

/// The name under which a route's loop shows signs of life.
pub fn loop_name(route: &str) -> String {
    format!("ingest {route}")
}
