//! Looks at everything that makegood rests on, and changes nothing: what an operator would check before
//! the first start and when something does not work. Each file checks one part and answers with
//! [`Check`]s; the rules that need no look are in [`rules::checkup`].

mod events;
mod host;
mod kafka;
pub mod mapping;
mod outbox;
mod pooler;
mod postgres;
mod round;
mod takeover;
pub mod tryout;
pub mod waiting;

use std::sync::Arc;

use futures_util::future::join_all;

use crate::config::{Config, Inbox};
use crate::ingest::Route;
use crate::store::Fault;
pub use round::{Round, WatchedDatabase};
pub use rules::checkup::{Check, Level};
use rules::ids::RouteId;
use rules::problem::Problem;

/// Checks everything. What cannot be reached fails once, and what would need it is left out.
pub async fn run(config: &Config, round: &Round) {
    round.tell(host::files(config));
    let (is_there, (), kafka) = tokio::join!(
        Box::pin(postgres::check(config, round)),
        Box::pin(outbox::check(config, round)),
        kafka::reach(config, round)
    );
    let one = |route| Box::pin(check_route(config, round, route, (is_there, kafka)));
    join_all(config.inbox.iter().enumerate().map(one)).await;
}

/// A route's mapping, topic, group, and next start, as far as PostgreSQL and Kafka are there.
async fn check_route(
    config: &Config,
    round: &Round,
    (number, settings): (usize, &Inbox),
    (postgres, kafka): (bool, bool),
) {
    let places = match postgres {
        true => RouteDatabases::reached(config, number, settings, round).await,
        false => None,
    };
    if let Some(places) = &places {
        mapping::check(settings, places, round).await;
    }
    let route = Arc::new(Route::unwatched(RouteId::default(), settings.clone()).on(&config.kafka));
    let there = kafka && kafka::route(config, &route, round).await;
    if let (true, Some(places)) = (there, &places)
        && !places.source_is_away
    {
        takeover::check(config, &route, places, round).await;
    }
}

/// The databases that a route stands on.
pub struct RouteDatabases {
    /// With the purchases.
    pub store: WatchedDatabase,
    /// With the payments, if it is another one.
    pub source: Option<WatchedDatabase>,
    /// Whether the payments are in another database, and it does not answer.
    pub source_is_away: bool,
}

impl RouteDatabases {
    /// Reaches the databases of a route. That of the payments may be away, which is told.
    pub async fn reached(
        config: &Config,
        number: usize,
        route: &Inbox,
        round: &Round,
    ) -> Option<RouteDatabases> {
        let part = format!(" {}", number + 1);
        let store = WatchedDatabase::open(&config.postgres, &part).ok()?;
        let Some(postgres) = config.source_of(&route.name) else {
            return Some(RouteDatabases { store, source: None, source_is_away: false });
        };
        let name = ("postgres.reach", "");
        let reached = round
            .wait(name, &[], WatchedDatabase::reached(postgres, &format!("{part} payments")))
            .await;
        let source = match reached {
            Some(Ok(source)) => Some(source),
            Some(Err(problem)) => {
                round.tell(failed("postgres.reach", problem));
                None
            }
            None => None,
        };
        Some(RouteDatabases { store, source_is_away: source.is_none(), source })
    }

    /// All of them, for a look that needs them all.
    pub(crate) fn all(&self) -> Vec<&WatchedDatabase> {
        [Some(&self.store), self.source.as_ref()].into_iter().flatten().collect()
    }
}

/// What could not be found out.
fn unknown(name: &'static str, fault: &Fault) -> Check {
    failed(name, fault.problem("it cannot be checked"))
}

/// A problem as a check's finding.
fn failed(name: &'static str, problem: Problem) -> Check {
    Check::fail(name, problem.reason, problem.advice)
}
