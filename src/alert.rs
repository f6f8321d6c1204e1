//! Tells somebody when the verdict turns bad, by the rules of [`rules::alarm`], for shops that have nothing else
//! that watches. It looks at the snapshots that are taken anyway, on the thread that watches, so it is in no
//! payment's way, and it works while PostgreSQL and Kafka are away.
//!
//! Of several daemons the one that began first calls: all of them see all of them in the database. While that
//! cannot be asked, each of them calls.

mod delivery;
mod message;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config;
use crate::overview::{Overview, Snapshot};
use crate::store::report::Worker;
use crate::store::workers;
use delivery::AlertChannel;
use message::Message;
use rules::alarm::{Alarm, Patience};
use rules::problem::Problem;

/// The watch over the verdict.
pub struct Alert {
    delivery: Arc<AlertChannel>,
    patience: Patience,
    /// This machine's name.
    host: String,
}

impl Alert {
    /// `None` if nobody wants to be told.
    pub fn new(settings: &config::Alert) -> Result<Option<Alert>, Problem> {
        let Some(through) = settings.through() else { return Ok(None) };
        Ok(Some(Alert {
            delivery: Arc::new(AlertChannel::new(through)?),
            patience: Patience { after: settings.after, repeat: settings.repeat },
            host: workers::host(),
        }))
    }

    /// Watches until `end`.
    pub async fn run(self, mut snapshots: watch::Receiver<Arc<Snapshot>>, end: CancellationToken) {
        let began = Instant::now();
        let mut alarm = Alarm::new(self.patience);
        // Never more than one call.
        let mut calls = JoinSet::new();
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                // One comes every few seconds, also with every server away.
                taken = snapshots.changed() => if taken.is_err() { return },
                Some(ended) = calls.join_next() => {
                    alarm.settle(ended.unwrap_or(false));
                    continue;
                }
            }
            let snapshot = snapshots.borrow_and_update().clone();
            let Some(overview) = &snapshot.overview else { continue };
            let bad = overview.worst().filter(|verdict| !verdict.is_fine());
            let mine = self.is_to_call(overview);
            let Some(call) = alarm.see(began.elapsed(), bad, mine) else { continue };
            let message = Message::new(call, &snapshot, overview, &self.host);
            info!(call = call.as_str(), "telling somebody: {}", message.sentence);
            // The newest word counts; an older one that is still being tried is out of date.
            calls = JoinSet::new();
            let delivery = self.delivery.clone();
            calls.spawn(async move { delivery.send(&message).await });
        }
    }

    /// Whether it is this daemon's turn to call.
    fn is_to_call(&self, overview: &Overview) -> bool {
        if overview.trouble.is_some() {
            return true;
        }
        let all = overview.routes.iter().flat_map(|route| &route.workers);
        let alive: Vec<&Worker> = all.filter(|worker| worker.alive).collect();
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let is_own = |worker: &Worker| worker.pid == pid && worker.host == self.host;
        let first = alive.iter().min_by_key(|w| (w.started_at, &w.host, w.pid));
        // One that has not been able to say that it is alive does not know of its place.
        !alive.iter().any(|worker| is_own(worker)) || first.is_some_and(|worker| is_own(worker))
    }
}
