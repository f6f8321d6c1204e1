//! One turn of the loop: replays that people asked for, suspects, and what may get through by now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::case_work::CaseWork;
use super::doubted::Doubted;
use super::{ReplayRoute, ReplayTurn};
use crate::isolate::isolate;
use crate::store::inbox::{self, ApplyFault, Replay};
use crate::store::mapping::Mapping;
use crate::store::quarantine;
use crate::store::quarantine::suspects::{self, Due};
use crate::store::{Fault, Store, decisions, jobs};
use rules::ids::{CaseId, DecisionId};
use rules::replay::{Event, Proof, State, on};

/// How many records are taken at once, and how many bytes.
const CHUNK: (i64, i64) = (200, 16 << 20);
/// How long one turn may try judged records again, and how often.
const RETRY_FOR: Duration = Duration::from_secs(1);
const RETRY_EVERY: Duration = Duration::from_secs(10);
/// For so long a suspect waits for another record to be applied before a control is asked.
const CONTROL_AFTER: Duration = Duration::from_secs(30);

/// The loop's state; all of it can be lost.
pub struct Replayer {
    pub(super) route: ReplayRoute,
    pub(super) store: Store,
    pub(super) mapping: watch::Receiver<Arc<Mapping>>,
    /// The last judged record that was tried again, and when such a turn began.
    retried: CaseId,
    /// The last record that was looked at for a purchase that somebody else made.
    healed: CaseId,
    retried_at: Option<Instant>,
    /// Events that their payments do not bear out.
    pub(super) doubted: Doubted,
    /// Since when the oldest suspect has been refused again and again with no other record applied.
    stuck_since: Option<Instant>,
    /// What was last told in the log.
    told: Option<String>,
}

/// What a turn ends early for: it passes, or somebody must mend it.
pub(super) struct TurnFailure(pub String);

impl From<Fault> for TurnFailure {
    fn from(fault: Fault) -> TurnFailure {
        TurnFailure(fault.to_string())
    }
}

impl From<ApplyFault> for TurnFailure {
    fn from(fault: ApplyFault) -> TurnFailure {
        TurnFailure(fault.diagnosis().reason)
    }
}

impl Replayer {
    /// A replayer of a route.
    pub fn new(
        route: ReplayRoute,
        store: Store,
        mapping: watch::Receiver<Arc<Mapping>>,
    ) -> Replayer {
        Replayer {
            route,
            store,
            mapping,
            retried: CaseId::default(),
            healed: CaseId::default(),
            retried_at: None,
            doubted: Doubted::default(),
            stuck_since: None,
            told: None,
        }
    }

    /// One turn: everything that is due is tried once.
    pub async fn run_once(&mut self, stop: &CancellationToken) -> ReplayTurn {
        match self.turn(stop).await {
            Ok(None) => {
                self.told = None;
                ReplayTurn::Idle
            }
            Ok(Some(why)) => ReplayTurn::Waits(why),
            Err(TurnFailure(why)) => {
                if self.told.as_ref() != Some(&why) {
                    warn!(route = self.route.name, "replays wait: {why}");
                    self.told = Some(why.clone());
                }
                // If this cannot be written either, the database is away and status says so itself.
                let _ = decisions::hold(&self.store, self.route.id, None, &why).await;
                ReplayTurn::Waits(why)
            }
        }
    }

    /// Tries what is due; returns why some of it still waits.
    async fn turn(&mut self, stop: &CancellationToken) -> Result<Option<String>, TurnFailure> {
        let (store, route) = (self.store.clone(), self.route.id);
        if jobs::are_left_to_another(&store, route, &self.route.admission).await? {
            return Ok(None);
        }
        if let Some(why) = self.route.admission.held() {
            return Err(TurnFailure(format!("the route is held: {}", why.reason)));
        }
        decisions::end_acceptance(&store, route).await?;
        let mapping = self.mapping.borrow().clone();
        let asked = self.asked(&mapping, stop).await?;
        let suspects = self.suspects(&mapping, stop).await?;
        self.verify(&mapping, stop).await?;
        self.retry(&mapping, stop).await?;
        Ok(suspects.or(asked))
    }

    /// Replays that people asked for.
    async fn asked(
        &mut self,
        mapping: &Arc<Mapping>,
        stop: &CancellationToken,
    ) -> Result<Option<String>, TurnFailure> {
        let (mut after, mut waits) = (DecisionId::default(), None);
        let fingerprint = mapping.fingerprint();
        while !stop.is_cancelled() {
            let asked =
                decisions::waiting(&self.store, self.route.id, after, self.chunk(), &fingerprint)
                    .await?;
            let Some(last) = asked.last() else { break };
            after = last.decision;
            let cases: Vec<CaseId> = asked.iter().map(|asked| asked.case).collect();
            let mut work = CaseWork::new(self, mapping, &cases);
            isolate(&mut work, cases.len(), true).await?;
            waits = work.waits().or(waits);
        }
        Ok(waits)
    }

