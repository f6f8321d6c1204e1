//! Carries out what the machine decides about reading: claims, adoptions, drops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::attempts::{AttemptEnd, Outcome};
use super::claim::{self, Begin, Claimed};
use super::lane::{self, Lane, Order};
use super::{Ingest, SIGN_OF_LIFE};
use crate::kafka::consumer::{Command, PartitionSource};
use crate::progress::Track;
use rules::ids::StepNumber;
use rules::ingest::{Action, Event};
use rules::problem::Problem;

/// The place of a failed claim among the holds of the lanes.
const HOLD: usize = usize::MAX;

impl Ingest {
    /// Carries out what an event leads to.
    pub(super) async fn happen(&mut self, event: Event) -> Result<(), Problem> {
        let actions = self.machine.on(event, fastrand::f64());
        self.carry_out(actions, None).await
    }

    /// Carries actions out in their order; those that begin to read need what was claimed.
    pub(super) async fn carry_out(
        &mut self,
        actions: Vec<Action>,
        mut claimed: Option<Claimed>,
    ) -> Result<(), Problem> {
        for action in actions {
            match action {
                Action::EndAttempts => self.forget_partitions(),
                Action::Unfetch => {
                    self.client.member.tell(Command::Unfetch);
                    self.vitals.reads(None);
                }
                Action::Drop => self.drop_all().await,
                Action::Release => self.client.release(),
                Action::Claim { attempt, pause, settled, careful } => {
                    self.claim_after(attempt, pause, settled, careful);
                }
                Action::Look { attempt, pause, partitions } => {
                    self.look_after(attempt, pause, partitions.into_iter().collect());
                }
                Action::Pin => claimed.take().into_iter().for_each(|claimed| self.pin(claimed)),
                Action::Fetch { assignment, generation } => {
                    if let Some(claimed) = claimed.take() {
                        self.fetch(claimed, assignment, generation).await;
                    }
                }
                Action::Rejoin => {
                    // The probe's client remembers the old log as well.
                    self.probe.renew();
                    self.rejoin("the topic was made anew").await?;
                }
            }
        }
        self.show_state();
        Ok(())
    }

    /// Reads the positions and claims them again.
    pub(super) async fn restart(&mut self, why: &str, suspicious: bool) -> Result<(), Problem> {
        let route = &self.route.settings.name;
        if self.machine.partitions().is_empty() {
            info!(route, why, "nothing to claim again: no partition is assigned");
        } else {
            warn!(route, why, "positions are read and claimed again");
        }
        let moved = self.has_moved();
        self.happen(Event::Outdated { moved, suspicious }).await
    }

    /// The member stopped reading by itself: claims again once the lanes hold nothing any more.
    pub(super) async fn on_stopped(&mut self, why: &str, unreadable: bool) -> Result<(), Problem> {
        let route = &self.route.settings.name;
        warn!(route, why, "reading stopped; it starts again when the lanes are empty");
        let moved = self.has_moved();
        self.happen(Event::Stopped { moved, unreadable }).await
    }

