//! A mapping tried on a real payment before it is used.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tracing::{debug, warn};
use uuid::Uuid;

use super::inbox::{self, ApplyFault, Batch, Entry, Kind, Rehearsed};
use super::json::JsonText;
use super::mapping::drift::drifted;
use super::mapping::{Mapping, Unfit};
use super::payments_query::{Place, Scope, cell, run};
use super::positions::Log;
use super::{Fault, Store};
use rules::envelope;
use rules::fields::Body;
use rules::ids::RouteId;
use rules::outcome::Attempted;
use rules::record::Record;

/// How far back a payment is looked for, the youngest first: days, and at last any time.
const DAYS: [Option<i64>; 3] = [Some(1), Some(30), None];
/// How many payments are looked at each time.
const ROWS: i64 = 20;
/// How many are tried. One that fails may be a bad one; all of them are not.
const TRIED: usize = 5;
/// Where so many real payments were tried and all of them failed, nothing is begun: the next payment is tried as soon as
/// it is there.
const PROOF: usize = 3;

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// There was no payment to try it on.
    NoPayment,
    /// It fits: a payment's key, and the mapping's outcome for it.
    Fits {
        /// The payment.
        key: String,
        /// The outcome.
        outcome: Attempted,
    },
    /// The mapping rejected all of them.
    Rejects {
        /// The first payment.
        key: String,
        /// How many were tried.
        tried: usize,
        /// What the mapping said of it.
        detail: String,
    },
    /// None of the payments could be applied; the first one's failure.
    Fails {
        /// The payment.
        key: String,
        /// How many were tried.
        tried: usize,
        /// Why.
        fault: ApplyFault,
    },
}

/// Tries a mapping on payments in a transaction that is rolled back, with all constraints checked.
/// `source` is the payments' database, if it is not the one with the purchases. `Err` if no payment could
/// be read.
pub async fn trial(
    store: &Store,
    source: Option<&Store>,
    mapping: &Mapping,
) -> Result<DryRun, Fault> {
    let (mut failed, mut rejected, mut tried) = (None, None, 0);
    for (key, event) in recent(source.unwrap_or(store), mapping).await?.into_iter().take(TRIED) {
        match apply(store, mapping, &event).await {
            Ok(Rehearsed { outcome: Attempted::Rejected, detail, .. }) => {
                rejected = rejected.or(Some((key, detail.unwrap_or_default())));
            }
            Ok(Rehearsed { outcome, .. }) => return Ok(DryRun::Fits { key, outcome }),
            Err(ApplyFault::Engine(fault)) => return Err(fault),
            Err(fault) => failed = failed.or(Some((key, fault))),
        }
        tried += 1;
    }
    Ok(match (failed, rejected) {
        (Some((key, fault)), _) => DryRun::Fails { key, tried, fault },
        (None, Some((key, detail))) => DryRun::Rejects { key, tried, detail },
        (None, None) => DryRun::NoPayment,
    })
}

async fn apply(store: &Store, mapping: &Mapping, event: &str) -> Result<Rehearsed, ApplyFault> {
    let record = Record { value: Some(event.as_bytes().to_vec()), ..Record::default() };
    let digest = envelope::digest(event.as_bytes());
    let kind = Kind::Event(Body::read(event, &mapping.fields));
    let entries = [Entry { record: &record, event_id: Uuid::new_v4(), digest, kind }];
    let log = Log { group: String::new(), topic: String::new(), topic_id: Uuid::nil() };
    let batch = Batch {
        route: RouteId::default(),
        log: &log,
        mapping,
        // The event is made from its payment.
        payments: None,
        writer: Uuid::nil(),
        now: Timestamp::now(),
        steps: &BTreeMap::new(),
        max_quarantine: u64::MAX,
        looks: true,
        entries: &entries,
    };
    let rehearsed = inbox::rehearse(store, &batch, false).await?;
    rehearsed.into_iter().next().ok_or(ApplyFault::NoOutcome)
}

/// Keys and events of payments of late: of all payments if the mapping can read them, else of those
/// without a purchase.
async fn recent(store: &Store, mapping: &Mapping) -> Result<Vec<(String, String)>, Fault> {
    let looks = &mapping.looks;
    let Some(sql) = looks.payments.as_deref().or(looks.missing.as_deref()) else {
        return Ok(Vec::new());
    };
    let ask = looks.ask(sql);
    let now = Timestamp::now();
    for days in DAYS {
        let at = days.map(|days| now - SignedDuration::from_hours(24 * days));
        let after = Place { at, key: None };
        let until = now + SignedDuration::from_hours(24);
        let tx = store.begin("payments_of_late").await?;
        let rows = run(&tx, ask, Scope::Window { after: &after, until, rows: ROWS }).await;
        tx.rollback().await;
        let found: Vec<(String, String)> = (rows?.iter())
            .filter_map(|row| {
                let event: JsonText<'_> = cell(row, "event")?;
                Some((cell(row, "business_key")?, event.0.to_owned()))
            })
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Checks a mapping's contract, then tries it. Where few payments were tried and failed that is only told: what they
/// are refused for is judged when their events come. `source` is as in [`trial`].
pub async fn check(store: &Store, source: Option<&Store>, mapping: &Mapping) -> Result<(), Unfit> {
    mapping.check(store).await?;
    match trial(store, source, mapping).await {
        Ok(DryRun::Rejects { key, tried, detail }) if tried >= PROOF => {
            let reason =
                format!("apply.sql rejects the last {tried} payments, {key} for: {detail}");
            Err(Unfit::Drifted(drifted(reason).advice("correct apply.sql, and reload")))
        }
        Ok(DryRun::Fails { fault: ApplyFault::Breach(what), .. }) => Err(mapping.broken(what)),
        Ok(DryRun::Fails { fault: fault @ ApplyFault::Altered, .. }) => {
            Err(Unfit::Drifted(fault.diagnosis()))
        }
        Ok(DryRun::Fails { key, tried, fault: ApplyFault::Mapping(fault) }) => {
            let advice = mapping.advice(store, "apply.sql", &mapping.apply, &fault).await;
            if tried >= PROOF {
                return Err(Unfit::Drifted(drifted(fault.to_string()).advice(advice)));
            }
            warn!(
                payment = key,
                hint = advice,
                "on trial, a real payment could not be applied: {fault}"
            );
            Ok(())
        }
        Err(fault) => {
            warn!("the mapping could not be tried on a payment: {fault}");
            Ok(())
        }
        outcome => {
            let outcome = match &outcome {
                Ok(DryRun::Fits { outcome, .. }) => outcome.as_str(),
                _ => "no payment",
            };
            debug!(outcome, origin = mapping.origin, "mapping tried");
            Ok(())
        }
    }
}
