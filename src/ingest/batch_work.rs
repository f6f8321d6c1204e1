//! A batch's records as the isolating driver tries them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::attempt::Attempt;
use super::lane::LaneClaim;
use super::settle::How;
use crate::isolate::Work;
use crate::store::decisions;
use crate::store::inbox::{Applied, ApplyFault, Entry, Kind};
use crate::store::quarantine::Refusal;
use rules::ids::Offset;
use rules::outcome::Counter;
use rules::trace::TraceContext;

/// How often records that need a look are told of in the log; `status` counts all of them.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The records, and what they are applied with.
pub(super) struct BatchWork<'a> {
    attempt: &'a Attempt<'a>,
    claim: &'a mut LaneClaim,
    entries: &'a [Entry<'a>],
    done: Vec<bool>,
}

impl<'a> BatchWork<'a> {
    pub(super) fn new(
        attempt: &'a Attempt<'a>,
        claim: &'a mut LaneClaim,
        entries: &'a [Entry<'a>],
    ) -> BatchWork<'a> {
        BatchWork { attempt, claim, entries, done: vec![false; entries.len()] }
    }

    /// The entries that are applied or put away, by their places.
    pub(super) fn done(&self) -> impl Iterator<Item = usize> {
        (0..self.done.len()).filter(|at| self.done[*at])
    }

    async fn apply(&mut self, range: Range<usize>, how: How<'_>) -> Result<(), ApplyFault> {
        let is_part = range.len() < self.entries.len();
        self.attempt.work.isolating.store(is_part, Ordering::Release);
        let entries = &self.entries[range.clone()];
        match self.attempt.apply(self.claim, entries, how).await {
            Ok(applied) => {
                self.done[range].fill(true);
                self.moved(entries, &applied);
                Ok(())
            }
            Err(fault) => {
                self.claim.looks = true;
                Err(fault)
            }
        }
    }

    /// Notes that entries are in the database: the next step builds on it, and Kafka may know.
    fn moved(&mut self, entries: &[Entry<'_>], applied: &Applied) {
        let claim = &mut *self.claim;
        let mut next: BTreeMap<i32, Offset> = BTreeMap::new();
        for entry in entries {
            next.insert(entry.record.partition, entry.record.offset + 1);
        }
        for (partition, offset) in &next {
            let step = claim.steps.entry(*partition).or_default();
            *step = step.next();
            claim.board.post(*partition, *offset);
            if let Some(track) = claim.tracks.get(partition) {
                track.moved(*offset);
            }
        }
        let c = &applied.counts;
        // Where some were bad others will be, and only a batch that looked may put them away.
        claim.looks = c[Counter::Duplicate] > 0 || c[Counter::Quarantined] > 0;
        if applied.waiting != claim.waiting {
            self.attempt.route.control.tell();
        }
        claim.waiting = applied.waiting;
        let route = &self.attempt.route;
        for entry in entries {
            if let Kind::OtherType(name) = &entry.kind {
                route.ignored.add(&route.settings, name);
            }
        }
        if let Some(Kind::Event(body)) = applied.sound.map(|at| &entries[at].kind) {
            self.attempt.route.control.is_now(&body.text);
        }
        debug!(
            route = self.attempt.route.settings.name,
            records = entries.len(),
            trace_id = trace_of(entries),
            applied = c[Counter::Applied],
            already = c[Counter::Already],
            duplicate = c[Counter::Duplicate],
            quarantined = c[Counter::Quarantined],
            "batch applied"
        );
        self.tell(entries, applied);
    }

    fn tell(&mut self, entries: &[Entry<'_>], applied: &Applied) {
        let c = &applied.counts;
        let is_due = self.claim.told.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
        let looked_for = [Counter::Quarantined, Counter::Conflict, Counter::IdReused];
        if looked_for.iter().all(|counter| c[*counter] == 0) || !is_due {
            return;
        }
        self.claim.told = Some(Instant::now());
        let culprits = match applied.quarantined.first() {
            Some(first) => &entries[*first..=*first],
            None => entries,
        };
        warn!(
            route = self.attempt.route.settings.name,
            trace_id = trace_of(culprits),
            quarantined = c[Counter::Quarantined],
            conflict = c[Counter::Conflict],
            id_reused = c[Counter::IdReused],
            partition = culprits.first().map(|e| e.record.partition),
            offset = culprits.first().map(|e| e.record.offset.0),
            "some records need a look: makegood quarantine list, makegood inbox list"
        );
    }
}

impl Work for BatchWork<'_> {
    const EACH: bool = true;

    async fn together(&mut self, range: Range<usize>) -> Result<(), ApplyFault> {
        self.apply(range, How::Together(None)).await
    }

    async fn each(&mut self, range: Range<usize>) -> Result<usize, ApplyFault> {
        let before = self.claim.waiting;
        let control = self.attempt.route.control.event();
        self.apply(range, How::Each(control.as_deref())).await?;
        // Where some of them were proven the rest may be better.
        Ok(usize::from(self.claim.looks || self.claim.waiting > before))
    }

    async fn refused(&mut self, at: usize, fault: ApplyFault) -> Result<(), ApplyFault> {
        let advice = self.attempt.hold_of(&fault).await.advice;
        let (store, route) = (self.attempt.store, self.attempt.route.id);
        let accepts = decisions::accepts(store, route).await.map_err(ApplyFault::Engine)?;
        let refusal = Refusal { is_suspect: !accepts, ..fault.refusal(advice) };
        self.apply(at..at + 1, How::Together(Some(&refusal))).await
    }

    fn is_full(&self) -> bool {
        self.attempt.is_full(self.claim)
    }
}

fn trace_of(entries: &[Entry<'_>]) -> Option<String> {
    TraceContext::first_id(entries.iter().map(|entry| entry.record))
}
