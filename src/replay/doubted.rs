//! Events that their payments did not bear out, held against them again: a payment can be late, in a replica or a
//! transaction that is still open, or succeed days later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Replayer;
use super::case_work::CaseWork;
use super::replayer::TurnFailure;
use crate::isolate::isolate;
use crate::store::inbox;
use crate::store::mapping::Mapping;
use crate::store::quarantine::doubted;
use rules::ids::CaseId;

/// All of them are looked at this often, for at most so long a turn.
const EVERY: Duration = Duration::from_secs(10);
const FOR: Duration = Duration::from_secs(1);

/// How far the looks have come; all of it can be lost.
#[derive(Default)]
pub(super) struct Doubted {
    /// The last one that was looked at among those whose payment may only be late, and among all.
    late: CaseId,
    all: CaseId,
    /// When the last look at all of them began.
    began: Option<Instant>,
}

impl Replayer {
    /// Those whose payment bears them out by now go through. Where events are believed nobody has asked for that: a
    /// person replays them.
    pub(super) async fn verify(
        &mut self,
        mapping: &Arc<Mapping>,
        stop: &CancellationToken,
    ) -> Result<(), TurnFailure> {
        if mapping.payments(self.route.source.as_ref()).is_some() {
            self.doubted.late =
                self.again(mapping, self.doubted.late, true).await?.unwrap_or_default();
            let is_due = self.doubted.all > CaseId::default()
                || self.doubted.began.is_none_or(|began| began.elapsed() >= EVERY);
            let turn = Instant::now();
            while is_due && turn.elapsed() < FOR && !stop.is_cancelled() {
                if self.doubted.all == CaseId::default() {
                    self.doubted.began = Some(turn);
                }
                let last = self.again(mapping, self.doubted.all, false).await?;
                self.doubted.all = last.unwrap_or_default();
                if last.is_none() {
                    break;
                }
            }
        }
        doubted::judge(&self.store, self.route.id).await.map_err(TurnFailure::from)
    }

    /// Looks at the next ones after a number; returns the last one, if there was any.
    async fn again(
        &self,
        mapping: &Arc<Mapping>,
        after: CaseId,
        only_late: bool,
    ) -> Result<Option<CaseId>, TurnFailure> {
        self.route.sign.tick();
        let (store, route) = (&self.store, self.route.id);
        let ids = doubted::next(store, route, after, only_late, self.chunk()).await?;
        if ids.is_empty() {
            return Ok(None);
        }
        let sound = inbox::verified(store, &self.with(mapping), &ids).await?;
        let mut work = CaseWork::new(self, mapping, &sound);
        isolate(&mut work, sound.len(), true).await?;
        Ok(ids.last().copied())
    }
}
