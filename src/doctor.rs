//! Looks at everything that makegood rests on, and changes nothing: what an operator would check before
//! the first start and when something does not work. Each file checks one part and answers with
//! [`Check`]s; the rules that need no look are in [`pure`](crate::pure::checkup).

mod events;
mod host;
mod kafka;
pub mod mapping;
mod outbox;
mod pooler;
mod postgres;
mod takeover;
pub mod tryout;
pub mod waiting;

use std::sync::Arc;

use crate::config::Config;
use crate::ingest::Route;
pub use crate::pure::checkup::{Check, Level};
use crate::pure::problem::Problem;
use crate::store::{Fault, Store};

/// Checks everything. What cannot be reached fails once, and what would need it is left out.
pub async fn run(config: &Config) -> Vec<Check> {
    let mut checks = vec![host::files(config)];
    let store = postgres::check(config, &mut checks).await;
    outbox::check(config, &mut checks).await;
    let kafka = kafka::reach(config).await;
    let kafka_is_there = kafka.level != Level::Fail;
    checks.push(kafka);
    for settings in &config.inbox {
        let source = config.source_of(&settings.name);
        let source = source.and_then(|p| Store::open(p, "makegood-doctor", 2).ok());
        if let Some(store) = &store {
            checks.extend(mapping::check(settings, store, source.as_ref()).await);
        }
        let route = Arc::new(Route::unwatched(0, settings.clone()));
        let there = kafka_is_there && kafka::route(config, &route, &mut checks).await;
        if let (true, Some(store)) = (there, &store) {
            takeover::check(config, &route, store, source.as_ref(), &mut checks).await;
        }
    }
    checks
}

/// What could not be found out.
fn unknown(name: &'static str, fault: &Fault) -> Check {
    failed(name, fault.problem("it cannot be checked"))
}

/// A problem as a check's finding.
fn failed(name: &'static str, problem: Problem) -> Check {
    Check::fail(name, problem.cause, problem.hint)
}
