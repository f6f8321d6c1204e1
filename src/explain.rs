//! The life of one payment: everything that any table knows of it, and a sentence. Nothing here writes, and no
//! statement runs for long.

use jiff::Timestamp;
use serde_json::Value;

use crate::pure::envelope;
use crate::pure::problem::Problem;
use crate::store::mapping::Looks;
use crate::store::report::reconcile::{self as report, Trace};
use crate::store::{Fault, Store};

/// Where to look.
#[derive(Clone)]
pub struct Places {
    /// The database with the purchases.
    pub store: Store,
    /// The payments' database, if it is another one.
    pub source: Option<Store>,
    /// The outbox's database, if it is to be asked.
    pub outbox: Option<Store>,
    /// How the host's tables are read.
    pub looks: Looks,
    /// Whether the outbox's events may be found by any key. It may be a person's, whose events are no stranger's business;
    /// by the key of a payment that is known they always may.
    pub by_key: bool,
}

/// What is known.
pub struct Life {
    /// In the order of time.
    pub traces: Vec<Trace>,
    /// Why the outbox was not asked: its database may be another one, and away.
    pub unseen: Option<Problem>,
}

/// Everything known, in the order of time. An event's id leads to its payment by the inbox, a
/// purchase's by the host's tables, and the payment to all the rest.
pub async fn explain(places: &Places, id: &str) -> Result<Life, Problem> {
    let mut keys = vec![id.to_owned()];
    let event = envelope::id_as_given(id).to_string();
    if event != id {
        keys.push(event);
    }
    let mut traces: Vec<Trace> = Vec::new();
    // The first round finds the payment's key, the second everything under it.
    for _ in 0..2 {
        traces.clear();
        for key in &keys {
            traces.extend(report::explain(&places.store, key).await.map_err(unreadable)?);
            let host = report::host_rows(&places.store, places.source.as_ref(), &places.looks, key);
            traces.extend(host.await.map_err(|f| f.problem("the host's rows cannot be read"))?);
        }
        keys = traces.iter().filter_map(|t| t.business_key.clone()).chain(keys).collect();
        keys.sort();
        keys.dedup();
    }
    let known: Vec<String> = traces.iter().filter_map(|t| t.business_key.clone()).collect();
    let events = traces.iter().filter_map(|t| t.contents["eventId"].as_str().map(str::to_owned));
    keys.extend(events.collect::<Vec<_>>());
    let payments = if places.by_key { &keys } else { &known };
    let unseen = match &places.outbox {
        Some(outbox) => match report::explain_outbox(outbox, payments, &keys).await {
            Ok(found) => {
                traces.extend(found);
                None
            }
            Err(fault) => Some(unreadable(fault)),
        },
        None => None,
    };
    traces.sort_by(|a, b| (a.at, &a.part).cmp(&(b.at, &b.part)));
    traces.dedup_by(|a, b| a.part == b.part && a.at == b.at && a.contents == b.contents);
    Ok(Life { traces, unseen })
}

