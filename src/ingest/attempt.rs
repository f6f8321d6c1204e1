//! One attempt at a batch: applied in as few transactions as the data allows, until a bad record stands alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;

use tracing::{debug, warn};

use super::Route;
use super::fault::{again, hold_of};
use super::lane::{Claim, Hold};
use crate::kafka::consumer::Delivery;
use crate::pure::bisect::Bisect;
use crate::pure::record::Record;
use crate::pure::trace::TraceContext;
use crate::pure::verdict::{Scope, Verdict, verdict, wants_witness, witnesses};
use crate::store::inbox::{self, Applied, ApplyFault, Entry, Kind};
use crate::store::mapping::Mapping;
use crate::store::{Store, decisions};
use crate::vitals::Work;

/// What an attempt works with.
pub(super) struct Attempt<'a> {
    pub route: &'a Route,
    pub store: &'a Store,
    pub mapping: &'a Mapping,
    pub work: &'a Work,
}

/// How an attempt ended. What was applied of the batch is gone from `pending`; the rest is there.
pub(super) enum Ending {
    /// Everything is applied or in quarantine.
    Done,
    /// It will pass: try again soon.
    Again(Hold),
    /// The world is broken: nothing moves until it is mended.
    Hold(Hold),
    /// Somebody else moved one of the partitions.
    Collided,
}

/// What one range of the batch came to.
enum Step {
    Applied,
    Split,
    End(Ending),
}

