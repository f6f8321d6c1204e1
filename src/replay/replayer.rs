//! One turn of the loop: what waits is applied in chunks, and what fails alone is judged.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::judge::{World, judge};
use super::{Report, Route};
use crate::pure::bisect::Bisect;
use crate::pure::suspects::Suspects;
use crate::pure::verdict::{Verdict, wants_witness, witnesses};
use crate::store::inbox::{self, ApplyFault, Replay, Replayed};
use crate::store::mapping::Mapping;
use crate::store::quarantine::Refusal;
use crate::store::{Fault, Store, decisions, jobs};

/// How many records one transaction takes, and how many bytes.
const CHUNK: i64 = 200;
const CHUNK_BYTES: i64 = 16 << 20;
/// How many lost races a chunk starts over after at once.
const ROUNDS: u32 = 10;

/// The loop's state; all of it can be lost.
pub struct Replayer {
    pub(super) route: Route,
    store: Store,
    pub(super) mapping: watch::Receiver<Arc<Mapping>>,
    /// Replays that failed alone, and how many purchases the route had made by then.
    suspects: Suspects<i64>,
    /// What was last told in the log.
    told: Option<String>,
}

/// What a turn ends early for: it passes, or somebody must mend it.
struct Trouble(String);

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble(fault.to_string())
    }
}

impl From<ApplyFault> for Trouble {
    fn from(fault: ApplyFault) -> Trouble {
        Trouble(fault.reason_and_advice().0)
    }
}

impl Replayer {
    /// A replayer of a route.
    pub fn new(route: Route, store: Store, mapping: watch::Receiver<Arc<Mapping>>) -> Replayer {
        Replayer { route, store, mapping, suspects: Suspects::default(), told: None }
    }

    /// One turn: everything that was asked for is tried once.
    pub async fn run_once(&mut self, stop: &CancellationToken) -> Report {
        match self.turn(stop).await {
            Ok(None) => {
                self.told = None;
                Report::Idle
            }
            Ok(Some(why)) => Report::Waits(why),
            Err(Trouble(why)) => {
                if self.told.as_ref() != Some(&why) {
                    warn!(route = self.route.name, "replays wait: {why}");
                    self.told = Some(why.clone());
                }
                // If this cannot be written either, the database is away and status says so itself.
                let _ = decisions::hold(&self.store, self.route.id, None, &why).await;
                Report::Waits(why)
            }
        }
    }

    /// Tries what waits; returns why some of it still does.
    async fn turn(&mut self, stop: &CancellationToken) -> Result<Option<String>, Trouble> {
        let (mut after, mut waits, mut world) = (0, None, World::default());
        while !stop.is_cancelled() {
            let (store, route) = (&self.store, self.route.id);
            let asked = decisions::waiting(store, route, after, CHUNK, CHUNK_BYTES).await?;
            let Some(last) = asked.last() else { break };
            let admission = &self.route.admission;
            if jobs::are_left_to_another(store, route, admission).await? {
                return Ok(None);
            }
            if let Some(why) = jobs::route_held(store, route, admission).await? {
                return Err(Trouble(format!("the route is held: {why}")));
            }
            after = *last;
            waits = self.chunk(&asked, &mut world).await?.or(waits);
        }
        if after == 0 {
            self.suspects.clear();
        }
        Ok(waits)
    }

