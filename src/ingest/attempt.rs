//! One attempt at a batch: decode, apply, and decide what a failure means.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, warn};
use uuid::Uuid;

use super::Route;
use super::lane::{Claim, Hold};
use crate::kafka::consumer::Delivery;
use crate::meter;
use crate::pure::bisect::Bisect;
use crate::pure::record::Record;
use crate::pure::trace::TraceContext;
use crate::pure::verdict::{Scope, Verdict, verdict, wants_witness, witnesses};
use crate::store::inbox::{self, Applied, ApplyFault, Batch, Entry, Kind};
use crate::store::mapping::Mapping;
use crate::store::quarantine::Refusal;
use crate::store::{Fault, Store};
use crate::store::{decisions, positions};
use crate::trace;
use crate::vitals::Work;

/// How many lost races and unanswered commits a batch starts over after at once.
const ROUNDS: u32 = 10;
/// A batch of so many records is applied without asking the inbox first which of them it has, if the last
/// batch was all new and good: a backlog mostly is, and the inbox's primary key tells of what is not.
const LARGE: usize = 256;

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

    /// Applies entries in one transaction.
    async fn apply(
        &self,
        claim: &Claim,
        entries: &[Entry<'_>],
        refusal: Option<&Refusal>,
    ) -> Result<Applied, ApplyFault> {
        let spans = trace::Batch::begin(entries);
        let outcome = self.settle(claim, entries, refusal).await;
        spans.end(&self.route.settings, entries, &outcome);
        outcome
    }

    /// Applies entries. A race for an event, a commit without an answer and a plan that DDL made useless end
    /// here: the first two are settled by looking, the last by another try.
    async fn settle(
        &self,
        claim: &Claim,
        entries: &[Entry<'_>],
        refusal: Option<&Refusal>,
    ) -> Result<Applied, ApplyFault> {
        let mut batch = self.batch(claim, entries);
        batch.looks = claim.looks || entries.len() < LARGE;
        for round in 1..=ROUNDS {
            batch.writer = Uuid::new_v4();
            self.work.applying.touch();
            let began = Instant::now();
            match inbox::apply(self.store, &batch, refusal).await {
                // The statements are prepared anew by now; each ALTER under load may do it once more.
                Err(ApplyFault::Mapping(fault) | ApplyFault::Engine(fault))
                    if fault.is_stale_plan() && round < ROUNDS => {}
                Err(ApplyFault::Raced) => {
                    debug!(looked = batch.looks, "the inbox has one of these events");
                    batch.looks = true;
                }
                Err(ApplyFault::Unknown(fault)) => {
                    warn!(route = self.route.settings.name, %fault, "a commit was not answered; looking whether it landed");
                    if self.landed(claim, &batch).await? {
                        return Ok(Applied::default());
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
    async fn landed(&self, claim: &Claim, batch: &Batch<'_>) -> Result<bool, ApplyFault> {
        let Some(first) = batch.entries.first() else { return Ok(false) };
        let partition = first.record.partition;
        let step = claim.steps.get(&partition).copied().unwrap_or_default();
        positions::landed(self.store, &claim.log, partition, step, batch.writer)
            .await
            .map_err(ApplyFault::Unknown)
    }

    pub(super) fn batch<'b>(&'b self, claim: &'b Claim, entries: &'b [Entry<'b>]) -> Batch<'b> {
        Batch {
            route: self.route.id,
            log: &claim.log,
            mapping: self.mapping,
            writer: Uuid::nil(),
            now: Timestamp::now(),
            steps: &claim.steps,
            brake: self.route.brake,
            looks: true,
            entries,
        }
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

    /// What a failure that is no record's own means for the batch.
    async fn unapplied(&self, fault: &ApplyFault) -> Ending {
        match fault {
            ApplyFault::Collided(partitions) => {
                debug!(?partitions, "the position moved under us");
                Ending::Collided
            }
            ApplyFault::Engine(inner) | ApplyFault::Unknown(inner) | ApplyFault::Mapping(inner) => {
                again(inner, self.hold_of(fault).await)
            }
            ApplyFault::Braked(reason) => Ending::Hold(Hold {
                reason: reason.clone(),
                advice: format!(
                    "Mend the mapping and send makegood SIGHUP, and it goes on by itself if the records then \
                     pass; or have them put into quarantine: makegood quarantine accept {} --execute",
                    self.route.settings.name
                ),
            }),
            ApplyFault::Breach(_) | ApplyFault::NoOutcome | ApplyFault::Raced => {
                Ending::Hold(hold_of(fault))
            }
        }
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

    /// What to say of a failure. Where the mapping and the tables disagree, the catalogue tells how.
    async fn hold_of(&self, fault: &ApplyFault) -> Hold {
        match fault {
            ApplyFault::Mapping(inner) => Hold {
                reason: inner.to_string(),
                advice: self
                    .mapping
                    .advice(self.store, "apply.sql", &self.mapping.apply, inner)
                    .await,
            },
            other => hold_of(other),
        }
    }
}

fn trace_of(entries: &[Entry<'_>]) -> Option<String> {
    TraceContext::first_id(entries.iter().map(|entry| entry.record))
}

/// Counts a batch that was applied.
fn tell_meter(route: &str, entries: &[Entry<'_>], began: Instant) {
    let oldest = entries.iter().filter_map(|e| e.record.timestamp_ms).min();
    let written = oldest.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let age = written.map(|at| Timestamp::now().duration_since(at));
    let age = age.map(|age| Duration::try_from(age).unwrap_or_default());
    meter::applied(route, entries.len(), began.elapsed(), age);
}

/// Whether to come back soon or at leisure after a fault of the database.
fn again(fault: &Fault, hold: Hold) -> Ending {
    match verdict(fault.sqlstate(), Scope { records: 0, witnessed: false }) {
        Verdict::Retry => Ending::Again(hold),
        Verdict::Hold | Verdict::Bisect | Verdict::Quarantine => Ending::Hold(hold),
    }
}

/// A failure in the words that need no look at the database.
pub(super) fn hold_of(fault: &ApplyFault) -> Hold {
    let (reason, advice) = fault.reason_and_advice();
    Hold { reason, advice: advice.to_owned() }
}
