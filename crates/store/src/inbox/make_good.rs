//! Payments without a purchase, through the same transaction as events from Kafka: second look →
//! mapping → inbox rows → quarantine → findings → constraints → the run's step and its runner's lease.
//!
//! They pass by the inbox's filter, because their events have ids of their own; the business key
//! decides. The payment's row cannot be locked with the rights makegood has, so one that is refunded
//! between the second look and the commit is still made good, and found as a contradiction later.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::answers::Answer;
use super::batch::Fresh;
use super::doubted::map;
use super::fault::{ApplyFault, end};
use super::params::InboxRows;
use super::slot::Slot;
use crate::findings;
use crate::jobs::{self, Lease};
use crate::payments::{LookFault, Looker, Missing, Scope};
use crate::quarantine::{self, QuarantineSnapshot, Refusal};
use crate::runs::{self, RunStep};
use crate::{Fault, Store, Tx, unpurchased};
use rules::envelope;
use rules::fields::Body;
use rules::ids::{RouteId, RunId};
use rules::outcome::Outcome;
use rules::states::{FindingEnd, FindingKind};

/// What payments are made good with.
#[derive(Clone, Copy)]
pub struct Backfill<'a> {
    /// The route's key.
    pub route: RouteId,
    /// The route's topic, for quarantine.
    pub topic: &'a str,
    /// The mapping.
    pub looker: &'a Looker,
    /// The runner's lease.
    pub lease: &'a Lease,
    /// The run.
    pub run: RunId,
    /// Whether to try also what was refused before.
    pub retry: bool,
}

/// What came of some payments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeGood {
    /// Purchases made.
    pub made_good: Vec<String>,
    /// They have a purchase by now, or are not paid any more.
    pub healed: Vec<String>,
    /// Their purchase existed once and was removed.
    pub gone: Vec<String>,
    /// Put into quarantine.
    pub quarantined: Vec<String>,
    /// The mapping has nothing to do for them.
    pub ignored: Vec<String>,
}

impl MadeGood {
    /// The keys that nothing came of, because they are not missing any more.
    fn rest(&self, keys: &[String], untried: &[Missing]) -> Vec<String> {
        let lists = [&self.made_good, &self.healed, &self.quarantined, &self.ignored];
        let known: BTreeSet<&String> =
            lists.into_iter().flatten().chain(untried.iter().map(|m| &m.key)).collect();
        keys.iter().filter(|key| !known.contains(key)).cloned().collect()
    }

    /// How far this takes the run.
    fn count(&self, step: &RunStep) -> RunStep {
        let count = |keys: &Vec<String>| i64::try_from(keys.len()).unwrap_or(i64::MAX);
        RunStep {
            made_good: count(&self.made_good),
            gone: count(&self.gone),
            quarantined: count(&self.quarantined),
            ..step.clone()
        }
    }
}

/// Makes good what of `keys` is still missing. `refusal`, if given, is the verdict on the only one of
/// them: its event is quarantined instead of going through the mapping.
pub async fn make_good(
    store: &Store,
    backfill: &Backfill<'_>,
    keys: &[String],
    refusal: Option<&Refusal>,
    step: &RunStep,
) -> Result<MadeGood, ApplyFault> {
    let tx = store.begin("make_good").await.map_err(ApplyFault::Engine)?;
    let outcome = run(&tx, backfill, keys, refusal, step).await;
    end(tx, outcome).await
}

/// What would come of some payments: everything is done and rolled back.
pub async fn rehearse_backfill(
    store: &Store,
    backfill: &Backfill<'_>,
    keys: &[String],
) -> Result<MadeGood, ApplyFault> {
    let tx = store.begin("rehearse_make_good").await.map_err(ApplyFault::Engine)?;
    let outcome = attempt(&tx, backfill, keys, None).await;
    tx.rollback().await;
    outcome
}

async fn run(
    tx: &Tx,
    backfill: &Backfill<'_>,
    keys: &[String],
    refusal: Option<&Refusal>,
    step: &RunStep,
) -> Result<MadeGood, ApplyFault> {
    let fingerprint = backfill.looker.mapping().fingerprint();
    let look =
        QuarantineSnapshot::take(tx, backfill.route, Uuid::nil(), &BTreeMap::new(), &fingerprint)
            .await;
    let mut look = look.map_err(ApplyFault::Engine)?;
    let made = attempt(tx, backfill, keys, refusal).await?;
    if !made.made_good.is_empty() {
        look.prove(tx, &[]).await.map_err(ApplyFault::Engine)?;
    }
    runs::step(tx, backfill.run, &made.count(step)).await.map_err(ApplyFault::Engine)?;
    match jobs::hold(tx, backfill.lease).await {
        Ok(true) => Ok(made),
        Ok(false) => Err(ApplyFault::Collided(Vec::new())),
        Err(fault) => Err(ApplyFault::Engine(fault)),
    }
}

