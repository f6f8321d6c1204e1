//! Sets the metrics that come from the snapshot, each time there is a new one. A scrape only reads them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::meter::{self, catalog};
use crate::overview::{Outbox, Overview, RouteOverview, Snapshot, age};
use crate::store::report::{JobStatus, PositionStatus};
use rules::health::Verdict;
use rules::states::FindingKind;

/// Partitions of a route that have series of their own; those beyond share one.
const PARTITIONS: usize = 200;
/// Reasons and kinds that have series of their own: a mapping chooses the latter.
const NAMES: usize = 50;

/// Sets the metrics, and remembers which series there are: one that has no value any more goes to 0.
#[derive(Default)]
pub struct Gauges {
    quarantine: BTreeSet<(String, String)>,
    findings: BTreeSet<(String, String)>,
    stalled: BTreeSet<String>,
}

impl Gauges {
    /// Sets the metrics with each new snapshot, as long as there are any.
    pub async fn follow(mut self, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            self.set(&snapshot);
        }
    }

    fn set(&mut self, snapshot: &Snapshot) {
        let checks = snapshot.readiness();
        meter::set(catalog::READY, [], flag(checks.iter().all(|check| check.ok)));
        for check in &checks {
            meter::set(catalog::READY_CHECK, [("check", check.name)], flag(check.ok));
        }
        meter::set(catalog::SNAPSHOT_AT, [], unix(Some(snapshot.taken_at)));
        let Some(overview) = &snapshot.overview else { return };
        meter::set(catalog::DATABASE_AT, [], unix(Some(overview.now)));
        meter::set(catalog::CLOCK_AHEAD, [], overview.clock_ahead);
        for route in &overview.routes {
            self.set_route(overview, route);
        }
        for job in &overview.jobs {
            self.set_job(job);
        }
        if let Some(outbox) = &overview.outbox {
            set_outbox(outbox);
        }
    }

    fn set_route(&mut self, overview: &Overview, route: &RouteOverview) {
        let name = route.name.as_str();
        for word in Verdict::ALL {
            let labels = [("route", name), ("verdict", word.as_str())];
            meter::set(catalog::ROUTE_VERDICT, labels, flag(word == route.health.verdict));
        }
        meter::set(
            catalog::HELD,
            [("component", name)],
            flag(route.health.verdict == Verdict::Held),
        );
        let is_stalled = route.health.verdict == Verdict::Stalled;
        meter::zero(catalog::STALLS, "component", name);
        match is_stalled {
            true if self.stalled.insert(name.to_owned()) => {
                meter::count(catalog::STALLS, "component", name);
            }
            false => drop(self.stalled.remove(name)),
            true => {}
        }
        let alive = route.workers.iter().filter(|worker| worker.alive).count();
        meter::set(catalog::ROUTE_WORKERS, [("route", name)], number(alive));
        for (result, records) in &route.counts {
            let labels = [("route", name), ("result", result.as_str())];
            meter::total(catalog::EVENTS, labels, *records);
        }
        let now = overview.present();
        let (payments, oldest) = route.unpurchased;
        meter::set(catalog::UNPURCHASED, [("route", name)], float(payments));
        meter::set(catalog::UNPURCHASED_AGE, [("route", name)], since(now, oldest));
        meter::set(catalog::COUNTED_AT, [("route", name)], unix(route.counted_at));
        set_partitions(route, now);
        let reasons = capped(&route.quarantine);
        for (reason, records) in
            whole(&mut self.quarantine, name, &reasons, overview.trouble.is_none())
        {
            let labels = [("route", name), ("reason", reason.as_str())];
            meter::set(catalog::QUARANTINE, labels, float(records));
        }
    }

    fn set_job(&mut self, job: &JobStatus) {
        let label = [("reconcile", job.name.as_str())];
        meter::zero(catalog::MADE_GOOD, "reconcile", &job.name);
        meter::set(catalog::RECONCILED_AT, label, unix(job.succeeded_at));
        meter::set(catalog::RECONCILE_SECONDS, label, job.took.unwrap_or_default());
        meter::set(catalog::RECONCILE_HELD, label, float(job.held_runs));
        meter::set(catalog::RECONCILE_RUNNING, label, flag(job.run.is_some()));
        for always in FindingKind::ALL {
            self.findings.insert((job.name.clone(), always.to_string()));
        }
        for (kind, findings) in whole(&mut self.findings, &job.name, &capped(&job.findings), true) {
            let labels = [("reconcile", job.name.as_str()), ("kind", kind.as_str())];
            meter::set(catalog::RECONCILE_FINDINGS, labels, float(findings));
        }
    }
}

