//! What is known of a payment, as one sentence: has it its purchase, and if not, where it stopped and what to do.

use jiff::Timestamp;
use serde_json::Value;

use super::{Life, PURCHASE, Part, Trace};
use rules::outcome::Outcome;
use rules::states::{CaseEnd, FindingEnd, FindingKind};

/// The sentence. It claims nothing of what was not looked at. Where there are several payments, or several rows of one,
/// there is a line for each, and one for those that are only counted.
pub fn sentence(life: &Life) -> String {
    let keys = life.payments();
    if keys.len() < 2 && life.more == 0 {
        return of_one(life);
    }
    let lines = keys.iter().map(|key| format!("{key}: {}", of_one(&life.of(key))));
    let more = life.more > 0 || life.may_be_more;
    lines.chain(more.then(|| and_more(life))).collect::<Vec<_>>().join("\n")
}

fn and_more(life: &Life) -> String {
    let at_least = if life.may_be_more { "at least " } else { "" };
    format!("and {at_least}{} more: ask for one of them by its own id", life.more)
}

fn of_one(life: &Life) -> String {
    if life.traces.is_empty() {
        return match life.unseen.is_empty() {
            true => format!(
                "No payment, {} or event has this id. One that has only just been paid may be on its way.",
                life.row
            ),
            false => format!(
                "No payment, {} or event has this id where it could be looked; {}.",
                life.row,
                unseen(life)
            ),
        };
    }
    if let Some(finding) = contradiction(life) {
        return finding;
    }
    if life.has("purchase").is_some() {
        return match (life.has("payment"), life.is_seen(Part::Payment)) {
            (Some(_), _) => format!("The payment has its {}.", life.row),
            (None, true) => format!("There is {} and no payment for it.", a(&life.row)),
            (None, false) => {
                format!("There is {}; its payment could not be looked at.", a(&life.row))
            }
        };
    }
    let is_seen = life.is_seen(Part::Purchase);
    let applied = life
        .traces
        .iter()
        .rev()
        .find(|t| t.part == "inbox" && t.what.parse().is_ok_and(Outcome::has_purchase));
    if let (false, Some(applied)) = (is_seen, applied) {
        let at = applied.at.map(moment).unwrap_or_default();
        return format!(
            "Its event was applied{at}, so that the {} was there then; whether it still is could not be looked at.",
            life.row
        );
    }
    let lack = match is_seen {
        true => format!("There is no {}", life.row),
        false => format!("It is not known whether there is {}", a(&life.row)),
    };
    stopped(life).map_or_else(|| waiting(life, &lack), |where_| format!("{lack}: {where_}"))
}

/// With its article.
fn a(row: &str) -> String {
    let an = row.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {row}", if an { "an" } else { "a" })
}

/// What could not be looked at.
fn unseen(life: &Life) -> String {
    life.unseen.iter().map(super::MissingPart::line).collect::<Vec<_>>().join("; ")
}

fn is_open(t: &Trace) -> bool {
    t.what == "open" || t.contents["resolution"].as_str() == Some("open")
}

fn open<'a>(life: &'a Life, part: &str) -> Option<&'a Trace> {
    life.traces.iter().find(|t| t.part == part && is_open(t))
}

/// An open finding that only a person can close.
fn contradiction(life: &Life) -> Option<String> {
    let of_people = |t: &&Trace| t.what.parse::<FindingKind>().is_err();
    let finding = open(life, "finding").filter(of_people)?;
    Some(format!(
        "The payment and its {} contradict each other ({}): finding {} is for people; \
         correct one of them, or SELECT makegood.dismiss({}, 'why').",
        life.row,
        finding.what,
        text(finding, "finding"),
        text(finding, "finding")
    ))
}

/// Where its event stopped, if that is known.
fn stopped(life: &Life) -> Option<String> {
    if let Some(case) = open(life, "quarantine") {
        return Some(format!(
            "the event is in quarantine, {}. `makegood quarantine show {}` has it; \
             mend what is wrong, then `makegood quarantine replay --id {}`.",
            text(case, "detail"),
            text(case, "quarantineId"),
            text(case, "quarantineId")
        ));
    }
    if let Some(case) = life.traces.iter().find(|t| t.part == "quarantine" && t.what == "suspect") {
        return Some(format!(
            "the event was refused, {}. It is tried again by itself; `makegood status` says what is in the way.",
            text(case, "detail")
        ));
    }
    if let Some(given_up) = given_up(life) {
        return Some(given_up);
    }
    if let Some(event) = life.has("kafka") {
        return Some(format!(
            "its event waits in Kafka, topic {}, partition {}, offset {}, and is applied as soon as the route gets to it. \
             `makegood status` says what it waits for.",
            text(event, "topic"),
            text(event, "partition"),
            text(event, "offset")
        ));
    }
    let event = life.traces.iter().find(|t| t.part == "outbox" && t.what != "sent")?;
    let id = text(event, "eventId");
    Some(match event.what.as_str() {
        "pending" => {
            "the event has not got to Kafka yet. `makegood status` says what it waits for."
                .to_owned()
        }
        "held" => format!("the event's topic takes nothing. `makegood outbox show {id}` says why."),
        "discarded" => format!(
            "the event was given up before it got to Kafka. `makegood outbox show {id}` says why."
        ),
        _ => format!(
            "the event was parked on its way to Kafka. `makegood outbox show {id}` says why."
        ),
    })
}

