//! Quarantined records once more, through the same mapping, in one transaction: records → mapping → inbox
//! rows → quarantine → findings → constraints → the decisions. People ask for it, and suspects are tried so.
//!
//! They pass by the inbox's filter: the business key decides. An event that the inbox has by now gets no
//! second row. A record is decoded anew from its bytes; an event that was made from a payment is made anew
//! if the payment is still missing its purchase.

mod ends;
mod events;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::answers::Answer;
use super::batch::Fresh;
use super::control::works;
use super::fault::{ApplyFault, end};
use super::gone::map_unless_gone;
use super::make_good::keyed;
use super::params::InboxRows;
use super::slot::Slot;
use super::verify::verify;
use crate::mapping::Mapping;
use crate::quarantine::{self, QuarantineSnapshot, Refusal, StoredCase};
use crate::{Store, Tx, decisions};
use events::{Read, read, still_missing, tell_apart};
use rules::envelope::Rules;
use rules::ids::{CaseId, RouteId};
use rules::outcome::{Attempted, Outcome};

/// What records are replayed with.
#[derive(Clone, Copy)]
pub struct Replay<'a> {
    /// The route's key.
    pub route: RouteId,
    /// How its records are decoded.
    pub rules: &'a Rules,
    /// The operator's SQL.
    pub mapping: &'a Arc<Mapping>,
    /// The payments' database, if it is not the one with the purchases.
    pub source: Option<&'a Store>,
    /// The time for records that carry none.
    pub now: Timestamp,
}

/// What came of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Its number in quarantine.
    pub id: CaseId,
    /// What came of it.
    pub outcome: Attempted,
    /// What there is to say about it.
    pub detail: Option<String>,
    /// The payment.
    pub business_key: Option<String>,
    /// The id of its event.
    pub(crate) event_id: Uuid,
    /// Why it stays in quarantine, if it does.
    pub(crate) refusal: Option<Refusal>,
}

impl Replayed {
    /// Whether it stays in quarantine.
    pub fn failed(&self) -> bool {
        self.refusal.is_some()
    }

    /// Whether it is not known yet who is at fault.
    pub fn is_suspect(&self) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| refusal.is_suspect)
    }

    fn new(case: &StoredCase, outcome: Attempted) -> Replayed {
        let (id, event_id) = (case.id, case.event_id);
        let business_key = case.business_key.clone();
        Replayed { id, outcome, detail: None, business_key, event_id, refusal: None }
    }

    fn refused(case: &StoredCase, outcome: Attempted, refusal: Refusal) -> Replayed {
        let detail = Some(refusal.detail.clone());
        Replayed { detail, refusal: Some(refusal), ..Replayed::new(case, outcome) }
    }
}

/// Tries cases once more, those among `cases` that nobody else has at hand, and ends the replays that people asked
/// for. `refusal`, if given, is what is known of the only one: it stays, as a suspect or judged.
pub async fn replay(
    store: &Store,
    replay: &Replay<'_>,
    cases: &[CaseId],
    refusal: Option<&Refusal>,
) -> Result<Vec<Replayed>, ApplyFault> {
    let tx = store.begin("replay").await.map_err(ApplyFault::Engine)?;
    let outcome = run(&tx, replay, cases, refusal).await;
    end(tx, outcome).await
}

/// Whether a case is refused although the world works: an event that is known to be sound gets through under a fresh
/// key both before and after it. Changes nothing.
pub async fn is_own_fault(
    store: &Store,
    replay: &Replay<'_>,
    case: CaseId,
    sound: &str,
) -> Result<bool, ApplyFault> {
    let tx = store.begin("control").await.map_err(ApplyFault::Engine)?;
    let is_own = async {
        if !works(&tx, replay.mapping, sound).await? {
            return Ok(false);
        }
        let cases = quarantine::read(&tx, &[case]).await.map_err(ApplyFault::Engine)?;
        tx.mark().await.map_err(ApplyFault::Engine)?;
        let refused =
            attempt(&tx, replay, &cases, None).await.is_err_and(|f| f.sqlstate().is_some());
        tx.undo().await.map_err(ApplyFault::Engine)?;
        Ok(refused && works(&tx, replay.mapping, sound).await?)
    }
    .await;
    tx.rollback().await;
    is_own
}

/// Which of some events, by their numbers, their payments bear out by now. Changes nothing.
pub async fn verified(
    store: &Store,
    replay: &Replay<'_>,
    ids: &[CaseId],
) -> Result<Vec<CaseId>, ApplyFault> {
    let tx = store.begin("verify").await.map_err(ApplyFault::Engine)?;
    let outcome = async {
        let cases = quarantine::read(&tx, ids).await.map_err(ApplyFault::Engine)?;
        let events = cases.iter().enumerate().filter_map(|(at, case)| {
            match read(replay, case, at, None, None) {
                Read::Event(event) if case.place().is_some() => Some(event),
                _ => None,
            }
        });
        let mut events: Vec<Fresh<'_>> = events.collect();
        let payments = replay.mapping.payments(replay.source);
        verify(&tx, replay.mapping, payments, &mut events).await?;
        let sound = events.iter().filter(|event| event.doubt.is_none());
        Ok(sound.map(|event| cases[event.entry].id).collect())
    }
    .await;
    tx.rollback().await;
    outcome
}

