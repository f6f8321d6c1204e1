//! Beginning to read, and ceasing: claims, adoptions, drops. Everything that interrupts the reading ends
//! in the same claim.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::SIGN_OF_LIFE;
use super::claim::{self, Claimed};
use super::lane::{self, Hold, Lane, Order};
use super::{ClaimEnd, Ingest, Outcome};
use crate::kafka::consumer::{Command, Source};
use crate::progress::Track;
use rules::backoff::Backoff;
use rules::problem::Problem;

/// Pauses between attempts to claim; the first is long enough for a zombie to learn its fate.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
/// The place of a failed claim among the holds of the lanes.
pub(super) const HOLD: usize = usize::MAX;

impl Ingest {
    /// Reads the positions and claims them again.
    pub(super) async fn restart(&mut self, why: &str) {
        let route = &self.route.settings.name;
        if self.owned.is_empty() {
            info!(route, why, "nothing to claim again: no partition is assigned");
            return;
        }
        warn!(route, why, "positions are read and claimed again");
        self.member.tell(Command::Unfetch);
        self.drop_all().await;
        self.vitals.reads(None);
        let pause = self.next_pause();
        self.claim_after(pause, None);
    }

    /// The member stopped reading by itself: claims again once the lanes hold nothing any more.
    pub(super) fn on_stopped(&mut self, why: &str) {
        let pause = self.next_pause();
        warn!(
            route = self.route.settings.name,
            why,
            pause_ms = pause.as_millis() as u64,
            "reading stopped; it starts again when the lanes are empty"
        );
        let settled = self.settle();
        self.claim_after(pause, Some(settled));
    }

    /// How long to wait before claiming again: longer each time, until a position moves.
    fn next_pause(&mut self) -> Duration {
        // Taken, for what moved once must not count again after the next claim, which may fail.
        if std::mem::take(&mut self.tracks).values().any(|track| track.has_moved()) {
            self.failures = 0;
        }
        let pause = BACKOFF.delay(self.failures, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Something that was tried for the partitions has ended.
    pub(super) async fn on_end(&mut self, end: ClaimEnd) -> Result<(), Problem> {
        if end.attempt != self.attempt {
            return Ok(());
        }
        match end.outcome {
            Outcome::Claimed(Ok(claimed)) => return self.begin(claimed).await,
            Outcome::Claimed(Err(problem)) => {
                self.say(&problem, "cannot claim positions yet");
                self.holds.insert(HOLD, Hold { reason: problem.cause, advice: problem.hint });
                self.show_state();
                let pause = self.next_pause();
                self.claim_after(pause, None);
            }
            Outcome::Looked(outcome) => self.on_looked(outcome).await,
        }
        Ok(())
    }

    /// Says what is wrong, unless it was the last thing said.
    pub(super) fn say(&self, problem: &Problem, what: &str) {
        if self.beating.is_news(problem) {
            let (route, code) = (&self.route.settings.name, problem.code.as_str());
            warn!(route, code, hint = problem.hint, "{what}: {}", problem.cause);
        }
    }

    /// Starts a claim of what we own, after a pause and after the lanes have settled if asked to. It takes the
    /// place of one that is still at it: an outdated claim must not come into effect.
    pub(super) fn claim_after(
        &mut self,
        pause: Duration,
        settled: Option<Vec<oneshot::Receiver<()>>>,
    ) {
        self.attempt += 1;
        let (attempt, partitions) = (self.attempt, self.owned.clone());
        let (route, store, probe, claims) =
            (self.route.clone(), self.store.clone(), self.probe.clone(), self.claims.clone());
        let careful = self.careful;
        self.silent.wait();
        let task = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            for lane in settled.into_iter().flatten() {
                let _ = lane.await;
            }
            let claimed = claim::claim(&route, &store, &probe, &partitions, careful).await;
            let _ = claims.send(ClaimEnd { attempt, outcome: Outcome::Claimed(claimed) });
        });
        self.claiming = Some(AbortOnDropHandle::new(task));
    }