/// What is to be said of a payment whose event is nowhere.
fn waiting(life: &Life, lack: &str) -> String {
    if let Some(gone) = open(life, "finding").filter(|f| f.what == FindingKind::Gone.as_str()) {
        return format!(
            "{lack} any more: there was one, and it was removed. It is not made again by \
             itself; if that is right, SELECT makegood.dismiss({}, 'why').",
            text(gone, "finding")
        );
    }
    if let Some(dismissed) = dismissed(life) {
        return format!("{lack}, and the reconciler makes none: {dismissed}");
    }
    if let Some(payment) = life.has("payment") {
        let status = payment.contents["status"].as_str();
        let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
        return match payment.what.as_str() {
            "" => format!("{lack}. If the payment has succeeded, {}", made_good(life)),
            "paid" if life.row == PURCHASE => {
                format!("{lack}, and the payment is paid{status}: {}", made_good(life))
            }
            "paid" => format!("{lack}, and one is due{status}: {}", made_good(life)),
            _ if life.row != PURCHASE => format!("{lack}, and none is due{status}."),
            state => format!(
                "{lack}, and none is due: the payment is {}{status}.",
                state.replace('_', " ")
            ),
        };
    }
    let nowhere = ["inbox", "outbox", "quarantine"];
    match (life.is_seen(Part::Payment), nowhere.iter().any(|part| life.has(part).is_some())) {
        (true, _) if life.is_seen(Part::Purchase) => {
            let row = a(&life.row);
            format!("Only makegood's own tables know it: there is neither a payment nor {row}.")
        }
        _ => format!("{lack}; {}.", unseen(life)),
    }
}

/// Who makes it good, and what does it at once.
fn made_good(life: &Life) -> String {
    let job = life.job.as_ref().map(|job| format!(" --job {job}")).unwrap_or_default();
    format!("the reconciler makes it good; at once with `makegood reconcile run{job} --wait`.")
}

/// A person discarded the event, and nothing else makes the purchase: it was made from the payment, or
/// there is no payment to make it from again.
fn given_up(life: &Life) -> Option<String> {
    let has_payment = life.has("payment").is_some() || !life.is_seen(Part::Payment);
    let case = life.traces.iter().rev().find(|t| {
        let is_the_payments = t.contents["partition"].is_null();
        t.part == "quarantine"
            && t.what == CaseEnd::Discarded.as_str()
            && (is_the_payments || !has_payment)
    })?;
    let is_of_case = |t: &&Trace| t.contents["quarantineId"] == case.contents["quarantineId"];
    let mut decisions = life.traces.iter().rev().filter(is_of_case).filter(|t| t.what == "discard");
    let decided = decisions.next().map(|d| decided(&d.contents["by"], d.at, &d.contents["reason"]));
    Some(format!(
        "the event was given up {}. `makegood quarantine replay --id {}` takes it back.",
        decided.unwrap_or_else(|| "by a person".to_owned()),
        text(case, "quarantineId")
    ))
}

/// A person decided that the payment stays without a purchase.
fn dismissed(life: &Life) -> Option<String> {
    let when = |t: &Trace| t.contents["resolvedAt"].as_str()?.parse::<Timestamp>().ok();
    let finding = (life.traces.iter())
        .filter(|t| t.part == "finding" && t.what.parse::<FindingKind>().is_ok())
        .filter(|t| t.contents["resolution"].as_str() == Some(FindingEnd::Dismissed.as_str()))
        .max_by_key(|t| when(t))?;
    Some(format!(
        "finding {} was dismissed {}.",
        text(finding, "finding"),
        decided(&finding.contents["resolvedBy"], when(finding), &finding.contents["note"])
    ))
}

/// Who decided something, when, and why.
fn decided(by: &Value, at: Option<Timestamp>, why: &Value) -> String {
    let by = by.as_str().unwrap_or("a person");
    let at = at.map(moment).unwrap_or_default();
    let why = why.as_str().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("by {by}{at}{why}")
}

fn moment(at: Timestamp) -> String {
    at.strftime(" at %Y-%m-%d %H:%M:%S UTC").to_string()
}

fn text(t: &Trace, name: &str) -> String {
    match &t.contents[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
