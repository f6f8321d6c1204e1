//! Reads a route's mapping again while it runs.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{error, info};

use crate::ingest::Route;
use crate::store::mapping::Mapping;
use crate::store::{Store, trial};

/// SIGHUP reads the mapping again. One that does not pass is not used, and the old one stays.
pub(super) async fn on_hangup(
    route: Arc<Route>,
    store: Store,
    publish: watch::Sender<Arc<Mapping>>,
    mut hangup: watch::Receiver<u64>,
) {
    while hangup.changed().await.is_ok() {
        let name = &route.settings.name;
        let checked = match Mapping::load(&route.settings.mapping) {
            Ok(mapping) => match trial::check(&store, &mapping).await {
                Ok(()) => Ok(mapping),
                Err(unfit) => Err(unfit.problem("the mapping cannot be used")),
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
