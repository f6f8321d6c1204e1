//! Starts, supervises and stops the loops.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::config::{self, Config, MigrateMode};
use crate::ingest::{self, Route};
use crate::kafka::reach;
use crate::pure::backoff::Backoff;
use crate::pure::problem::{Code, Problem};
use crate::pure::verdict;
use crate::reconcile::{self, Job};
use crate::relay::{self, Relay};
use crate::store::mapping::{Mapping, Unfit};
use crate::store::outbox::Shard;
use crate::store::workers::{self, Beat, State};
use crate::store::{Store, connect, listen, migrate, routes};

/// Pauses between attempts to start while the database is not there yet.
const START_BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) };
/// How long a drain may take before the process ends anyway; what was not committed is read again.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// How long a broker may take to answer or to be connected to in the check at start.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT, then drains. Ends early with a problem that only a person (bad
/// configuration or mapping) or a new process can mend.
pub async fn run(config: Config) -> Result<(), Problem> {
    let stop = CancellationToken::new();
    listen_for_stop(&stop)?;
    // Without a listener SIGHUP would end a daemon that still waits for its database.
    let hangup = broadcast(SignalKind::hangup())?;
    let reconcile_now = broadcast(SignalKind::user_defined1())?.subscribe();
    let prepared = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        prepared = prepare(&config) => prepared?,
    };
    let mut loops = JoinSet::new();
    let (heard, hears) = watch::channel(0);
    tokio::spawn(listen::listen(config.postgres.clone(), "makegood_reconcile", heard));
    for (route, mapping) in prepared.routes {
        let (publish, mapping) = watch::channel(Arc::new(mapping));
        let reload =
            reload_on_hangup(route.clone(), prepared.store.clone(), publish, hangup.subscribe());
        tokio::spawn(reload);
        for settings in config.reconcile.iter().filter(|job| job.inbox == route.settings.name) {
            let (settings, topic) = (settings.clone(), route.settings.topic.clone());
            let source = source(&config, &settings)?;
            let job = Job { settings, route: route.id, topic, source };
            let (store, asked) = (prepared.store.clone(), reconcile_now.clone());
            let run =
                reconcile::run(job, store, mapping.clone(), hears.clone(), asked, stop.clone());
            loops.spawn(run);
        }
        let (kafka, store) = (config.kafka.clone(), prepared.store.clone());
        loops.spawn(ingest::run(route, kafka, store, mapping, stop.clone()));
    }
    for relay in relays(&config) {
        loops.spawn(relay::run(Arc::new(relay), stop.clone()));
    }
    supervise(loops, stop).await
}

/// The database that a job reads payments from, if it is another one.
fn source(config: &Config, job: &config::Reconcile) -> Result<Option<Store>, Problem> {
    let named = job.source.as_ref().and_then(|name| config.databases.get(name));
    // One statement at a time.
    named.map(|postgres| connect::pool(postgres, "makegood source", 2).map(Store::new)).transpose()
}

/// A relay for each shard of the outbox.
fn relays(config: &Config) -> Vec<Relay> {
    let shards = if config.outbox.enabled { config.outbox.shards } else { 0 };
    let relay = |number| Relay {
        postgres: config.outbox_database().clone(),
        kafka: config.kafka.clone(),
        retention: config.retention.outbox,
        shard: Shard { number, of: shards },
    };
    (0..shards).map(relay).collect()
}

/// What the loops need to begin.
struct Prepared {
    store: Store,
    routes: Vec<(Arc<Route>, Mapping)>,
}

async fn prepare(config: &Config) -> Result<Prepared, Problem> {
    info!(version = env!("CARGO_PKG_VERSION"), routes = config.inbox.len(), "makegood starts");
    check_reach(config);
    let lanes: usize = config.inbox.iter().map(|route| route.lanes.max(1)).sum();
    // A lane has one transaction at a time; a route's claim and heartbeat, and its jobs, come on top.
    let others = config.inbox.len() * 2 + config.reconcile.len() * 3;
    let pool = connect::pool(&config.postgres, "makegood", lanes + others)?;
    let store = Store::new(pool);
    ready_schema(config).await?;
    let mut routes = Vec::new();
    for settings in &config.inbox {
        let id = ready_route(settings, &store).await;
        let mapping = ready_mapping(settings, &store, id).await?;
        routes.push((Arc::new(Route::new(id, settings.clone())), mapping));
    }
    Ok(Prepared { store, routes })
}

/// Waits for the loops. One that ends by itself takes the others with it: a new process is the cure.
async fn supervise(
    mut loops: JoinSet<Result<(), Problem>>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let mut outcome = Ok(());
    while let Some(ended) = loops.join_next().await {
        let ended = ended
            .unwrap_or_else(|e| Err(Problem::new(Code::GaveUp, format!("a loop failed: {e}"))));
        if outcome.is_ok() {
            outcome = ended;
        }
        stop.cancel();
    }
    info!("stopped");
    outcome
}

fn signals_of(kind: SignalKind) -> Result<Signal, Problem> {
    signal(kind).map_err(|e| Problem::new(Code::System, format!("cannot listen for signals: {e}")))
}

