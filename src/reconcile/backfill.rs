//! The step that makes good: a chunk of payments through the apply path, isolated by the same driver as a batch from
//! Kafka. What is refused alone is a suspect, which the replay loop tries again.

use std::ops::Range;

use tracing::{debug, warn};

use super::Trouble;
use super::compare::CHUNK;
use super::context::Context;
use crate::isolate::{Ended, Work, isolate};
use crate::meter;
use crate::store::decisions;
use crate::store::findings::{self, Paid, Wanted};
use crate::store::inbox::{self, ApplyFault, Backfill, MadeGood};
use crate::store::payments::{Missing, Place};
use crate::store::quarantine::{Refusal, suspects};
use crate::store::runs::{Run, RunStep};
use rules::reconcile::Event;
use rules::states::Phase;

/// How many lost races a chunk starts over after at once.
const ROUNDS: u32 = 10;

/// Makes good the next chunk of what a run has found; goes on to the contradictions after the last. With too many
/// suspects it takes one payment, and waits.
pub(super) async fn step(context: &Context<'_>, run: &Run) -> Result<(), Trouble> {
    let fingerprint = context.looker.mapping().fingerprint();
    let waiting = suspects::waiting(context.store, context.job.route, &fingerprint).await?;
    let is_slow = waiting.count >= context.job.suspects;
    let wanted = Wanted {
        since: run.since,
        until: run.until,
        after: &run.place,
        limit: if is_slow { 1 } else { CHUNK },
        retry: run.by_person,
    };
    let tx = context.store.begin("to_make_good").await?;
    let paid = findings::to_make_good(&tx, &context.lease.job, &wanted).await?;
    tx.rollback().await;
    if paid.is_empty() {
        let (_, actions) = context.machine(run).on(Event::MadeGood { is_last: true });
        let step = RunStep::to(run.phase, run.place.clone());
        return context.commit(async |tx| context.write(tx, run, step, actions).await).await;
    }
    let mut work = PaymentWork { context, run, paid: &paid, waiting: waiting.count };
    // One at a time is never full: it is what reaches a good one behind bad ones.
    let ended = isolate(&mut work, paid.len(), true).await.map_err(|fault| trouble(&fault))?;
    let is_refused = work.waiting > waiting.count;
    match ended {
        Ended::Full if is_slow && is_refused => Err(Trouble::Waits(waiting.detail)),
        Ended::Full | Ended::Done => Ok(()),
    }
}

/// Payments of a run as the isolating driver tries them.
struct PaymentWork<'a> {
    context: &'a Context<'a>,
    run: &'a Run,
    paid: &'a [Paid],
    /// How many suspects of the mapping wait.
    waiting: usize,
}

impl Work for PaymentWork<'_> {
    async fn together(&mut self, range: Range<usize>) -> Result<(), ApplyFault> {
        let made = self.make_good(range, None).await?;
        if !made.made_good.is_empty() && self.waiting > 0 {
            self.waiting = 0;
            self.context.job.control.tell();
        }
        Ok(())
    }

    async fn refused(&mut self, at: usize, fault: ApplyFault) -> Result<(), ApplyFault> {
        let (store, mapping) = (self.context.store, self.context.looker.mapping());
        let advice = fault.advice(store, self.context.job.source.as_ref(), mapping).await;
        let accepts = decisions::accepts(store, self.context.job.route).await;
        let is_suspect = !accepts.map_err(ApplyFault::Engine)?;
        let refusal = Refusal { is_suspect, ..fault.refusal(advice) };
        self.make_good(at..at + 1, Some(&refusal)).await?;
        self.waiting += usize::from(is_suspect);
        self.context.job.control.tell();
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting >= self.context.job.suspects
    }
}

impl PaymentWork<'_> {
    async fn make_good(
        &self,
        range: Range<usize>,
        refusal: Option<&Refusal>,
    ) -> Result<MadeGood, ApplyFault> {
        let (context, run, paid) = (self.context, self.run, &self.paid[range]);
        context.job.sign.tick();
        let keys: Vec<String> = paid.iter().map(|one| one.key.clone()).collect();
        let step = RunStep::to(Phase::MakeGood, place_of(paid));
        let backfill = backfill(context, run);
        for _ in 0..ROUNDS {
            match inbox::make_good(context.store, &backfill, &keys, refusal, &step).await {
                Err(ApplyFault::Raced) => debug!("another transaction took one of these payments"),
                Ok(made) => {
                    tell(context, run, &made);
                    return Ok(made);
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(ApplyFault::Raced)
    }
}

/// What would come of payments, by the same rules.
pub(super) async fn rehearse(
    context: &Context<'_>,
    run: &Run,
    missing: &[Missing],
) -> Result<MadeGood, Trouble> {
    let keys: Vec<String> = missing.iter().map(|m| m.key.clone()).collect();
    let mut rehearsal = Rehearsal { context, run, keys: &keys, would: MadeGood::default() };
    let mut would = MadeGood::default();
    for keys in keys.chunks(usize::try_from(CHUNK).unwrap_or(usize::MAX)) {
        rehearsal.keys = keys;
        isolate(&mut rehearsal, keys.len(), true).await.map_err(|fault| trouble(&fault))?;
        would.made_good.append(&mut rehearsal.would.made_good);
        would.quarantined.append(&mut rehearsal.would.quarantined);
    }
    Ok(would)
}

struct Rehearsal<'a> {
    context: &'a Context<'a>,
    run: &'a Run,
    keys: &'a [String],
    would: MadeGood,
}

impl Work for Rehearsal<'_> {
    async fn together(&mut self, range: Range<usize>) -> Result<(), ApplyFault> {
        let (store, backfill) = (self.context.store, backfill(self.context, self.run));
        let made = inbox::rehearse_backfill(store, &backfill, &self.keys[range]).await?;
        self.would.made_good.extend(made.made_good);
        self.would.quarantined.extend(made.quarantined);
        Ok(())
    }

    async fn refused(&mut self, at: usize, _: ApplyFault) -> Result<(), ApplyFault> {
        self.would.quarantined.push(self.keys[at].clone());
        Ok(())
    }
}

fn backfill<'a>(context: &'a Context<'_>, run: &Run) -> Backfill<'a> {
    Backfill {
        route: context.job.route,
        topic: &context.job.topic,
        looker: context.looker,
        lease: context.lease,
        run: run.id,
        retry: run.by_person,
    }
}

fn place_of(paid: &[Paid]) -> Place {
    let last = paid.last();
    Place { at: last.map(|one| one.at), key: last.map(|one| one.key.clone()) }
}

fn trouble(fault: &ApplyFault) -> Trouble {
    match fault {
        ApplyFault::Collided(_) => Trouble::Lost,
        _ => Trouble::Waits(fault.diagnosis().reason),
    }
}

fn tell(context: &Context<'_>, run: &Run, made: &MadeGood) {
    let (job, run) = (&context.lease.job, run.id);
    let count = made.made_good.len();
    meter::made_good(job, u64::try_from(count).unwrap_or(u64::MAX));
    if !made.quarantined.is_empty() || !made.gone.is_empty() {
        warn!(
            job,
            run = run.0,
            made_good = count,
            quarantined = made.quarantined.len(),
            gone = made.gone.len(),
            "some payments need a look: makegood reconcile show {run}"
        );
    } else if count > 0 {
        tracing::info!(job, run = run.0, made_good = count, "purchases made good");
    }
}