    async fn chunk(&mut self, asked: &[i64], world: &mut World) -> Result<Option<String>, Trouble> {
        let mut bisect = Bisect::new(asked.len());
        // Whether the chunk has failed, and whether a record got through after that.
        let (mut failed, mut witnessed, mut waits) = (false, false, None);
        while let Some(range) = bisect.next() {
            let part = &asked[range.clone()];
            self.route.sign.tick();
            match self.replay(part, None).await {
                Ok(done) => {
                    world.works();
                    witnessed |= failed && has_applied(&done);
                    bisect.passed();
                }
                Err(fault) if part.len() == 1 && fault.blamable().is_some() => {
                    if world.is_broken(&fault, false) {
                        return Err(fault.into());
                    }
                    failed = true;
                    let rest = &asked[range.end..];
                    waits = self.suspect(part, rest, witnessed, fault).await?.or(waits);
                    bisect.passed();
                }
                Err(fault) => match judge(&fault, part.len(), false) {
                    Verdict::Bisect => {
                        failed = true;
                        bisect.failed();
                    }
                    _ => return Err(fault.into()),
                },
            }
        }
        Ok(waits)
    }

    /// Judges a record that failed alone; returns why it waits, if it does.
    async fn suspect(
        &mut self,
        part: &[i64],
        rest: &[i64],
        witnessed: bool,
        mut fault: ApplyFault,
    ) -> Result<Option<String>, Trouble> {
        let applied = decisions::applied(&self.store, self.route.id).await?;
        let has_moved = self.suspects.has_moved_since(part[0], applied);
        let witnessed = witnessed
            || has_moved
            || (wants_witness(fault.blamable()) && self.is_witnessed(rest).await);
        if witnessed {
            // The world may have been mended since; what counts is a failure after another got through.
            fault = match self.replay(part, None).await {
                Ok(_) => return Ok(None),
                Err(fault) => fault,
            };
        }
        match judge(&fault, 1, witnessed) {
            Verdict::Quarantine => {
                self.replay(part, Some(&fault.refusal())).await?;
                Ok(None)
            }
            // Nothing tells yet whether it is the record or the world. Others go on.
            Verdict::Hold if fault.blamable().is_some() => {
                let (why, _) = fault.reason_and_advice();
                decisions::hold(&self.store, self.route.id, Some(part), &why).await?;
                Ok(Some(why))
            }
            Verdict::Hold | Verdict::Retry | Verdict::Bisect => Err(fault.into()),
        }
    }

    /// Whether another replay that waits could be done, which shows that the world works.
    async fn is_witnessed(&self, rest: &[i64]) -> bool {
        let mapping = self.mapping.borrow().clone();
        for other in witnesses(rest, fastrand::usize(..)) {
            let other = std::slice::from_ref(other);
            let Ok(ids) = decisions::records(&self.store, other).await else { return false };
            let would = inbox::rehearse_replay(&self.store, &self.with(&mapping), &ids, None).await;
            if would.is_ok_and(|would| has_applied(&would)) {
                return true;
            }
        }
        false
    }

    /// Carries replays out. A race for an event starts over; an unanswered commit is found out by the
    /// next turn, from the rows.
    async fn replay(
        &self,
        asked: &[i64],
        refusal: Option<&Refusal>,
    ) -> Result<Vec<Replayed>, ApplyFault> {
        let mapping = self.mapping.borrow().clone();
        for _ in 0..ROUNDS {
            match inbox::replay(&self.store, &self.with(&mapping), asked, refusal).await {
                Err(ApplyFault::Raced) => debug!("another transaction took one of these events"),
                Ok(done) => {
                    self.tell(&done);
                    return Ok(done);
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(ApplyFault::Raced)
    }

    fn with<'a>(&'a self, mapping: &'a Arc<Mapping>) -> Replay<'a> {
        Replay {
            route: self.route.id,
            rules: &self.route.rules,
            mapping,
            source: self.route.source.as_ref(),
            now: Timestamp::now(),
        }
    }

    fn tell(&self, done: &[Replayed]) {
        let failed = done.iter().filter(|one| one.failed()).count();
        if !done.is_empty() {
            let applied = done.iter().filter(|one| one.outcome == "applied").count();
            info!(route = self.route.name, records = done.len(), applied, failed, "replayed");
        }
    }
}

fn has_applied(replayed: &[Replayed]) -> bool {
    replayed.iter().any(|one| one.outcome == "applied")
}
