//! Quarantined records as the isolating driver tries them.

use std::ops::Range;
use std::sync::Arc;

use tracing::{debug, info};

use super::Replayer;
use crate::isolate::Work;
use crate::store::inbox::{self, ApplyFault, Replayed};
use crate::store::mapping::Mapping;
use crate::store::quarantine::{Refusal, suspects};
use crate::store::{Fault, decisions};
use rules::ids::CaseId;
use rules::outcome::Attempted;
use rules::replay::{Event, Proof, State, on};

/// How many lost races a chunk starts over after at once.
const ROUNDS: u32 = 10;

/// The records, and what they are tried with.
pub(super) struct CaseWork<'a> {
    replayer: &'a Replayer,
    mapping: &'a Arc<Mapping>,
    cases: &'a [CaseId],
    waits: Option<String>,
}

impl<'a> CaseWork<'a> {
    pub(super) fn new(
        replayer: &'a Replayer,
        mapping: &'a Arc<Mapping>,
        cases: &'a [CaseId],
    ) -> CaseWork<'a> {
        CaseWork { replayer, mapping, cases, waits: None }
    }

    /// Why some of them wait, if any do.
    pub(super) fn waits(self) -> Option<String> {
        self.waits
    }

    /// Says why one waits.
    pub(super) fn says(&mut self, why: String) {
        self.waits = Some(why);
    }

    /// One was refused although the world works: it is its own fault.
    pub(super) async fn judge(&mut self, at: usize, fault: &ApplyFault) -> Result<(), ApplyFault> {
        let refusal = Refusal { is_suspect: false, ..self.refusal(fault).await };
        self.replay(at..at + 1, Some(&refusal)).await.map(|_| ())
    }

    async fn proof(&self, case: CaseId) -> Result<Proof, Fault> {
        let Replayer { store, route, .. } = self.replayer;
        Ok(Proof {
            is_proven: suspects::is_proven(store, case, &self.mapping.fingerprint()).await?,
            is_accepted: decisions::accepts(store, route.id).await?,
            control_is_taken: None,
        })
    }

    async fn refusal(&self, fault: &ApplyFault) -> Refusal {
        let Replayer { store, route, .. } = self.replayer;
        fault.refusal(fault.advice(store, route.source.as_ref(), self.mapping).await)
    }

    /// Carries replays out. A race for an event starts over; an unanswered commit is found out by the
    /// next turn, from the rows.
    async fn replay(
        &self,
        range: Range<usize>,
        refusal: Option<&Refusal>,
    ) -> Result<Vec<Replayed>, ApplyFault> {
        let replayer = self.replayer;
        replayer.route.sign.tick();
        for _ in 0..ROUNDS {
            let cases = &self.cases[range.clone()];
            let replay = replayer.with(self.mapping);
            match inbox::replay(&replayer.store, &replay, cases, refusal).await {
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

    fn tell(&self, done: &[Replayed]) {
        let failed = done.iter().filter(|one| one.failed()).count();
        if !done.is_empty() {
            let applied = done.iter().filter(|one| one.outcome == Attempted::Applied).count();
            info!(
                route = self.replayer.route.name,
                records = done.len(),
                applied,
                failed,
                "replayed"
            );
        }
    }
}

impl Work for CaseWork<'_> {
    async fn together(&mut self, range: Range<usize>) -> Result<(), ApplyFault> {
        self.replay(range, None).await.map(|_| ())
    }

    /// A record whose refusal is proven to be its own fault is judged; any other is a suspect now, and its replay waits for
    /// the proof.
    async fn refused(&mut self, at: usize, fault: ApplyFault) -> Result<(), ApplyFault> {
        let case = self.cases[at];
        let proof = self.proof(case).await.map_err(ApplyFault::Engine)?;
        if let (State::Judged, _) = on(State::Suspect, Event::Refused(proof)) {
            return self.judge(at, &fault).await;
        }
        let refusal = self.refusal(&fault).await;
        self.replay(at..at + 1, Some(&refusal)).await?;
        let (store, route) = (&self.replayer.store, self.replayer.route.id);
        let held = decisions::hold(store, route, Some(&[case]), &refusal.detail).await;
        held.map_err(ApplyFault::Engine)?;
        self.says(refusal.detail);
        Ok(())
    }
}