    /// Suspects: those that are proven, those that another mapping refused, and the oldest of the rest. Once one gets
    /// through the others are proven, and tried at once.
    async fn suspects(
        &mut self,
        mapping: &Arc<Mapping>,
        stop: &CancellationToken,
    ) -> Result<Option<String>, TurnFailure> {
        let fingerprint = mapping.fingerprint();
        let (mut tried, mut waits) = (Vec::new(), None);
        while !stop.is_cancelled() {
            let route = self.route.id;
            let due = suspects::due(&self.store, route, &fingerprint, self.chunk(), &tried).await?;
            if due.is_empty() {
                break;
            }
            let (same, others): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| due.is_same);
            let cases: Vec<CaseId> = others.iter().map(|due| due.id).collect();
            let mut work = CaseWork::new(self, mapping, &cases);
            isolate(&mut work, cases.len(), false).await?;
            waits = work.waits().or(waits);
            tried.extend(cases);
            for due in same {
                waits = self.oldest(mapping, due.id).await?.or(waits);
                tried.push(due.id);
            }
        }
        if waits.is_none() {
            self.stuck_since = None;
        }
        Ok(waits)
    }

    /// Tries the oldest suspect that nothing has proven.
    async fn oldest(
        &mut self,
        mapping: &Arc<Mapping>,
        id: CaseId,
    ) -> Result<Option<String>, TurnFailure> {
        let since = *self.stuck_since.get_or_insert_with(Instant::now);
        let replay = self.with(mapping);
        // First without its row locked: what is applied meanwhile must be able to prove it.
        let fault = match inbox::rehearse_replay(&self.store, &replay, &[id], None).await {
            Err(fault) => fault,
            Ok(_) => match inbox::replay(&self.store, &replay, &[id], None).await {
                Ok(_) => return Ok(None),
                Err(fault) => fault,
            },
        };
        let control = self.route.control.event().filter(|_| since.elapsed() >= CONTROL_AFTER);
        let proof = match control {
            Some(event) => {
                let is_own = inbox::is_own_fault(&self.store, &replay, id, &event).await?;
                Proof { control_is_taken: Some(is_own), ..Proof::default() }
            }
            None => Proof {
                is_accepted: decisions::accepts(&self.store, self.route.id).await?,
                ..Proof::default()
            },
        };
        let mut work = CaseWork::new(self, mapping, std::slice::from_ref(&id));
        match on(State::Suspect, Event::Refused(proof)) {
            (State::Judged, _) => work.judge(0, &fault).await?,
            // Its row says that already.
            _ => work.says(fault.diagnosis().reason),
        }
        Ok(work.waits())
    }

    /// Judged records that may get through by now: with another mapping, or with what they lacked.
    async fn retry(
        &mut self,
        mapping: &Arc<Mapping>,
        stop: &CancellationToken,
    ) -> Result<(), TurnFailure> {
        if self.retried_at.is_some_and(|at| at.elapsed() < RETRY_EVERY) {
            return Ok(());
        }
        let began = Instant::now();
        self.retried_at = Some(began);
        let healed = quarantine::heal(&self.store, self.route.id, mapping, self.healed, CHUNK.0);
        self.healed = healed.await?.unwrap_or_default();
        let fingerprint = mapping.fingerprint();
        let mut together = 1;
        while !stop.is_cancelled() && (began.elapsed() < RETRY_FOR || together > 1) {
            let (store, route) = (&self.store, self.route.id);
            let cases =
                quarantine::retry(store, route, &fingerprint, self.retried, self.chunk()).await?;
            if cases.is_empty() {
                self.retried = CaseId::default();
                break;
            }
            let mut tried = 0;
            while tried < cases.len() && (began.elapsed() < RETRY_FOR || together > 1) {
                self.route.sign.tick();
                let part = &cases[tried..cases.len().min(tried + together)];
                match inbox::replay(store, &self.with(mapping), part, None).await {
                    // Where one gets through, what they lacked is there: the others go by ever more together.
                    Ok(_) => {
                        tried += part.len();
                        together = (together * 2).min(cases.len());
                    }
                    // What is refused alone once more stays as it is.
                    Err(_) if part.len() == 1 => {
                        tried += 1;
                        together = 1;
                    }
                    Err(_) => together = 1,
                }
            }
            quarantine::seen_by(store, &cases[..tried], &fingerprint).await?;
            self.retried = cases[..tried].last().copied().unwrap_or(self.retried);
        }
        Ok(())
    }

    /// How many records are tried at once, and how many bytes of them.
    pub(super) fn chunk(&self) -> (i64, i64) {
        (self.route.rules.together(CHUNK.0 as usize) as i64, CHUNK.1)
    }

    pub(super) fn with<'a>(&'a self, mapping: &'a Arc<Mapping>) -> Replay<'a> {
        Replay {
            route: self.route.id,
            rules: &self.route.rules,
            mapping,
            source: self.route.source.as_ref(),
            now: Timestamp::now(),
        }
    }
}
