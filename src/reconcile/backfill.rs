//! The step that makes good: a chunk of payments through the apply path, and what a failure means.
//!
//! The rules are those of a batch from Kafka: what a value of its own makes fail is found by halving and
//! quarantined; what a broken world would make fail as well needs a witness.

use tracing::{debug, warn};

use super::compare::CHUNK;
use super::context::Context;
use super::{Trouble, judge, lock};
use crate::meter;
use crate::pure::bisect::Bisect;
use crate::pure::verdict::{Verdict, wants_witness, witnesses};
use crate::store::decisions;
use crate::store::findings::{self, Paid, Wanted};
use crate::store::inbox::{self, ApplyFault, Backfill, MadeGood};
use crate::store::payments::{Missing, Place};
use crate::store::quarantine::Refusal;
use crate::store::runs::{self, Phase, Run, Step};

/// How many lost races a chunk starts over after at once.
const ROUNDS: u32 = 10;

/// Makes good the next chunk of what a run has found; goes on to the contradictions after the last.
pub(super) async fn step(context: &Context<'_>, run: &Run) -> Result<(), Trouble> {
    let wanted = Wanted {
        since: run.since,
        until: run.until,
        after: &run.place,
        limit: CHUNK,
        retry: run.by_person,
    };
    let tx = context.store.begin("to_make_good").await?;
    let paid = findings::to_make_good(&tx, &context.lease.job, &wanted).await?;
    tx.rollback().await;
    if paid.is_empty() {
        let next = Step::to(Phase::Conflicts, Place::default());
        return context.commit(async |tx| runs::step(tx, run.id, &next).await).await;
    }
    let mut bisect = Bisect::new(paid.len());
    // Whether the chunk has failed, and whether a payment got through after that.
    let (mut failed, mut witnessed) = (false, false);
    while let Some(range) = bisect.next() {
        let part = &paid[range.clone()];
        context.job.sign.tick();
        match make_good(context, run, part, None).await {
            Ok(made) => {
                witnessed |= failed && !made.made_good.is_empty();
                tell(context, run, &made);
                bisect.passed();
            }
            Err(fault) if part.len() == 1 && fault.blamable().is_some() => {
                let rest = Rest { paid: &paid[range.end..], witnessed };
                suspect(context, run, part, &rest, fault).await?;
                failed = true;
                bisect.passed();
            }
            Err(fault) => match fault.blamable().map(|code| judge(code, part.len(), false)) {
                Some(Verdict::Bisect) => {
                    failed = true;
                    bisect.failed();
                }
                _ => return Err(trouble(&fault)),
            },
        }
    }
    Ok(())
}

/// What would come of payments, by the same rules.
pub(super) async fn rehearse(
    context: &Context<'_>,
    run: &Run,
    missing: &[Missing],
) -> Result<MadeGood, Trouble> {
    let mut would = MadeGood::default();
    let keys: Vec<String> = missing.iter().map(|m| m.key.clone()).collect();
    for chunk in keys.chunks(usize::try_from(CHUNK).unwrap_or(usize::MAX)) {
        rehearse_chunk(context, run, chunk, &mut would).await?;
    }
    Ok(would)
}

async fn rehearse_chunk(
    context: &Context<'_>,
    run: &Run,
    keys: &[String],
    would: &mut MadeGood,
) -> Result<(), Trouble> {
    let mut bisect = Bisect::new(keys.len());
    while let Some(range) = bisect.next() {
        let part = &keys[range];
        match inbox::rehearse_backfill(context.store, &backfill(context, run), part).await {
            Ok(made) => {
                would.made_good.extend(made.made_good);
                would.quarantined.extend(made.quarantined);
                bisect.passed();
            }
            Err(fault) => match fault.blamable().map(|code| judge(code, part.len(), true)) {
                Some(Verdict::Bisect) => bisect.failed(),
                Some(Verdict::Quarantine) => {
                    would.quarantined.push(part[0].clone());
                    bisect.passed();
                }
                _ => return Err(trouble(&fault)),
            },
        }
    }
    Ok(())
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

async fn make_good(
    context: &Context<'_>,
    run: &Run,
    paid: &[Paid],
    refusal: Option<&Refusal>,
) -> Result<MadeGood, ApplyFault> {
    let keys: Vec<String> = paid.iter().map(|one| one.key.clone()).collect();
    let step = Step::to(Phase::MakeGood, place_of(paid));
    for _ in 0..ROUNDS {
        match inbox::make_good(context.store, &backfill(context, run), &keys, refusal, &step).await
        {
            Err(ApplyFault::Raced) => debug!("another transaction took one of these payments"),
            settled => return settled,
        }
    }
    Err(ApplyFault::Raced)
}

fn place_of(paid: &[Paid]) -> Place {
    let last = paid.last();
    Place { at: last.map(|one| one.at), key: last.map(|one| one.key.clone()) }
}

/// What may tell whether a payment or the world is to blame.
struct Rest<'a> {
    /// Those of the chunk that were not tried yet.
    paid: &'a [Paid],
    /// Another one got through since the chunk failed.
    witnessed: bool,
}

