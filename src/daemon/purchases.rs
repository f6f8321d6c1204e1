//! The part of the daemon that stands beside the purchases: the routes and their reconciliation.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::first_start::ByHand;
use super::mapping::{Candidate, Told};
use super::signals::Signals;
use super::{await_schema, supervise};
use crate::config::{self, Config};
use crate::heartbeats::Heartbeats;
use crate::ingest::{self, Route, Watched};
use crate::meter::{self, catalog};
use crate::overview::loop_name;
use crate::progress::Progress;
use crate::reconcile::{self, Job};
use crate::replay::{self, Replayer};
use crate::retention;
use crate::start_gate::admission;
use crate::store::mapping::Mapping;
use crate::store::migrate::Set;
use crate::store::{Connections, Store, connect, listen};
use crate::watchdog::{self, Watch, supervisor};
use rules::problem::Problem;

/// How often the connections are counted.
const MEASURE: Duration = Duration::from_secs(2);

/// What people ask for is heard on these.
const CHANNELS: &[&str] = &["makegood_reconcile", "makegood_replay"];

/// Waits for the purchases' database, then runs the loops until `stop`.
pub(super) async fn run(
    config: Arc<Config>,
    confirmed: Vec<String>,
    liveness: Heartbeats,
    signals: Signals,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let prepared = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        prepared = prepare(&config, &confirmed, &liveness) => prepared?,
    };
    let _meter = AbortOnDropHandle::new(tokio::spawn(measure(prepared.store.clone())));
    supervisor::ready();
    let mut loops = JoinSet::new();
    let mut watches = Vec::new();
    let (heard, hears) = watch::channel(0);
    match config.postgres.with_session() {
        Some(session) => {
            tokio::spawn(listen::listen(session.clone(), CHANNELS, heard));
        }
        None => warn!(
            hint = "set postgres.direct_url to PostgreSQL itself",
            "no notification passes a pooler in transaction mode: requests are found by polling"
        ),
    }
    for Ready { route, mapping, candidate, told } in prepared.routes {
        tokio::spawn(candidate.keep(told, signals.reload.clone()));
        let jobs = jobs(&config, &liveness, &route)?;
        for job in jobs {
            let (store, asked) = (prepared.store.clone(), signals.reconcile.clone());
            let run =
                reconcile::run(job, store, mapping.clone(), hears.clone(), asked, stop.clone());
            loops.spawn(run);
        }
        let replays = replays(&route, &liveness);
        let replayer = Replayer::new(replays, prepared.store.clone(), mapping.clone());
        loops.spawn(replay::run(replayer, hears.clone(), stop.clone()));
        let (watch, watched) = watch_over(&route);
        watches.push(watch);
        let (kafka, store) = (config.kafka.clone(), prepared.store.clone());
        loops.spawn(ingest::run(route, kafka, store, mapping, watched, stop.clone()));
    }
    let (store, sign) =
        (prepared.store, liveness.expect_within("inbox retention", retention::SIGN));
    loops.spawn(retention::run(store, config.retention.inbox, sign, stop.clone()));
    let (postgres, kafka) = (config.postgres.clone(), config.kafka.clone());
    let patience = config.watchdog.patience;
    loops.spawn(watchdog::run(patience, postgres, kafka, watches, stop.clone()));
    supervise(loops, stop).await
}

/// Both ends of the watch over a route: the watchdog's, and the loop's.
fn watch_over(route: &Route) -> (Watch, Watched) {
    let vitals = Progress::new(route.settings.lanes.max(1));
    let (remedies, heard) = mpsc::unbounded_channel();
    let watch = Watch {
        route: route.settings.name.clone(),
        topic: route.settings.topic.clone(),
        group: route.settings.group.clone(),
        vitals: vitals.clone(),
        remedies,
    };
    (watch, Watched { vitals, remedies: heard })
}

/// What the loops need to begin.
struct Prepared {
    store: Store,
    routes: Vec<Ready>,
}

/// A route whose loops can start, though it may be held.
struct Ready {
    route: Arc<Route>,
    mapping: watch::Receiver<Arc<Mapping>>,
    candidate: Candidate,
    told: Told,
}