    /// Begins to read, or keeps the place while nothing may be applied.
    async fn begin(&mut self, claimed: Claimed) -> Result<(), Problem> {
        self.holds.remove(&HOLD);
        self.careful = !claimed.silent.is_empty();
        self.note_silent(claimed.silent.clone());
        // Its client would take nothing of the new log for as long as the leaders' epochs are lower than those it
        // remembers; nor would the probe's.
        let known = self.topic_id.replace(claimed.log.topic_id);
        if known.is_some_and(|id| claimed.replaced || id != claimed.log.topic_id) {
            self.probe.renew();
            return self.rebuild("the topic was made anew").await;
        }
        match self.route.admission.held() {
            Some(_) => self.pin(claimed),
            None => self.fetch(claimed).await,
        }
        Ok(())
    }

    /// Tells Kafka and everybody else where the partitions are, and reads nothing. Lag is what it is.
    fn pin(&mut self, claimed: Claimed) {
        for (partition, start) in &claimed.starts {
            self.member.board.post(*partition, start.offset);
        }
        info!(
            route = self.route.settings.name,
            partitions = claimed.starts.len(),
            "held: the place is kept, and nothing is read"
        );
        self.vitals.reads(Some(tracks(&claimed)));
        self.beating.reads(Some(claimed));
        self.show_state();
    }

    /// Has the lanes adopt a claim and the member read from it.
    async fn fetch(&mut self, claimed: Claimed) {
        self.generation += 1;
        let tracks = tracks(&claimed);
        let mut sources = Vec::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            let is_its = |partition: &i32| lane_of(*partition, self.lanes.len()) == number;
            let starts = claimed.starts.iter().filter(|(partition, _)| is_its(partition));
            let steps: BTreeMap<i32, i64> =
                starts.clone().map(|(partition, start)| (*partition, start.step)).collect();
            let ends =
                starts.clone().map(|(partition, start)| (*partition, start.offset)).collect();
            sources.extend(starts.map(|(partition, start)| Source {
                partition: *partition,
                offset: start.offset,
                lane: lane.records.clone(),
                track: tracks[partition].clone(),
            }));
            let claim = lane::Claim {
                generation: self.generation,
                log: claimed.log.clone(),
                trimmed: steps.clone(),
                steps,
                looks: true,
                waiting: 0,
                told: None,
                ends,
                tracks: tracks.clone(),
                board: self.member.board.clone(),
            };
            lane.tell(Order::Adopt(Box::new(claim))).await;
        }
        info!(
            route = self.route.settings.name,
            partitions = claimed.starts.len(),
            topic_id = %claimed.log.topic_id,
            "reading"
        );
        self.beating.reads(Some(claimed));
        self.vitals.reads(Some(tracks.clone()));
        self.tracks = tracks;
        let (assignment, generation) = (self.assignment, self.generation);
        self.member.tell(Command::Fetch { assignment, generation, sources });
        self.show_state();
    }

    /// Has every lane drop what it holds; a batch in flight is waited for.
    pub(super) async fn drop_all(&mut self) {
        let mut dropped = Vec::new();
        for lane in &self.lanes {
            let (done, wait) = oneshot::channel();
            lane.tell(Order::Drop { done }).await;
            dropped.push(wait);
        }
        for mut wait in dropped {
            // A lane that takes long is the watchdog's business.
            while tokio::time::timeout(SIGN_OF_LIFE, &mut wait).await.is_err() {
                self.route.sign.tick();
            }
        }
    }

    /// Asks every lane to answer once it holds nothing any more.
    pub(super) fn settle(&self) -> Vec<oneshot::Receiver<()>> {
        let ask = |lane: &Lane| {
            let (done, wait) = oneshot::channel();
            lane.tell_now(Order::Settle { done });
            wait
        };
        self.lanes.iter().map(ask).collect()
    }
}

/// Where the watchdog sees how far each partition is.
fn tracks(claimed: &Claimed) -> BTreeMap<i32, Arc<Track>> {
    claimed.starts.iter().map(|(p, start)| (*p, Track::new(start.offset))).collect()
}

/// The lane of a partition: always the same one, so that its records stay in order.
fn lane_of(partition: i32, lanes: usize) -> usize {
    partition.unsigned_abs() as usize % lanes
}
