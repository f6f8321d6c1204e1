//! What would come of events: those that wait, and those that an old worker has gone past. Tried, and rolled back.

use super::tryout::{self, Tried};
use super::waiting::{self, WaitingRecords};
use super::{Check, failed, unknown};
use crate::config::Config;
use crate::ingest::{Preview, Route};
use crate::store::Store;
use crate::store::mapping::Mapping;
use rules::outcome::Attempted;

/// How many events are tried.
pub(super) const TRIED: usize = 1000;
/// How many of a list are shown.
const SHOWN: usize = 20;

/// What would come of the events that wait.
pub(super) async fn waiting(
    route: &Route,
    (store, source): (&Store, Option<&Store>),
    mapping: &Mapping,
    waiting: &WaitingRecords,
) -> Check {
    let name = "start.events";
    let topic_id = waiting.preview.log.topic_id;
    let tried = match tryout::run(route, store, source, mapping, topic_id, &waiting.records).await {
        Ok(tried) => tried,
        Err(fault) => return unknown(name, &fault),
    };
    if tried.is_empty() {
        return Check::pass(name, "no event waits");
    }
    let sorted = Sorted::of(&tried);
    let bound = match i64::try_from(tried.len()).is_ok_and(|tried| tried < waiting.total) {
        true => format!("of the first {} of {} waiting events", tried.len(), waiting.total),
        false => format!("of {} waiting events", tried.len()),
    };
    let says = sorted.told(&format!("{bound}, tried and rolled back"), "would be made");
    if let Some(first) = sorted.failed.first() {
        return Check::fail(name, says, first.fix.clone().unwrap_or_default());
    }
    match sorted.refused.is_empty() {
        true => Check::pass(name, says),
        false => Check::warn(
            name,
            says,
            "those refused go to quarantine, and a conflict changes nothing; `makegood mapping try` shows the rows",
        ),
    }
}

/// What an old worker went past without a purchase; nothing to tell where no group is taken over.
pub(super) async fn skipped(
    config: &Config,
    route: &Route,
    (store, source): (&Store, Option<&Store>),
    mapping: &Mapping,
    preview: &Preview,
) -> Option<Check> {
    let name = "start.skipped";
    let (records, total) = match waiting::passed(route, &config.kafka, preview, TRIED).await {
        Ok((records, _)) if records.is_empty() => return None,
        Ok(passed) => passed,
        Err(problem) => return Some(failed(name, problem)),
    };
    let tried =
        match tryout::run(route, store, source, mapping, preview.log.topic_id, &records).await {
            Ok(tried) => tried,
            Err(fault) => return Some(unknown(name, &fault)),
        };
    let sorted = Sorted::of(&tried);
    let bound = match i64::try_from(tried.len()).is_ok_and(|tried| tried < total) {
        true => format!("of the last {} of {total} events before the start", tried.len()),
        false => format!("of {total} events before the start"),
    };
    let bound = format!("{bound}, which the worker before makegood went past");
    let says = sorted.told(&bound, "without a purchase");
    Some(match sorted.made.len() + sorted.refused.len() + sorted.failed.len() {
        0 => Check::pass(name, says),
        _ => Check::warn(
            name,
            says,
            "nothing to do where their payments can be read: once makegood runs, the reconciler makes good what still \
             stands there as paid; elsewhere have them read again: makegood offsets reset --to-earliest --execute",
        ),
    })
}

/// Events by what would come of them.
struct Sorted<'a> {
    made: Vec<&'a Tried>,
    there: Vec<&'a Tried>,
    refused: Vec<&'a Tried>,
    failed: Vec<&'a Tried>,
    other: Vec<&'a Tried>,
}

impl Sorted<'_> {
    fn of(tried: &[Tried]) -> Sorted<'_> {
        let of = |is_one: fn(Attempted) -> bool| -> Vec<&Tried> {
            tried.iter().filter(|t| is_one(t.outcome)).collect()
        };
        Sorted {
            made: of(|t| t == Attempted::Applied),
            there: of(|t| matches!(t, Attempted::Already | Attempted::Duplicate)),
            refused: of(|t| t.is_put_away() || t == Attempted::Conflict),
            failed: of(|t| t == Attempted::Failed),
            other: of(|t| t == Attempted::OtherType),
        }
    }

    /// How many there are of each kind, and which; `missing` says what those are that have no purchase.
    fn told(&self, bound: &str, missing: &str) -> String {
        let Sorted { made, there, refused, failed, other } = self;
        let mut says = format!(
            "{bound}: {} already there, {} {missing}, {} refused or in conflict, {} failed, {} of another type",
            there.len(),
            made.len(),
            refused.len(),
            failed.len(),
            other.len()
        );
        says += &list(missing, made);
        says += &list("refused", refused);
        says += &list("failed", failed);
        says += &list("of another type", other);
        says
    }
}

/// The first of some events, a line each.
fn list(what: &str, events: &[&Tried]) -> String {
    let mut text = String::new();
    for one in events.iter().take(SHOWN) {
        let key = one.business_key.as_deref().unwrap_or("no key");
        let detail = one.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        text += &format!(
            "\n{what}: {key} (partition {}, offset {}){detail}",
            one.partition, one.offset
        );
    }
    if events.len() > SHOWN {
        text += &format!("\n{what}: {} more", events.len() - SHOWN);
    }
    text
}