/// One sentence: has it its purchase, and if not, where it stopped and what to do.
pub fn verdict(traces: &[Trace]) -> String {
    let has = |part: &str| traces.iter().find(|t| t.part == part);
    let open = |part: &str| {
        traces.iter().find(|t| {
            t.part == part
                && (t.what == "open" || t.contents["resolution"].as_str() == Some("open"))
        })
    };
    if let Some(finding) =
        open("finding").filter(|f| !matches!(f.what.as_str(), "missing" | "gone"))
    {
        return format!(
            "The payment and its purchase contradict each other ({}): finding {} is for people; \
             correct one of them, or SELECT makegood.dismiss({}, 'why').",
            finding.what,
            text(finding, "finding"),
            text(finding, "finding")
        );
    }
    if has("purchase").is_some() {
        return match has("payment") {
            Some(_) => "The payment has its purchase.".to_owned(),
            None => "There is a purchase and no payment for it.".to_owned(),
        };
    }
    if let Some(case) = open("quarantine") {
        return format!(
            "There is no purchase: the event is in quarantine, {}. `makegood quarantine show {}` has it; \
             mend what is wrong, then `makegood quarantine replay --id {}`.",
            text(case, "detail"),
            text(case, "quarantineId"),
            text(case, "quarantineId")
        );
    }
    if let Some(given_up) = given_up(traces) {
        return given_up;
    }
    if let Some(event) = traces.iter().find(|t| t.part == "outbox" && t.what != "sent") {
        let id = text(event, "eventId");
        return match event.what.as_str() {
            "pending" => "There is no purchase: the event has not got to Kafka yet. `makegood status` says what it waits for.".to_owned(),
            "held" => format!(
                "There is no purchase: the event's topic takes nothing. `makegood outbox show {id}` says why."
            ),
            "discarded" => format!(
                "There is no purchase: the event was given up before it got to Kafka. `makegood outbox show {id}` says why."
            ),
            _ => format!(
                "There is no purchase: the event was set aside on its way to Kafka. `makegood outbox show {id}` says why."
            ),
        };
    }
    if let Some(gone) = open("finding").filter(|f| f.what == "gone") {
        return format!(
            "There is no purchase any more: there was one, and it was removed. It is not made again by \
             itself; if that is right, SELECT makegood.dismiss({}, 'why').",
            text(gone, "finding")
        );
    }
    if let Some(dismissed) = dismissed(traces) {
        return dismissed;
    }
    if has("payment").is_some() {
        return "There is no purchase. If the payment has succeeded, the reconciler makes it good; at \
                once with `makegood reconcile run --wait`."
            .to_owned();
    }
    "Only makegood's own tables know it: there is neither a payment nor a purchase.".to_owned()
}

/// A person discarded the event, and nothing else makes the purchase: it was made from the payment, or
/// there is no payment to make it from again.
fn given_up(traces: &[Trace]) -> Option<String> {
    let has_payment = traces.iter().any(|t| t.part == "payment");
    let case = traces.iter().rev().find(|t| {
        let is_the_payments = t.contents["partition"].is_null();
        t.part == "quarantine" && t.what == "discarded" && (is_the_payments || !has_payment)
    })?;
    let is_of_case = |t: &&Trace| t.contents["quarantineId"] == case.contents["quarantineId"];
    let mut decisions = traces.iter().rev().filter(is_of_case).filter(|t| t.what == "discard");
    let decided = decisions.next().map(|d| decided(&d.contents["by"], d.at, &d.contents["reason"]));
    Some(format!(
        "There is no purchase: the event was given up {}. `makegood quarantine replay --id {}` takes it back.",
        decided.unwrap_or_else(|| "by a person".to_owned()),
        text(case, "quarantineId")
    ))
}

/// A person decided that the payment stays without a purchase.
fn dismissed(traces: &[Trace]) -> Option<String> {
    let when = |t: &Trace| t.contents["resolvedAt"].as_str()?.parse::<Timestamp>().ok();
    let finding = traces
        .iter()
        .filter(|t| t.part == "finding" && matches!(t.what.as_str(), "missing" | "gone"))
        .filter(|t| t.contents["resolution"].as_str() == Some("dismissed"))
        .max_by_key(|t| when(t))?;
    Some(format!(
        "There is no purchase, and the reconciler makes none: finding {} was dismissed {}.",
        text(finding, "finding"),
        decided(&finding.contents["resolvedBy"], when(finding), &finding.contents["note"])
    ))
}

/// Who decided something, when, and why.
fn decided(by: &Value, at: Option<Timestamp>, why: &Value) -> String {
    let by = by.as_str().unwrap_or("a person");
    let at = at.map(|at| at.strftime(" at %Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let why = why.as_str().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("by {by}{at}{why}")
}

fn text(t: &Trace, name: &str) -> String {
    match &t.contents[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is filled of an object, as `name value` pairs.
pub fn details(contents: &Value) -> String {
    let Value::Object(fields) = contents else { return contents.to_string() };
    let pair = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    };
    fields.iter().filter_map(pair).collect::<Vec<_>>().join(", ")
}

fn unreadable(fault: Fault) -> Problem {
    fault.problem("cannot read what is known of it")
}
