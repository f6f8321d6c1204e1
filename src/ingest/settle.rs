//! One transaction of an attempt, until its end is known.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, warn};
use uuid::Uuid;

use super::attempt::Attempt;
use super::lane::LaneClaim;
use crate::meter;
use crate::store::inbox::{self, Applied, ApplyFault, Batch, Entry};
use crate::store::positions;
use crate::store::quarantine::Refusal;
use crate::trace;

/// How many lost races and unanswered commits a batch starts over after at once.
const ROUNDS: u32 = 10;
/// A batch of so many records is applied without asking the inbox first which of them it has, if the last
/// batch was all new and good: a backlog mostly is, and the inbox's primary key tells of what is not.
const LARGE: usize = 256;

/// How entries are applied in one transaction.
#[derive(Clone, Copy)]
pub(super) enum How<'a> {
    /// All or nothing; with a refusal, the only one is put away for it.
    Together(Option<&'a Refusal>),
    /// One by one, with an event that is known to be sound.
    Each(Option<&'a str>),
}

impl Attempt<'_> {
    /// Applies entries in one transaction.
    pub(super) async fn apply(
        &self,
        claim: &LaneClaim,
        entries: &[Entry<'_>],
        how: How<'_>,
    ) -> Result<Applied, ApplyFault> {
        let spans = trace::BatchSpan::begin(entries);
        let outcome = self.settle(claim, entries, how).await;
        spans.end(&self.route.settings, entries, &outcome);
        outcome
    }

    /// Applies entries. A race for an event, a commit without an answer and a plan that DDL made useless end
    /// here: the first two are settled by looking, the last by another try.
    async fn settle(
        &self,
        claim: &LaneClaim,
        entries: &[Entry<'_>],
        how: How<'_>,
    ) -> Result<Applied, ApplyFault> {
        let mut batch = self.batch(claim, entries);
        batch.looks = claim.looks || entries.len() < LARGE;
        for round in 1..=ROUNDS {
            batch.writer = Uuid::new_v4();
            self.work.applying.touch();
            let began = Instant::now();
            let applied = match how {
                How::Together(refusal) => inbox::apply(self.store, &batch, refusal).await,
                How::Each(sound) => inbox::apply_each(self.store, &batch, sound).await,
            };
            match applied {
                // The statements are prepared anew by now; each ALTER under load may do it once more.
                Err(
                    ApplyFault::Mapping(fault)
                    | ApplyFault::Payments(fault)
                    | ApplyFault::Engine(fault),
                ) if fault.is_stale_plan() && round < ROUNDS => {}
                Err(ApplyFault::Raced) => {
                    debug!(looked = batch.looks, "the inbox has one of these events");
                    batch.looks = true;
                }
                Err(ApplyFault::Unknown(fault)) => {
                    warn!(route = self.route.settings.name, %fault, "a commit was not answered; looking whether it landed");
                    if self.landed(claim, &batch).await? {
                        return Ok(Applied { waiting: claim.waiting, ..Applied::default() });
                    }
                }
                settled => {
                    if settled.is_ok() {
                        tell_meter(&self.route.settings.name, entries, began);
                    }
                    return settled;
                }
            }
        }
        Err(ApplyFault::Raced)
    }

    /// Whether the batch's commit, whose answer was lost, is in the database. One partition tells for
    /// all: they moved together or not at all.
    async fn landed(&self, claim: &LaneClaim, batch: &Batch<'_>) -> Result<bool, ApplyFault> {
        let Some(first) = batch.entries.first() else { return Ok(false) };
        let partition = first.record.partition;
        let step = claim.steps.get(&partition).copied().unwrap_or_default();
        positions::landed(self.store, &claim.log, partition, step, batch.writer)
            .await
            .map_err(ApplyFault::Unknown)
    }

    pub(super) fn batch<'b>(&'b self, claim: &'b LaneClaim, entries: &'b [Entry<'b>]) -> Batch<'b> {
        Batch {
            route: self.route.id,
            log: &claim.log,
            mapping: self.mapping,
            payments: self.mapping.payments(self.route.source.as_ref()),
            writer: Uuid::nil(),
            now: Timestamp::now(),
            steps: &claim.steps,
            max_quarantine: self.route.settings.max_quarantine,
            looks: true,
            entries,
        }
    }
}

/// Counts a batch that was applied.
fn tell_meter(route: &str, entries: &[Entry<'_>], began: Instant) {
    let oldest = entries.iter().filter_map(|e| e.record.timestamp_ms).min();
    let written = oldest.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let age = written.map(|at| Timestamp::now().duration_since(at));
    let age = age.map(|age| Duration::try_from(age).unwrap_or_default());
    meter::applied(route, entries.len(), began.elapsed(), age);
}