/// Each partition by its number; those beyond the first [`PARTITIONS`] as one, by the worst of them.
fn set_partitions(route: &RouteOverview, now: Timestamp) {
    let waiting = route.look.as_ref().ok().map(|look| &look.waiting_since);
    let wait = |p: &PositionStatus| Some(since(now, waiting?.get(&p.partition).copied()));
    let set = |name: &str, some: &[PositionStatus]| {
        let labels = [("route", route.name.as_str()), ("partition", name)];
        let lag = some.iter().filter_map(|p| p.lag).sum();
        meter::set(catalog::LAG_MESSAGES, labels, float(lag));
        if let Some(longest) = some.iter().filter_map(wait).reduce(f64::max) {
            meter::set(catalog::LAG_SECONDS, labels, longest);
        }
        let moved = some.iter().map(|p| unix(p.progress_at)).fold(f64::INFINITY, f64::min);
        meter::set(catalog::PROGRESS_AT, labels, moved);
    };
    let (own, others) = route.partitions.split_at(route.partitions.len().min(PARTITIONS));
    for partition in own {
        set(&partition.partition.to_string(), std::slice::from_ref(partition));
    }
    if !others.is_empty() {
        set("other", others);
    }
}

fn set_outbox(outbox: &Outbox) {
    for word in Verdict::ALL {
        let is_it = word == outbox.health.verdict;
        meter::set(catalog::OUTBOX_VERDICT, [("verdict", word.as_str())], flag(is_it));
    }
    let is_held = outbox.health.verdict == Verdict::Held;
    meter::set(catalog::HELD, [("component", "outbox")], flag(is_held));
    let Ok(status) = &outbox.status else { return };
    meter::set(catalog::OUTBOX_PENDING, [], float(status.pending));
    meter::set(catalog::OUTBOX_BYTES, [], float(status.pending_bytes));
    meter::set(catalog::OUTBOX_AGE, [], status.oldest_age.unwrap_or_default());
    meter::set(catalog::OUTBOX_FLYING, [], float(status.in_flight));
    let behind = status.parked - status.refused;
    let held = status.held.iter().map(|topic| topic.events).sum();
    for (cause, events) in [("refused", status.refused), ("behind", behind), ("topic", held)] {
        meter::set(catalog::OUTBOX_PARKED, [("cause", cause)], float(events));
    }
    meter::total(catalog::OUTBOX_PUBLISHED, [], status.published);
    meter::set(catalog::OUTBOX_RELAYED, [], number(status.relays.len()));
    meter::set(catalog::OUTBOX_SHARDS, [], float(status.shards));
}

/// The first names with their numbers; what is beyond is summed up.
fn capped(named: &[(String, i64)]) -> Vec<(String, i64)> {
    let (own, rest) = named.split_at(named.len().min(NAMES));
    let others = (!rest.is_empty()).then(|| ("other".to_owned(), rest.iter().map(|n| n.1).sum()));
    own.iter().cloned().chain(others).collect()
}

/// The numbers, and a 0 for each name that had one before.
fn whole(
    seen: &mut BTreeSet<(String, String)>,
    of: &str,
    found: &[(String, i64)],
    is_known: bool,
) -> Vec<(String, i64)> {
    if !is_known {
        return Vec::new();
    }
    seen.extend(found.iter().map(|(name, _)| (of.to_owned(), name.clone())));
    let number = |name: &String| found.iter().find(|f| f.0 == *name).map_or(0, |f| f.1);
    let own = seen.iter().filter(|(owner, _)| owner == of);
    own.map(|(_, name)| (name.clone(), number(name))).collect()
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn number(count: usize) -> f64 {
    float(i64::try_from(count).unwrap_or(i64::MAX))
}

#[allow(clippy::cast_precision_loss, reason = "a metric is a float, exact up to 2^53")]
fn float(count: i64) -> f64 {
    count as f64
}

/// Unix time in seconds; 0 for never.
fn unix(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_duration().as_secs_f64())
}

fn since(now: Timestamp, at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| age(now, at).as_secs_f64())
}
