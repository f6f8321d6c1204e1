//! A route that is held keeps no partitions from a daemon that can apply their records, whoever of them came first:
//! a bad deploy beside a good one stops nothing. Where nobody can, it joins the group, so that its place is known
//! there.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::beat::Beating;
use super::{Ingest, Route};
use crate::pure::problem::Problem;
use crate::store::Store;
use crate::store::workers::{self, State};

/// How often it looks whether the others still run.
const EVERY: Duration = Duration::from_secs(1);
/// How long the others have to be gone: a restart and a rebalance are over sooner, and it would keep its share
/// of the partitions when they are back.
const ABSENCE: Duration = Duration::from_secs(10);

impl Ingest {
    /// Leaves the group to a daemon that can apply what comes, and joins it again when that one is gone or this one
    /// is held no longer.
    pub(super) async fn give_way(&mut self, stop: &CancellationToken) -> Result<(), Problem> {
        if self.route.admission.held().is_none() {
            return Ok(());
        }
        self.vitals.assigned(None);
        self.forget_partitions().await;
        // Nobody is left to ask before the partitions are given back.
        self.events = mpsc::unbounded_channel().1;
        self.member.retire();
        let (route, store) = (self.route.clone(), self.store.clone());
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = stand_aside(&route, &store, &self.beating) => {}
        }
        self.rebuild("it had left the group to another daemon").await
    }
}

/// Waits until the route is admitted or no other daemon runs it.
pub(super) async fn stand_aside(route: &Route, store: &Store, beating: &Beating) {
    let mut admission = route.admission.clone();
    let mut told = false;
    let mut alone_since = None;
    while let Some(why) = admission.held() {
        beating.shows(State::Held { reason: why.reason, advice: why.advice });
        // Without an answer it joins; claiming needs the database anyway.
        if workers::is_run_elsewhere(store, route.id).await.unwrap_or(false) {
            alone_since = None;
        } else if !told || alone_since.get_or_insert_with(Instant::now).elapsed() >= ABSENCE {
            return;
        }
        if !std::mem::replace(&mut told, true) {
            warn!(
                route = route.settings.name,
                "another daemon runs the route: this one joins its group when it is held no longer, or when nobody else runs it"
            );
        }
        route.sign.tick();
        tokio::select! {
            () = admission.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    if told {
        info!(route = route.settings.name, "joins the group after all");
    }
}