async fn attempt(
    tx: &Tx,
    backfill: &Backfill<'_>,
    keys: &[String],
    refusal: Option<&Refusal>,
) -> Result<MadeGood, ApplyFault> {
    let Backfill { route, looker, lease, .. } = *backfill;
    let slot = Slot::hold(tx).await.map_err(ApplyFault::Engine)?;
    let looked = looker.missing(tx, Scope::Keys(keys)).await.map_err(look_fault)?;
    let sorted = unpurchased::sort(tx, looker, route, &lease.job, looked.items).await;
    let mut sorted = sorted.map_err(look_fault)?;
    if backfill.retry {
        sorted.missing.append(&mut sorted.refused);
    }
    let mut made = MadeGood {
        gone: sorted.gone.iter().map(|m| m.key.clone()).collect(),
        ..MadeGood::default()
    };
    let mut events = fresh(backfill, &sorted.missing);
    let mut rejected: Vec<(&Missing, Uuid, Refusal)> = Vec::new();
    if let Some(refusal) = refusal {
        rejected
            .extend(events.drain(..).map(|f| (&sorted.missing[f.entry], f.id, refusal.clone())));
    }
    let mut rows = InboxRows::into_slot(&slot, events.len());
    for (event, answer) in events.iter().zip(map(tx, looker.mapping(), &events).await?) {
        let payment = &sorted.missing[event.entry];
        let list = match answer.outcome {
            Outcome::Rejected => {
                rejected.push((payment, event.id, answer.rejection()));
                continue;
            }
            Outcome::Applied => &mut made.made_good,
            Outcome::Ignored => &mut made.ignored,
            Outcome::Already | Outcome::Conflict => &mut made.healed,
        };
        list.push(payment.key.clone());
        rows.push(route, event, None, &keyed(&payment.key, answer)?);
    }
    if !rows.is_empty() {
        rows.write(tx).await?;
    }
    for (payment, event_id, refusal) in rejected {
        refuse(tx, backfill, payment, event_id, &refusal).await.map_err(ApplyFault::Engine)?;
        made.quarantined.push(payment.key.clone());
    }
    let untried = if backfill.retry { Vec::new() } else { sorted.refused };
    made.healed.extend(made.rest(keys, &untried));
    note(tx, backfill, &made, &sorted.gone).await.map_err(ApplyFault::Engine)?;
    tx.settle_constraints("").await.map_err(ApplyFault::Mapping)?;
    Ok(made)
}

/// The events of payments, sorted by their ids.
fn fresh<'a>(backfill: &Backfill<'_>, missing: &'a [Missing]) -> Vec<Fresh<'a>> {
    let event = |(entry, payment): (usize, &'a Missing)| {
        let id = runs::event_id(backfill.run, &payment.key);
        let digest = envelope::digest(payment.event.as_bytes());
        let body = Body::read(&payment.event, &backfill.looker.mapping().fields);
        // A purchase is of the time of its payment; where that is none, of now.
        let is_known = payment.paid_at > Timestamp::MIN && payment.paid_at < Timestamp::MAX;
        let at = if is_known { payment.paid_at } else { backfill.lease.now };
        Fresh::new(entry, id, digest, Cow::Owned(body), at)
    };
    let mut events: Vec<Fresh<'a>> = missing.iter().enumerate().map(event).collect();
    events.sort_by_key(|e| e.id);
    events
}

/// The answer under the payment's key. By it the inbox knows later that the payment had its purchase,
/// so both statements must name it alike.
pub(super) fn keyed(payment: &str, answer: Answer) -> Result<Answer, ApplyFault> {
    if answer.business_key.as_ref().is_some_and(|key| key != payment) {
        return Err(ApplyFault::Breach(
            "apply.sql gives a payment another business_key than missing.sql".to_owned(),
        ));
    }
    Ok(Answer { business_key: Some(payment.to_owned()), ..answer })
}

pub(super) fn look_fault(fault: LookFault) -> ApplyFault {
    match fault {
        LookFault::Failed(fault) => ApplyFault::Mapping(fault),
        LookFault::Breach(what) => ApplyFault::Breach(what),
    }
}

/// Puts a payment's event into quarantine; its finding stays open and says so.
async fn refuse(
    tx: &Tx,
    backfill: &Backfill<'_>,
    payment: &Missing,
    event_id: Uuid,
    refusal: &Refusal,
) -> Result<(), Fault> {
    let Backfill { route, topic, lease, .. } = *backfill;
    let fingerprint = backfill.looker.mapping().fingerprint();
    let why = (refusal, fingerprint.as_str());
    let id = quarantine::put_payment(tx, route, topic, payment, event_id, why).await?;
    findings::refused(tx, &lease.job, &payment.key, id, &refusal.detail).await
}

/// Brings the findings up to date.
async fn note(
    tx: &Tx,
    backfill: &Backfill<'_>,
    made: &MadeGood,
    gone: &[Missing],
) -> Result<(), Fault> {
    let Backfill { route, lease, run, .. } = *backfill;
    let open: Vec<findings::New<'_>> =
        gone.iter().map(|m| findings::New::missing(FindingKind::Gone, m)).collect();
    findings::open(tx, &lease.job, Some(run), &open).await?;
    for (end, keys) in [
        (FindingEnd::MadeGood, &made.made_good),
        (FindingEnd::Healed, &made.healed),
        (FindingEnd::Ignored, &made.ignored),
    ] {
        findings::close(tx, &lease.job, &[FindingKind::Missing.as_str()], end, Some(run), keys)
            .await?;
        quarantine::made_good(tx, route, keys).await?;
    }
    Ok(())
}
