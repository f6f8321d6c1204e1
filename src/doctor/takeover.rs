//! What the next start will do: where each partition begins, what of the waiting events is there already,
//! and which purchases made by hand it would double.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::waiting::{self, WaitingRecords};
use super::{Check, Round, RouteDatabases, events, failed, unknown};
use crate::config::Config;
use crate::ingest::Route;
use crate::store::mapping::Mapping;
use crate::store::{Store, orphan_purchases};
use rules::ids::Offset;
use rules::offsets::{Notice, StartAt};
use rules::problem::Problem;

/// How many purchases made by hand are looked for.
const STRANGERS: i64 = 100;

/// Tells what would happen.
pub(super) async fn check(
    config: &Config,
    route: &Arc<Route>,
    places: &RouteDatabases,
    round: &Round,
) {
    let (of, all) = (route.settings.name.as_str(), places.all());
    let (store, source) = (&places.store.store, places.source.as_ref().map(|place| &place.store));
    let looking = waiting::look(route, &config.kafka, store, events::TRIED);
    let waiting = match round.wait(("start.position", of), &all, looking).await {
        Some(Ok(waiting)) => waiting,
        Some(Err(problem)) => {
            round.tell(failed("start.position", problem).of(of));
            return round.unseen(&["start.events"], of);
        }
        None => return round.unseen(&["start.events"], of),
    };
    starts(&waiting).into_iter().for_each(|check| round.tell(check.of(of)));
    let Ok(mut mapping) = Mapping::load(route.settings.mapping.as_deref()) else { return };
    let stores = (store, source);
    let wanted = route.settings.verify_payment;
    let believing = mapping.look_for_payments(store, source, wanted);
    // What stands in the way of it is told by another check.
    let _ = round.wait(("start.events", of), &all, believing).await;
    let looking = events::waiting(route, stores, &mapping, &waiting);
    round.check(("start.events", of), &all, looking).await;
    let looking = events::skipped(config, route, stores, &mapping, &waiting.preview);
    if let Some(Some(found)) = round.wait(("start.skipped", of), &all, looking).await {
        round.tell(found.of(of));
    }
    // Without makegood's schema there was no start yet.
    let looking = async { orphan_purchases::is_first_start(store, of).await.unwrap_or(true) };
    let is_first = round.wait(("start.strangers", of), &all, looking).await;
    if source.is_none() && is_first == Some(true) {
        round.check(("start.strangers", of), &all, by_hand(route, store, &mapping)).await;
    }
}

/// Where each partition begins.
fn starts(waiting: &WaitingRecords) -> Vec<Check> {
    let preview = &waiting.preview;
    let mut since: BTreeMap<i32, Timestamp> = BTreeMap::new();
    for record in &waiting.records {
        let at = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        if let Some(at) = at {
            since.entry(record.partition).or_insert(at);
        }
    }
    let line = |(partition, start): (&i32, &StartAt)| {
        let committed = preview.committed.get(partition);
        let high = preview.ends.get(partition).map_or(start.offset, |ends| ends.high);
        one(
            *partition,
            start,
            committed.copied(),
            high - start.offset,
            since.get(partition).copied(),
        )
    };
    let left_out = preview.left_out.iter().map(|(partition, problem)| {
        let cause = format!("partition {partition} is not read: {}", problem.reason);
        failed("start.position", Problem { reason: cause, ..problem.clone() })
    });
    preview.starts.iter().map(line).chain(left_out).collect()
}

fn one(
    partition: i32,
    start: &StartAt,
    committed: Option<Offset>,
    waits: i64,
    since: Option<Timestamp>,
) -> Check {
    let committed = match committed {
        Some(offset) => format!("committed offset {offset}"),
        None => "no committed offset".to_owned(),
    };
    let since = since.map(|at| format!(" since {}", at.strftime("%Y-%m-%d %H:%M UTC")));
    let waits = match waits {
        0 => "nothing waiting".to_owned(),
        1 => format!("1 message waiting{}", since.unwrap_or_default()),
        n => format!("{n} messages waiting{}", since.unwrap_or_default()),
    };
    let says = format!("partition {partition}: {committed}, {waits}; starts at {}", start.offset);
    let name = "start.position";
    match (&start.notice, &start.gap) {
        (Some(Notice::KafkaAhead { kafka, postgres }), _) => Check::warn(
            name,
            format!(
                "{says}; Kafka's offset {kafka} is ahead of the position {postgres} and is not followed, for that would skip payments"
            ),
            "nothing to do if nobody meant to skip them",
        ),
        (Some(Notice::KafkaOfOldLog { .. }), _) => Check::warn(
            name,
            format!(
                "{says}; the topic was made anew, and the committed offset belongs to the old one"
            ),
            "nothing to do: the new log is read from its beginning",
        ),
        (Some(Notice::LogTruncated { .. }), _) => Check::warn(
            name,
            format!(
                "{says}; the log has lost records that were read, so it is read again from its beginning"
            ),
            "nothing to do: the inbox absorbs what was applied, and reconciliation finds what is lost",
        ),
        (None, Some(gap)) => Check::warn(
            name,
            format!("{says}; offsets {} to {} are not read", gap.start, gap.end - 1),
            "nothing to do: reconciliation looks at their payments (it needs missing.sql)",
        ),
        (None, None) => Check::pass(name, says),
    }
}

/// Purchases that belong to no payment.
async fn by_hand(route: &Route, store: &Store, mapping: &Mapping) -> Check {
    let name = "start.strangers";
    if mapping.looks.strangers.is_none() {
        return Check::pass(name, "no strangers.sql: purchases made by hand are not looked for");
    }
    match orphan_purchases::find(store, mapping, STRANGERS).await {
        Ok(found) if found.is_empty() => {
            Check::pass(name, "every purchase belongs to a payment, so none would be doubled")
        }
        Ok(found) => {
            let problem = orphan_purchases::problem(&route.settings.name, &found, STRANGERS);
            Check::warn(name, problem.reason, problem.advice)
        }
        Err(fault) => unknown(name, &fault),
    }
}
