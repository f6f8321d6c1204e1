//! A route that is held keeps no partitions from a daemon that can apply their records, whoever of them came first:
//! a bad deploy beside a good one stops nothing. Where nobody can, it joins the group, so that its place is known
//! there.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::heartbeat::Beating;
use super::{Ingest, Route};
use crate::kafka::consumer::Command;
use crate::store::Store;
use crate::store::workers::{self, State};
use rules::diagnosis::Diagnosis;
use rules::ingest::Event;
use rules::problem::Problem;

/// How often it looks whether the others still run.
const EVERY: Duration = Duration::from_secs(1);
/// How long the others have to be gone: a restart and a rebalance are over sooner, and it would keep its share
/// of the partitions when they are back.
const ABSENCE: Duration = Duration::from_secs(10);

impl Ingest {
    /// Leaves the group to a daemon that can apply what comes, and joins it again when that one is gone or this one
    /// is held no longer.
    pub(super) async fn give_way(&mut self) -> Result<(), Problem> {
        let own = self.holds.values().next().cloned();
        if own.is_none() && self.route.admission.held().is_none() {
            return Ok(());
        }
        self.happen(Event::Left).await?;
        // Nobody is left to ask before the partitions are given back.
        self.client.events = mpsc::unbounded_channel().1;
        self.client.member.tell(Command::Close);
        self.beating.has_yielded();
        let (route, store) = (self.route.clone(), self.store.clone());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            () = stand_aside(&route, &store, &self.beating, own) => {}
        }
        self.holds.clear();
        self.rebuild("it had left the group to another daemon").await
    }
}

/// Waits until the route is held no longer or no other daemon runs it. What `own` is, if anything, held the lanes, and
/// only what comes can tell whether it still would: so that is for when nobody else runs the route.
pub(super) async fn stand_aside(
    route: &Route,
    store: &Store,
    beating: &Beating,
    own: Option<Diagnosis>,
) {
    let mut admission = route.admission.clone();
    let mut told = false;
    let mut alone_since = None;
    while let Some(why) = admission.held().or(own.clone()) {
        beating.shows(State::Held(why));
        // Without an answer it joins; claiming needs the database anyway.
        let asked = workers::is_run_elsewhere(store, route.id, Duration::ZERO).await;
        if asked.unwrap_or(false) {
            alone_since = None;
        } else if !told && own.is_none()
            || alone_since.get_or_insert_with(Instant::now).elapsed() >= ABSENCE
        {
            break;
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
