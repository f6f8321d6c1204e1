//! How much waits, and that none of it is lost.

use super::words::number;
use crate::overview::Overview;
use rules::health::Verdict;

/// That no payment is lost, and how many records wait: said where a person may fear for them.
pub(super) fn safe(overview: &Overview, word: Verdict) -> Option<String> {
    if word.is_fine() || matches!(word, Verdict::Quarantine | Verdict::Mismatch) {
        return None;
    }
    let kept = match overview.jobs.is_empty() {
        true => "No record is skipped",
        false => "No payment is lost",
    };
    let waits = match (in_kafka(overview), in_outbox(overview)) {
        (Some(0), Some(0)) => "nothing waits in Kafka or the outbox".to_owned(),
        (Some(n), Some(0)) => format!("{} in Kafka", records(n)),
        (Some(n), Some(events)) => {
            format!("{} in Kafka, {} pending in the outbox", records(n), number(events))
        }
        (Some(n), None) => {
            format!("{} in Kafka; what waits in the outbox is not known", records(n))
        }
        (None, _) => "how much waits is not known".to_owned(),
    };
    let waits = match refused(overview) {
        0 => waits,
        1 => format!("1 refused record waits and is tried again; else {waits}"),
        n => format!("{} refused records wait and are tried again; else {waits}", number(n)),
    };
    Some(format!("{kept}: {waits}. Purchases are made by themselves as soon as this is mended."))
}

fn records(n: i64) -> String {
    if n == 1 { "1 record waits".to_owned() } else { format!("{} records wait", number(n)) }
}

/// The refused records that wait for a verdict.
pub(super) fn refused(overview: &Overview) -> i64 {
    overview.routes.iter().filter_map(|route| Some(route.suspects.as_ref()?.records)).sum()
}

/// The records that wait in Kafka; `None` where nobody knows.
pub(super) fn in_kafka(overview: &Overview) -> Option<i64> {
    let is_seen = overview.trouble.is_none()
        && !overview.routes.is_empty()
        && overview.routes.iter().all(|route| {
            route.health.verdict != Verdict::Unknown
                && (route.look.is_ok() || !route.partitions.is_empty())
        });
    let lags = overview.routes.iter().flat_map(|route| &route.partitions).map(|p| p.lag);
    if is_seen { lags.sum() } else { None }
}

fn in_outbox(overview: &Overview) -> Option<i64> {
    match &overview.outbox {
        None => Some(0),
        Some(outbox) => outbox.status.as_ref().ok().map(|status| status.pending),
    }
}