    /// Whether a position has moved since this was asked last: what moved once must not count again after the next
    /// claim, which may fail.
    fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.tracks).values().any(|track| track.has_moved())
    }

    /// Something that was tried for the partitions has ended.
    pub(super) async fn on_end(
        &mut self,
        AttemptEnd { attempt, outcome }: AttemptEnd,
    ) -> Result<(), Problem> {
        if !self.machine.is_newest(attempt) {
            return Ok(());
        }
        match outcome {
            Outcome::Claimed(Ok(claimed)) => self.on_claimed(attempt, claimed).await,
            Outcome::Claimed(Err(problem)) => {
                self.say(&problem, "cannot claim positions yet");
                self.holds.insert(HOLD, problem);
                let moved = self.has_moved();
                self.happen(Event::Unclaimed { attempt, moved }).await
            }
            Outcome::Looked(outcome) => self.on_looked(attempt, outcome).await,
        }
    }

    async fn on_claimed(&mut self, attempt: u64, claimed: Claimed) -> Result<(), Problem> {
        self.holds.remove(&HOLD);
        for problem in claimed.left_out.values() {
            self.say(problem, "a partition is not read");
        }
        self.left_out = claimed.left_out.clone();
        let event = Event::Claimed {
            attempt,
            log: claimed.log.topic_id,
            replaced: claimed.replaced,
            left_out: claimed.left_out.keys().copied().collect(),
            admitted: self.route.admission.held().is_none(),
        };
        let actions = self.machine.on(event, fastrand::f64());
        self.carry_out(actions, Some(claimed)).await
    }

    /// Says what is wrong, unless it was the last thing said.
    pub(super) fn say(&self, problem: &Problem, what: &str) {
        if self.beating.is_news(problem) {
            let (route, code) = (&self.route.settings.name, problem.code.as_str());
            warn!(route, code, hint = problem.advice, "{what}: {}", problem.reason);
        }
    }

    /// Lets go of everything that was the group's but what the lanes hold.
    fn forget_partitions(&mut self) {
        self.attempts.end();
        // The claim failure concerned partitions that are no longer ours.
        self.holds.remove(&HOLD);
        self.left_out.clear();
        self.vitals.assigned(None);
        self.beating.reads(None);
    }

    fn claim_after(&mut self, attempt: u64, pause: Duration, settled: bool, careful: bool) {
        let settled = if settled { self.settle() } else { Vec::new() };
        let partitions = self.machine.partitions().to_vec();
        let (route, store, probe) = (self.route.clone(), self.store.clone(), self.probe.clone());
        self.attempts.claim(attempt, async move {
            tokio::time::sleep(pause).await;
            for lane in settled {
                let _ = lane.await;
            }
            claim::claim(&route, &store, &probe, &partitions, careful).await
        });
    }

    /// Tells Kafka and everybody else where the partitions are, and reads nothing. Lag is what it is.
    fn pin(&mut self, claimed: Claimed) {
        for (partition, start) in &claimed.starts {
            self.client.member.board.post(*partition, start.offset);
        }
        info!(
            route = self.route.settings.name,
            partitions = claimed.starts.len(),
            "held: the place is kept, and nothing is read"
        );
        self.vitals.reads(Some(tracks(&claimed)));
        self.beating.reads(Some(claimed));
    }

    /// Has the lanes adopt a claim and the member read from it.
    async fn fetch(&mut self, claimed: Claimed, assignment: u64, generation: u64) {
        let tracks = tracks(&claimed);
        let mut sources = Vec::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            let is_its = |partition: &i32| lane_of(*partition, self.lanes.len()) == number;
            let starts = claimed.starts.iter().filter(|(partition, _)| is_its(partition));
            let steps: BTreeMap<i32, StepNumber> =
                starts.clone().map(|(partition, start)| (*partition, start.step)).collect();
            let from =
                starts.clone().map(|(partition, start)| (*partition, start.read_from())).collect();
            let positions = starts.clone().map(|(p, start)| (*p, start.offset)).collect();
            let anchor = |(p, start): (&i32, &Begin)| Some((*p, start.anchor.clone()?));
            let anchors = starts.clone().filter_map(anchor).collect();
            sources.extend(starts.map(|(partition, start)| PartitionSource {
                partition: *partition,
                offset: start.offset,
                read_from: start.read_from(),
                lane: lane.records.clone(),
                track: tracks[partition].clone(),
            }));
            let claim = lane::LaneClaim {
                generation,
                log: claimed.log.clone(),
                trimmed: steps.clone(),
                steps,
                looks: true,
                waiting: 0,
                told: None,
                from,
                starts: positions,
                anchors,
                tracks: tracks.clone(),
                board: self.client.member.board.clone(),
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
        self.client.member.tell(Command::Fetch { assignment, generation, sources });
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