async fn prepare(
    config: &Config,
    confirmed: &[String],
    liveness: &Heartbeats,
) -> Result<Prepared, Problem> {
    let store = Store::open(&config.postgres, connect::POOL_NAME, config.pool_size())?;
    await_schema::schema(&config.postgres, Set::Inbox, config.migrate.mode).await?;
    let (mut routes, mut unusable) = (Vec::new(), Vec::new());
    for settings in &config.inbox {
        let route = await_schema::route(settings, &store).await;
        let sign = liveness.expect(loop_name(&settings.name));
        let by_hand = match config.source_of(&settings.name) {
            Some(_) => ByHand::Unknowable,
            None if confirmed.contains(&settings.name) => ByHand::Confirmed,
            None => ByHand::Ask,
        };
        let source = config.source_of(&settings.name);
        // Each lane asks for the payments of its batch, and so do replays.
        let connections = settings.lanes.max(1) + 1;
        let source = source.map(|p| Store::open(p, "makegood source", connections)).transpose()?;
        let (settings, store) = (settings.clone(), store.clone());
        let candidate = Candidate { settings, route, store, source, by_hand };
        let (mapping, why) = match candidate.first_look().await {
            Ok(examined) => examined,
            // It stops itself only; where it is the only one, a person must mend it before there is anything to do.
            Err(problem) => {
                let why = candidate.barred(&problem);
                unusable.push(problem);
                (Mapping::unreadable(), Some(why))
            }
        };
        let (publish, mapping) = watch::channel(Arc::new(mapping));
        let (held, admission) = admission(why);
        let (settings, source) = (candidate.settings.clone(), candidate.source.clone());
        let route =
            Arc::new(Route::new(route, settings, source, sign, admission).on(&config.kafka));
        routes.push(Ready { route, mapping, candidate, told: Told { mapping: publish, held } });
    }
    if unusable.len() == routes.len()
        && let Some(problem) = unusable.into_iter().next()
    {
        return Err(problem);
    }
    Ok(Prepared { store, routes })
}

/// Keeps the metrics of the connections true.
async fn measure(store: Store) {
    let mut ticks = tokio::time::interval(MEASURE);
    loop {
        ticks.tick().await;
        let Connections { used, idle, most, waiting } = store.connections();
        for (state, count) in [("used", used), ("idle", idle), ("most", most)] {
            meter::set_count(catalog::POOL, [("state", state)], count);
        }
        meter::set_count(catalog::POOL_WAITING, [], waiting);
    }
}

/// The reconciliation jobs of a route.
fn jobs(config: &Config, liveness: &Heartbeats, route: &Route) -> Result<Vec<Job>, Problem> {
    let own = config.reconcile.iter().filter(|job| job.inbox == route.settings.name);
    own.map(|settings| {
        let (settings, topic) = (settings.clone(), route.settings.topic.clone());
        let source = source(config, &settings)?;
        let sign = liveness.expect(format!("reconcile {}", settings.name));
        let admission = route.admission.clone();
        let (suspects, control) = (route.settings.suspects, route.control.clone());
        Ok(Job { settings, route: route.id, topic, suspects, control, source, sign, admission })
    })
    .collect()
}

/// A route as the replays of its records need it.
fn replays(route: &Route, liveness: &Heartbeats) -> replay::ReplayRoute {
    let (name, rules) = (route.settings.name.clone(), route.rules.clone());
    let (admission, control) = (route.admission.clone(), route.control.clone());
    let source = route.source.clone();
    let sign = liveness.expect(format!("replay {name}"));
    replay::ReplayRoute { id: route.id, name, rules, source, admission, control, sign }
}

/// The database that a job reads payments from, if it is another one.
fn source(config: &Config, job: &config::Reconcile) -> Result<Option<Store>, Problem> {
    let named = job.source.as_ref().and_then(|name| config.databases.get(name));
    // One statement at a time.
    named.map(|postgres| Store::open(postgres, "makegood source", 2)).transpose()
}