/// What would come of records, by their numbers: everything is done and rolled back.
pub async fn rehearse_replay(
    store: &Store,
    replay: &Replay<'_>,
    ids: &[CaseId],
    refusal: Option<&Refusal>,
) -> Result<Vec<Replayed>, ApplyFault> {
    let tx = store.begin("rehearse_replay").await.map_err(ApplyFault::Engine)?;
    let outcome = async {
        let cases = quarantine::read(&tx, ids).await.map_err(ApplyFault::Engine)?;
        attempt(&tx, replay, &cases, refusal).await
    }
    .await;
    tx.rollback().await;
    outcome
}

async fn run(
    tx: &Tx,
    replay: &Replay<'_>,
    cases: &[CaseId],
    refusal: Option<&Refusal>,
) -> Result<Vec<Replayed>, ApplyFault> {
    let engine = ApplyFault::Engine;
    // In this order, as makegood.discard() locks them.
    decisions::lock(tx, cases).await.map_err(engine)?;
    let ids = quarantine::take(tx, cases).await.map_err(engine)?;
    let fingerprint = replay.mapping.fingerprint();
    let look =
        QuarantineSnapshot::take(tx, replay.route, Uuid::nil(), &BTreeMap::new(), &fingerprint)
            .await;
    let mut look = look.map_err(engine)?;
    let cases = quarantine::read(tx, &ids).await.map_err(engine)?;
    let replayed = attempt(tx, replay, &cases, refusal).await?;
    if replayed.iter().any(|one| one.outcome == Attempted::Applied) {
        look.prove(tx, &ids).await.map_err(engine)?;
    }
    let ended = replayed.iter().filter(|one| !one.is_suspect());
    ends::decisions(tx, ended).await.map_err(engine)?;
    Ok(replayed)
}

async fn attempt(
    tx: &Tx,
    replay: &Replay<'_>,
    cases: &[StoredCase],
    refusal: Option<&Refusal>,
) -> Result<Vec<Replayed>, ApplyFault> {
    let slot = Slot::hold(tx).await.map_err(ApplyFault::Engine)?;
    let missing = still_missing(tx, replay, cases).await?;
    let mut replayed = Vec::with_capacity(cases.len());
    let mut events = Vec::with_capacity(cases.len());
    for (at, case) in cases.iter().enumerate() {
        match read(replay, case, at, missing.as_ref(), refusal) {
            Read::Event(event) => events.push(event),
            Read::Done(done) => replayed.push(done),
        }
    }
    let (mut fresh, twins) = tell_apart(tx, replay.route, events).await?;
    fresh.sort_by_key(|(event, _)| event.id);
    let (mut fresh, is_new): (Vec<Fresh<'_>>, Vec<bool>) = fresh.into_iter().unzip();
    let payments = replay.mapping.payments(replay.source);
    // What was made from a payment was made anew.
    let is_from_kafka = |event: &Fresh<'_>| cases[event.entry].place().is_some();
    verify(tx, replay.mapping, payments, fresh.iter_mut().filter(|event| is_from_kafka(event)))
        .await?;
    let mut rows = InboxRows::into_slot(&slot, fresh.len());
    let answers = map_unless_gone(tx, replay.route, replay.mapping, &fresh, |_| true).await?;
    for ((event, is_new), answer) in fresh.iter().zip(is_new).zip(answers) {
        let case = &cases[event.entry];
        let answer = match (case.place(), &case.business_key) {
            (None, Some(payment)) => keyed(payment, answer)?,
            _ => answer,
        };
        if is_new && answer.outcome != Outcome::Rejected {
            rows.push(replay.route, event, case.place(), &answer);
        }
        let first = outcome(case, event, answer);
        let others = twins.iter().filter(|(_, id)| *id == event.id);
        replayed.extend(others.map(|(at, _)| twin(&cases[*at], &first)));
        replayed.push(first);
    }
    if !rows.is_empty() {
        rows.write(tx).await?;
    }
    let fingerprint = replay.mapping.fingerprint();
    ends::cases(tx, replay.route, &replayed, &fingerprint).await.map_err(ApplyFault::Engine)?;
    tx.settle_constraints("").await.map_err(ApplyFault::Mapping)?;
    replayed.sort_by_key(|r| r.id);
    Ok(replayed)
}

fn outcome(case: &StoredCase, event: &Fresh<'_>, answer: Answer) -> Replayed {
    let outcome = Attempted::of(answer.doubt.as_ref(), answer.outcome);
    if answer.outcome == Outcome::Rejected {
        return Replayed::refused(case, outcome, answer.rejection());
    }
    Replayed {
        detail: answer.detail,
        business_key: answer.business_key,
        event_id: event.id,
        ..Replayed::new(case, outcome)
    }
}

/// The same event in another case: what the first one did is done already.
fn twin(case: &StoredCase, first: &Replayed) -> Replayed {
    let outcome = match first.outcome {
        Attempted::Applied => Attempted::Already,
        other => other,
    };
    Replayed { id: case.id, outcome, ..first.clone() }
}