/// Judges a payment that failed alone.
async fn suspect(
    context: &Context<'_>,
    run: &Run,
    paid: &[Paid],
    rest: &Rest<'_>,
    mut fault: ApplyFault,
) -> Result<(), Trouble> {
    let witnessed = rest.witnessed
        || (wants_witness(fault.blamable())
            && is_witnessed(context, run, &paid[0].key, rest.paid).await);
    if witnessed && !rest.witnessed {
        // The world may have been mended since; what counts is a failure after another got through.
        fault = match make_good(context, run, paid, None).await {
            Ok(made) => {
                tell(context, run, &made);
                return Ok(());
            }
            Err(fault) => fault,
        };
    }
    let Some(sqlstate) = fault.blamable() else { return Err(trouble(&fault)) };
    match judge(sqlstate, 1, witnessed) {
        Verdict::Quarantine => {
            let made = make_good(context, run, paid, Some(&fault.refusal())).await;
            tell(context, run, &made.map_err(|fault| trouble(&fault))?);
            Ok(())
        }
        // Nothing tells whether it is the payment or the world. It is left as it is found, with the
        // reason, and stops nobody; the next sweep tries it again. One that was judged before is in
        // quarantine as it is.
        Verdict::Hold if rest.paid.is_empty() || paid[0].refused => {
            leave(context, run, paid, &fault).await
        }
        Verdict::Hold | Verdict::Retry | Verdict::Bisect => Err(trouble(&fault)),
    }
}

async fn leave(
    context: &Context<'_>,
    run: &Run,
    paid: &[Paid],
    fault: &ApplyFault,
) -> Result<(), Trouble> {
    let (reason, _) = fault.reason_and_advice();
    warn!(job = context.lease.job, run = run.id, "a payment could not be made good: {reason}");
    let step = Step::to(Phase::MakeGood, place_of(paid));
    context
        .commit(async |tx| {
            for one in paid {
                findings::tell(tx, &context.lease.job, &one.key, &reason).await?;
            }
            runs::step(tx, run.id, &step).await
        })
        .await
}

/// Whether another payment can be made good, which shows that the world works: by another daemon's word since
/// this one failed first, one of the same chunk, or one that became paid since the run began.
async fn is_witnessed(context: &Context<'_>, run: &Run, suspect: &str, rest: &[Paid]) -> bool {
    if let Ok(applied) = decisions::applied(context.store, context.job.route).await
        && lock(context.suspects).has_moved_since(suspect.to_owned(), applied)
    {
        return true;
    }
    let of_chunk = witnesses(rest, fastrand::usize(..)).map(|one| one.key.clone());
    let newest = findings::newest_missing(context.store, &context.lease.job).await;
    for key in of_chunk.chain(newest.unwrap_or_default()) {
        let keys = std::slice::from_ref(&key);
        let would = inbox::rehearse_backfill(context.store, &backfill(context, run), keys).await;
        if would.is_ok_and(|would| !would.made_good.is_empty()) {
            return true;
        }
    }
    false
}

fn trouble(fault: &ApplyFault) -> Trouble {
    match fault {
        ApplyFault::Collided(_) => Trouble::Lost,
        _ => Trouble::Waits(fault.reason_and_advice().0),
    }
}

fn tell(context: &Context<'_>, run: &Run, made: &MadeGood) {
    let (job, run) = (&context.lease.job, run.id);
    let count = made.made_good.len();
    meter::made_good(job, u64::try_from(count).unwrap_or(u64::MAX));
    if !made.quarantined.is_empty() || !made.gone.is_empty() {
        warn!(
            job,
            run,
            made_good = count,
            quarantined = made.quarantined.len(),
            gone = made.gone.len(),
            "some payments need a look: makegood reconcile show {run}"
        );
    } else if count > 0 {
        tracing::info!(job, run, made_good = count, "purchases made good");
    }
}
