//! The part of the daemon that watches and tells: snapshots, metrics, HTTP. It has a thread and a runtime of its
//! own, so that no amount of work keeps a probe waiting, and it answers until the process ends.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, warn};

use crate::alert::Alert;
use crate::config::Config;
use crate::heartbeats::Heartbeats;
use crate::http::{self, Gauges, Lookup, Site, Streams};
use crate::kafka;
use crate::log_tail::Feed;
use crate::meter::{self, catalog};
use crate::overview::Refresher;
use rules::problem::{Code, Problem};

/// How often the loops' runtime shows that it is alive, and how long it may not.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the metrics' library tidies up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The observer; it ends when this is dropped.
pub(super) struct Observer {
    _end: DropGuard,
}

impl Observer {
    /// Starts to observe. Called on the loops' runtime, whose life it shows.
    pub(super) fn start(
        config: &Arc<Config>,
        liveness: &Heartbeats,
        feed: Feed,
    ) -> Result<Observer, Problem> {
        let system = |e: &dyn std::fmt::Display| Problem::new(Code::System, e.to_string());
        let counted = meter::begin().map_err(|e| system(&e))?;
        metrics_process::Collector::default().describe();
        set_out(config);
        let refresher = Refresher::new(config.clone(), liveness.clone())?;
        let alert = Alert::new(&config.alert)?;
        let end = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| system(&e))?;
        let site = Site {
            snapshots: refresher.subscribe(),
            counted,
            config: config.clone(),
            librdkafka: kafka::library_version(),
            feed,
            lookup: Lookup::new(config)?,
            streams: Streams::default(),
        };
        let work = observe(site, refresher, alert, end.clone());
        std::thread::Builder::new()
            .name("makegood-watch".to_owned())
            .spawn(move || {
                runtime.block_on(work);
                // A look at Kafka may still wait for an answer that nobody needs.
                runtime.shutdown_background();
            })
            .map_err(|e| system(&e))?;
        tokio::spawn(live(liveness.clone(), end.clone()));
        Ok(Observer { _end: end.drop_guard() })
    }
}

async fn observe(site: Site, refresher: Refresher, alert: Option<Alert>, end: CancellationToken) {
    tokio::spawn(Gauges::default().follow(site.snapshots.clone()));
    tokio::spawn(keep_up(site.counted.clone(), site.feed.clone()));
    if let Some(alert) = alert {
        tokio::spawn(alert.run(site.snapshots.clone(), end.clone()));
    }
    if let Some(listen) = site.config.http.listen {
        tokio::spawn(http::serve(listen, http::router(site), end.clone()));
    }
    // A panic in it must not pass for a quiet world: the checks fail when the snapshot gets old.
    if tokio::spawn(refresher.run(end)).await.is_err() {
        error!("the task that watches has failed; what is shown is old from now on");
        std::future::pending::<()>().await;
    }
}

async fn live(liveness: Heartbeats, end: CancellationToken) {
    let sign = liveness.expect_within("runtime", PATIENCE);
    while !end.is_cancelled() {
        sign.tick();
        tokio::time::sleep(SIGN_OF_LIFE).await;
    }
}

async fn keep_up(counted: PrometheusHandle, feed: Feed) {
    let mut dropped = 0;
    loop {
        let lines = feed.dropped();
        meter::total(catalog::LOG_DROPPED, [], i64::try_from(lines).unwrap_or(i64::MAX));
        if lines > dropped {
            warn!(
                lines,
                "so many lines of the log were dropped so far: nobody reads standard error in time"
            );
            dropped = lines;
        }
        tokio::time::sleep(UPKEEP).await;
        counted.run_upkeep();
    }
}

/// What is known at the start, and what nothing has been counted of yet.
fn set_out(config: &Config) {
    let librdkafka = kafka::library_version();
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("librdkafka", librdkafka.as_str())];
    meter::set(catalog::BUILD_INFO, labels, 1.0);
    meter::set(catalog::STARTED_AT, [], Timestamp::now().as_duration().as_secs_f64());
    meter::zero(catalog::DATABASE_ERRORS, "class", "lost");
    meter::zero(catalog::KAFKA_ERRORS, "code", "BrokerTransportFailure");
    for route in &config.inbox {
        for name in [catalog::REBALANCES, catalog::HOLDS] {
            meter::zero(name, "route", &route.name);
        }
    }
}
