//! One attempt at a batch: applied in as few transactions as the data allows, until what is refused stands alone.
//!
//! With too many suspects the route is slow and not still: an attempt takes one more record of each partition, so
//! that a good one behind bad ones is reached. The suspects themselves are tried by [`crate::replay`].

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

use super::Route;
use super::batch_work::BatchWork;
use super::fault::again;
use super::lane::LaneClaim;
use crate::isolate::{Ended, isolate};
use crate::kafka::consumer::Delivery;
use crate::progress::LaneWork;
use crate::store::Store;
use crate::store::inbox::ApplyFault;
use crate::store::mapping::Mapping;
use crate::store::quarantine::suspects;
use rules::diagnosis::{Code, Diagnosis};
use rules::ingest::lane;
use rules::record::Record;

/// What an attempt works with.
pub(super) struct Attempt<'a> {
    pub route: &'a Route,
    pub store: &'a Store,
    pub mapping: &'a Mapping,
    pub work: &'a LaneWork,
    /// Whether an error that passes, or is the server's, is waited for; it did not pass if not.
    pub is_patient: bool,
}

/// How an attempt ended. What was applied of the batch is gone from `pending`; the rest is there.
pub(super) type BatchEnding = lane::Ending<Diagnosis>;

impl Attempt<'_> {
    /// Applies `pending`, in as few transactions as the data allows.
    pub(super) async fn run(
        &self,
        claim: &mut LaneClaim,
        pending: &mut VecDeque<Delivery>,
    ) -> BatchEnding {
        self.work.applying.touch();
        let ending = self.apply_all(claim, pending).await;
        self.work.isolating.store(false, Ordering::Release);
        self.work.applying.clear();
        ending
    }

    async fn apply_all(
        &self,
        claim: &mut LaneClaim,
        pending: &mut VecDeque<Delivery>,
    ) -> BatchEnding {
        let chosen = match self.is_slow(claim).await {
            Ok(true) => firsts(pending),
            Ok(false) => (0..pending.len()).collect(),
            Err(fault) => return self.unapplied(&fault).await,
        };
        let records: Vec<&Record> = chosen.iter().map(|at| &pending[*at].record).collect();
        let entries = match self.decode(&claim.log, &records).await {
            Ok(entries) => entries,
            Err(fault) => return again(&fault, fault.diagnosis()),
        };
        let mut work = BatchWork::new(self, claim, &entries);
        let ended = isolate(&mut work, entries.len(), self.is_patient).await;
        let done: BTreeSet<usize> = work.done().map(|at| chosen[at]).collect();
        drop(entries);
        let mut at = 0..;
        pending.retain(|_| !at.next().is_some_and(|at| done.contains(&at)));
        match ended {
            Err(fault) => self.unapplied(&fault).await,
            Ok(Ended::Done) if pending.is_empty() && !self.is_full(claim) => BatchEnding::Done,
            Ok(_) if !self.is_full(claim) => BatchEnding::More,
            Ok(_) => match self.hold_of_suspects().await {
                Ok(hold) => BatchEnding::Hold(hold),
                Err(fault) => self.unapplied(&fault).await,
            },
        }
    }

    /// Whether so many suspects wait that the route is slow. Others try them, so they are counted anew.
    async fn is_slow(&self, claim: &mut LaneClaim) -> Result<bool, ApplyFault> {
        if self.is_full(claim) {
            let fingerprint = self.mapping.fingerprint();
            let waiting = suspects::waiting(self.store, self.route.id, &fingerprint).await;
            claim.waiting = waiting.map_err(ApplyFault::Engine)?.count;
        }
        Ok(self.is_full(claim))
    }

    pub(super) fn is_full(&self, claim: &LaneClaim) -> bool {
        claim.waiting >= self.route.settings.suspects
    }

    /// Why the route is slow.
    async fn hold_of_suspects(&self) -> Result<Diagnosis, ApplyFault> {
        let fingerprint = self.mapping.fingerprint();
        let waiting = suspects::waiting(self.store, self.route.id, &fingerprint).await;
        let suspects::WaitingSuspects { detail, advice, .. } =
            waiting.map_err(ApplyFault::Engine)?;
        let limit = self.route.settings.suspects;
        let reason =
            format!("{limit} records or more were refused and nothing was applied since: {detail}");
        Ok(Diagnosis::new(Code::Postgres, reason).advice(advice))
    }
}

/// The first record of each partition, by its place.
fn firsts(pending: &VecDeque<Delivery>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    (0..pending.len()).filter(|at| seen.insert(pending[*at].record.partition)).collect()
}
