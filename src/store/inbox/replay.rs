//! Quarantined records once more, through the same mapping, in one transaction: records → mapping → inbox
//! rows → quarantine → findings → constraints → the decisions, their answer read.
//!
//! They pass by the inbox's filter: the business key decides. An event that the inbox has by now gets no
//! second row. A record is decoded anew from its bytes; an event that was made from a payment is made anew
//! if the payment is still missing its purchase.

mod events;

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::batch::Fresh;
use super::make_good::keyed;
use super::params::Rows;
use super::{Answer, ApplyFault, Outcome, end, map};
use crate::pure::envelope::Rules;
use crate::store::decisions::{self, Taken};
use crate::store::mapping::Mapping;
use crate::store::quarantine::{self, Case, Refusal};
use crate::store::{Store, Tx};
use events::{Read, read, still_missing, tell_apart};

/// What records are replayed with.
#[derive(Clone, Copy)]
pub struct Replay<'a> {
    /// The route's key.
    pub route: i16,
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
    pub id: i64,
    /// One word: an outcome of the mapping's, or one of `other_type`, `healed`, `settled`, `refused` and
    /// `undecodable`; in a rehearsal `held` too.
    pub outcome: &'static str,
    /// What there is to say about it.
    pub detail: Option<String>,
    /// The payment.
    pub business_key: Option<String>,
    /// The id of its event.
    pub(in crate::store) event_id: Uuid,
    /// Why it stays in quarantine, if it does.
    pub(in crate::store) refusal: Option<Refusal>,
}

impl Replayed {
    /// Whether it stays in quarantine.
    pub fn failed(&self) -> bool {
        self.refusal.is_some()
    }

    fn new(case: &Case, outcome: &'static str) -> Replayed {
        let (id, event_id) = (case.id, case.event_id);
        let business_key = case.business_key.clone();
        Replayed { id, outcome, detail: None, business_key, event_id, refusal: None }
    }

    fn refused(case: &Case, outcome: &'static str, refusal: Refusal) -> Replayed {
        let detail = Some(refusal.detail.clone());
        Replayed { detail, refusal: Some(refusal), ..Replayed::new(case, outcome) }
    }
}

/// Carries out replays, those among `decisions` that nobody else has at hand. `refusal`, if given, is the
/// verdict on the only one: its record stays in quarantine for that reason.
pub async fn replay(
    store: &Store,
    replay: &Replay<'_>,
    decisions: &[i64],
    refusal: Option<&Refusal>,
) -> Result<Vec<Replayed>, ApplyFault> {
    let tx = store.begin("replay").await.map_err(ApplyFault::Engine)?;
    let outcome = run(&tx, replay, decisions, refusal).await;
    end(tx, outcome).await
}

/// What would come of records, by their numbers: everything is done and rolled back.
pub async fn rehearse_replay(
    store: &Store,
    replay: &Replay<'_>,
    ids: &[i64],
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
    decisions: &[i64],
    refusal: Option<&Refusal>,
) -> Result<Vec<Replayed>, ApplyFault> {
    let taken = decisions::take(tx, decisions).await.map_err(ApplyFault::Engine)?;
    let ids: Vec<i64> = taken.iter().map(|t| t.quarantine).collect();
    let cases = quarantine::read(tx, &ids).await.map_err(ApplyFault::Engine)?;
    let replayed = attempt(tx, replay, &cases, refusal).await?;
    let numbers: Vec<i64> = taken.iter().map(|Taken { decision, .. }| *decision).collect();
    let finished = decisions::finish(tx, &numbers, &replayed).await.map_err(ApplyFault::Engine)?;
    // Both are locked, so only a database that answers for another transaction could differ.
    if finished == numbers.len() { Ok(replayed) } else { Err(ApplyFault::Raced) }
}

async fn attempt(
    tx: &Tx,
    replay: &Replay<'_>,
    cases: &[Case],
    refusal: Option<&Refusal>,
) -> Result<Vec<Replayed>, ApplyFault> {
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
    let (fresh, is_new): (Vec<Fresh<'_>>, Vec<bool>) = fresh.into_iter().unzip();
    let mut rows = Rows::with_capacity(fresh.len());
    let answers = map(tx, replay.mapping, &fresh).await?;
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
    quarantine::replayed(tx, replay.route, &replayed).await.map_err(ApplyFault::Engine)?;
    tx.batch("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(ApplyFault::Mapping)?;
    replayed.sort_by_key(|r| r.id);
    Ok(replayed)
}

fn outcome(case: &Case, event: &Fresh<'_>, answer: Answer) -> Replayed {
    let outcome = answer.outcome.as_str();
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
fn twin(case: &Case, first: &Replayed) -> Replayed {
    let outcome = if first.outcome == "applied" { "already" } else { first.outcome };
    Replayed { id: case.id, outcome, ..first.clone() }
}