impl Attempt<'_> {
    /// Applies `pending` from the front, in as few transactions as the data allows.
    pub(super) async fn run(&self, claim: &mut Claim, pending: &mut VecDeque<Delivery>) -> Ending {
        self.work.applying.touch();
        let ending = self.apply_all(claim, pending).await;
        self.work.isolating.store(false, Ordering::Release);
        self.work.applying.clear();
        ending
    }

    async fn apply_all(&self, claim: &mut Claim, pending: &mut VecDeque<Delivery>) -> Ending {
        let records: Vec<&Record> = pending.iter().map(|d| &d.record).collect();
        let entries = match self.decode(&claim.log, &records).await {
            Ok(entries) => entries,
            Err(fault) => return again(&fault, hold_of(&ApplyFault::Engine(fault.clone()))),
        };
        let mut bisect = Bisect::new(entries.len());
        let mut done = 0;
        let ending = loop {
            let Some(range) = bisect.next() else { break Ending::Done };
            let end = range.end;
            match self.step(claim, &entries[range], &entries[done..]).await {
                Step::Applied => {
                    bisect.passed();
                    done = end;
                }
                Step::Split => {
                    self.work.isolating.store(true, Ordering::Release);
                    bisect.failed();
                }
                Step::End(ending) => break ending,
            }
        };
        drop(entries);
        pending.drain(..done);
        ending
    }

    /// Applies one range; `rest` is everything of the batch that is not applied yet.
    async fn step(&self, claim: &mut Claim, range: &[Entry<'_>], rest: &[Entry<'_>]) -> Step {
        let fault = match self.apply(claim, range, None).await {
            Ok(applied) => return self.moved(claim, range, &applied),
            Err(fault) => fault,
        };
        claim.looks = true;
        let Some(sqlstate) = fault.blamable() else {
            return Step::End(self.unapplied(&fault).await);
        };
        if range.len() == 1 {
            return self.suspect(claim, range, rest, fault).await;
        }
        match verdict(Some(sqlstate), Scope { records: range.len(), witnessed: false }) {
            Verdict::Bisect => Step::Split,
            Verdict::Retry => Step::End(Ending::Again(self.hold_of(&fault).await)),
            Verdict::Hold | Verdict::Quarantine => {
                Step::End(Ending::Hold(self.hold_of(&fault).await))
            }
        }
    }

    /// Judges a record that failed alone.
    async fn suspect(
        &self,
        claim: &mut Claim,
        range: &[Entry<'_>],
        rest: &[Entry<'_>],
        mut fault: ApplyFault,
    ) -> Step {
        let witnessed = wants_witness(fault.blamable())
            && (self.moved_since(claim, range).await
                || self.is_witnessed(claim, range, rest).await);
        if witnessed {
            // The world may have been mended since the record failed; what counts against it is a
            // failure after another one got through.
            fault = match self.apply(claim, range, None).await {
                Ok(applied) => return self.moved(claim, range, &applied),
                Err(fault) => fault,
            };
        }
        let Some(sqlstate) = fault.blamable() else {
            return Step::End(self.unapplied(&fault).await);
        };
        match verdict(Some(sqlstate), Scope { records: 1, witnessed }) {
            Verdict::Quarantine => match self.apply(claim, range, Some(&fault.refusal())).await {
                Ok(applied) => self.moved(claim, range, &applied),
                Err(fault) => Step::End(self.unapplied(&fault).await),
            },
            Verdict::Retry => Step::End(Ending::Again(self.hold_of(&fault).await)),
            Verdict::Hold | Verdict::Bisect => Step::End(Ending::Hold(self.hold_of(&fault).await)),
        }
    }

    /// Whether the route has made a purchase since this record failed first, by any daemon: nothing of
    /// the batch can be a witness where everything else in it was applied long ago.
    async fn moved_since(&self, claim: &mut Claim, range: &[Entry<'_>]) -> bool {
        let Ok(applied) = decisions::applied(self.store, self.route.id).await else { return false };
        let Record { partition, offset, .. } = *range[0].record;
        claim.suspects.has_moved_since((partition, offset), applied)
    }

    /// Whether another record of the batch could be applied, which shows that the world works and the
    /// record at hand does not. Each is tried alone and rolled back.
    async fn is_witnessed(&self, claim: &Claim, range: &[Entry<'_>], rest: &[Entry<'_>]) -> bool {
        let is_other =
            |e: &&Entry<'_>| !range.iter().any(|suspect| std::ptr::eq(suspect.record, e.record));
        let others: Vec<&Entry<'_>> =
            rest.iter().filter(|e| matches!(e.kind, Kind::Event(_))).filter(is_other).collect();
        for other in witnesses(&others, fastrand::usize(..)) {
            let batch = self.batch(claim, std::slice::from_ref(*other));
            self.work.applying.touch();
            if let Ok(outcomes) = inbox::rehearse(self.store, &batch, false).await
                && outcomes.iter().any(|o| o.outcome == "applied")
            {
                return true;
            }
        }
        false
    }

    /// Notes that a range is in the database: the next step builds on it, and Kafka may know.
    fn moved(&self, claim: &mut Claim, range: &[Entry<'_>], applied: &Applied) -> Step {
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        for entry in range {
            next.insert(entry.record.partition, entry.record.offset + 1);
        }
        for (partition, offset) in &next {
            *claim.steps.entry(*partition).or_default() += 1;
            claim.board.post(*partition, *offset);
            if let Some(track) = claim.tracks.get(partition) {
                track.moved(*offset);
            }
        }
        let c = &applied.counts;
        // Where some were bad others will be, and only a batch that looked may put them away.
        claim.looks = c.duplicate > 0 || c.quarantined > 0;
        debug!(
            route = self.route.settings.name,
            records = range.len(),
            trace_id = trace_of(range),
            applied = c.applied,
            already = c.already,
            duplicate = c.duplicate,
            quarantined = c.quarantined,
            "batch applied"
        );
        self.tell_quarantined(range, applied);
        Step::Applied
    }

    fn tell_quarantined(&self, range: &[Entry<'_>], applied: &Applied) {
        let c = &applied.counts;
        if c.quarantined > 0 || c.conflict > 0 || c.id_reused > 0 {
            let culprits = match applied.quarantined.first() {
                Some(first) => &range[*first..=*first],
                None => range,
            };
            warn!(
                route = self.route.settings.name,
                trace_id = trace_of(culprits),
                quarantined = c.quarantined,
                conflict = c.conflict,
                id_reused = c.id_reused,
                partition = range.first().map(|e| e.record.partition),
                from_offset = range.first().map(|e| e.record.offset),
                "some records need a look: makegood quarantine list, makegood inbox list"
            );
        }
    }
}

fn trace_of(entries: &[Entry<'_>]) -> Option<String> {
    TraceContext::first_id(entries.iter().map(|entry| entry.record))
}
