//! The daemon as a shadow: it compares, and writes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::signals::Signals;
use crate::config::{Config, Inbox};
use crate::http;
use crate::ingest::Route;
use crate::shadow::{self, Compared, Comparisons};
use crate::store::Store;
use crate::store::mapping::Mapping;
use crate::watchdog::supervisor;
use rules::ids::RouteId;
use rules::problem::{Code, Problem};

/// How old an event must be where no job says so, and how often everything is compared.
const GRACE: Duration = Duration::from_secs(120);
const EVERY: Duration = Duration::from_secs(300);
/// Sessions of a route: it asks one thing at a time.
const CONNECTIONS: usize = 2;

/// How a shadow tells what it found.
pub struct Telling {
    /// Between two reports in the log.
    pub every: Duration,
    /// Where each report is written as JSON.
    pub file: Option<PathBuf>,
}

/// Compares until SIGTERM or SIGINT; returns the last report. SIGUSR1 asks for one in between.
pub async fn shadow(mut config: Config, telling: Telling) -> Result<Comparisons, Problem> {
    let stop = CancellationToken::new();
    let mut asked = Signals::listen(&stop)?.reconcile;
    config.postgres = config.postgres.to_read();
    config.databases.values_mut().for_each(|database| *database = database.to_read());
    let config = Arc::new(config);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        "makegood starts as a shadow: it compares and writes nothing"
    );
    let (reports, told) = watch::channel(Comparisons::of(&config.inbox));
    if let Some(listen) = config.http.listen {
        let router = http::shadow_router(told.clone(), config.clone());
        tokio::spawn(http::serve(listen, router, stop.clone()));
    }
    let mut routes = JoinSet::new();
    for route in &config.inbox {
        routes.spawn(shadow::run(settings(&config, route)?, reports.clone(), stop.clone()));
    }
    supervisor::ready();
    let mut ticks = tokio::time::interval(telling.every);
    ticks.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => tell(&told.borrow(), &telling),
            Ok(()) = asked.changed() => tell(&told.borrow(), &telling),
            Some(ended) = routes.join_next() => if let Err(failed) = ended {
                return Err(Problem::new(Code::GaveUp, format!("a comparison failed: {failed}")));
            },
        }
    }
    while routes.join_next().await.is_some() {}
    let last = told.borrow().clone();
    tell(&last, &telling);
    info!("stopped");
    Ok(last)
}

fn settings(config: &Config, route: &Inbox) -> Result<Compared, Problem> {
    let open = |postgres| Store::open(postgres, "makegood shadow", CONNECTIONS);
    let (store, source) =
        (open(&config.postgres)?, config.source_of(&route.name).map(open).transpose()?);
    let mapping = Mapping::load(route.mapping.as_deref())?;
    let job = config.reconcile.iter().find(|job| job.inbox == route.name);
    let kafka = config.kafka.clone();
    let mut watched = Route::unwatched(RouteId::default(), route.clone());
    watched.source = source;
    Ok(Compared {
        route: Arc::new(watched),
        kafka,
        store,
        mapping,
        grace: job.map_or(GRACE, |job| job.grace),
        every: job.map_or(EVERY, |job| job.every),
    })
}

/// Says what was found: in the log, and in the file.
fn tell(reports: &Comparisons, telling: &Telling) {
    for report in reports.each() {
        let text = report.text();
        let mut lines = text.lines();
        let (sentence, rest) = (lines.next().unwrap_or_default(), lines.map(str::trim));
        let differences = rest.collect::<Vec<_>>().join("; ");
        match report.is_ok() {
            true => info!(route = report.route, "{sentence}"),
            false => warn!(route = report.route, differences, "{sentence}"),
        }
    }
    if let Some(file) = &telling.file {
        let beside = file.with_extension("part");
        let text = format!("{:#}\n", reports.document());
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file));
        if let Err(error) = written {
            error!("cannot write {}: {error}", file.display());
        }
    }
}