fn listen_for_stop(stop: &CancellationToken) -> Result<(), Problem> {
    let mut terminate = signals_of(SignalKind::terminate())?;
    let mut interrupt = signals_of(SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
        stop.cancel();
        tokio::time::sleep(DRAIN_DEADLINE).await;
        warn!("the drain took too long; what was not committed will be read again");
        std::process::exit(i32::from(Code::GaveUp.exit()));
    });
    Ok(())
}

/// Brings makegood's schema up to date or checks it, waiting for a database that is not there yet.
async fn ready_schema(config: &Config) -> Result<(), Problem> {
    let mut attempt = 0;
    for (postgres, sets) in migrate::places(config) {
        loop {
            match ready_sets(postgres, sets, config.migrate.mode).await {
                Err(problem) if problem.code == Code::PostgresUnreachable => {
                    wait(&mut attempt, &problem).await;
                }
                Err(problem) => return Err(problem),
                Ok(()) => break,
            }
        }
    }
    Ok(())
}

async fn ready_sets(
    postgres: &config::Postgres,
    sets: &[migrate::Set],
    mode: MigrateMode,
) -> Result<(), Problem> {
    let mut client = connect::connect(postgres, "makegood migrate").await?;
    if mode == MigrateMode::Check {
        return migrate::check(&mut client, sets).await;
    }
    let done = migrate::up(&mut client, sets).await?;
    if !done.is_empty() {
        info!(applied = done.join(", "), "schema migrated");
    }
    Ok(())
}

/// Loads a route's mapping and checks it. What only a person can mend ends the start; a database that
/// is away, or that has drifted from the mapping, is waited for, and `status` shows why.
async fn ready_mapping(
    settings: &crate::config::Inbox,
    store: &Store,
    route: i16,
) -> Result<Mapping, Problem> {
    let worker = Uuid::new_v4();
    let mut attempt = 0;
    loop {
        let mapping = Mapping::load(&settings.mapping)?;
        match mapping.check(store).await {
            Ok(()) => {
                let (route, fingerprint) = (&settings.name, mapping.fingerprint());
                info!(route, origin = mapping.origin, fingerprint, "mapping checked");
                if attempt > 0 {
                    // The loop's own heartbeat takes over; a row left behind is taken for gone soon.
                    let _ = workers::leave(store, worker).await;
                }
                return Ok(mapping);
            }
            Err(Unfit::Broken(problem)) => return Err(problem),
            Err(Unfit::Unknown(fault)) => {
                let advice = verdict::advice(fault.sqlstate()).to_owned();
                let state = State::Held { reason: fault.to_string(), advice };
                // If this cannot be written either, the database is away and status says so itself.
                let _ = workers::beat(
                    store,
                    &Beat { worker, route, host: workers::host(), state, partitions: Vec::new() },
                )
                .await;
                let doing = format!("route {}: the mapping cannot be checked", settings.name);
                wait(&mut attempt, &fault.problem(&doing)).await;
            }
        }
    }
}

async fn ready_route(settings: &crate::config::Inbox, store: &Store) -> i16 {
    let mut attempt = 0;
    loop {
        match routes::register(store, settings).await {
            Ok(id) => return id,
            Err(fault) => wait(&mut attempt, &fault.problem("cannot register the route")).await,
        }
    }
}

async fn wait(attempt: &mut u32, problem: &Problem) {
    let delay = START_BACKOFF.delay(*attempt, fastrand::f64());
    warn!(code = problem.code.as_str(), hint = problem.hint, "waiting: {}", problem.cause);
    *attempt = attempt.saturating_add(1);
    tokio::time::sleep(delay).await;
}

/// Says early and by name what keeps Kafka out of reach. The client goes on trying in any case.
fn check_reach(config: &Config) {
    let kafka = config.kafka.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(problem) = reach::check(&kafka, REACH_TIMEOUT) {
            error!(code = problem.code.as_str(), hint = problem.hint, "{}", problem.cause);
        }
    });
}

/// Counts the signals of a kind for everybody who wants to hear of them.
fn broadcast(kind: SignalKind) -> Result<watch::Sender<u64>, Problem> {
    let mut signals = signals_of(kind)?;
    let (count, _) = watch::channel(0);
    let counter = count.clone();
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            counter.send_modify(|count| *count += 1);
        }
    });
    Ok(count)
}

/// SIGHUP reads the mapping again. One that does not pass is not used, and the old one stays.
async fn reload_on_hangup(
    route: Arc<Route>,
    store: Store,
    publish: watch::Sender<Arc<Mapping>>,
    mut hangup: watch::Receiver<u64>,
) {
    while hangup.changed().await.is_ok() {
        let name = &route.settings.name;
        let checked = match Mapping::load(&route.settings.mapping) {
            Ok(mapping) => match mapping.check(&store).await {
                Ok(()) => Ok(mapping),
                Err(Unfit::Broken(problem)) => Err(problem),
                Err(Unfit::Unknown(fault)) => Err(fault.problem("the mapping cannot be checked")),
            },
            Err(problem) => Err(problem),
        };
        match checked {
            Ok(mapping) => {
                info!(
                    route = name,
                    origin = mapping.origin,
                    fingerprint = mapping.fingerprint(),
                    "mapping reloaded"
                );
                publish.send_replace(Arc::new(mapping));
            }
            Err(problem) => {
                error!(
                    route = name,
                    code = problem.code.as_str(),
                    hint = problem.hint,
                    "the old mapping stays: {}",
                    problem.cause
                );
            }
        }
    }
}
