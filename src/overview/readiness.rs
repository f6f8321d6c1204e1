//! Is the work being done? One answer a question, for `/readyz`, the metrics and `makegood health`.

use std::time::Duration;

use super::{Outbox, Overview, RouteOverview, Snapshot, age};
use crate::heartbeats::Heartbeats;
use rules::health::{self, Verdict};
use rules::problem::Code;

/// A payment that waits so long for its purchase is not on its way: a reconciliation should have come by.
const PAID_TOO_LONG: Duration = Duration::from_secs(15 * 60);
/// A snapshot older than this says nothing of now; one is taken every two seconds, or fails within six.
const STALE: Duration = Duration::from_secs(20);

/// One question, by a stable name, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessCheck {
    /// What was checked.
    pub name: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What was found, in a sentence.
    pub detail: String,
}

/// The names of all checks, in their order.
pub const NAMES: [&str; 9] = [
    "snapshot",
    "postgres",
    "schema",
    "kafka",
    "routes",
    "assigned",
    "outbox",
    "purchases",
    "draining",
];

/// All checks. Before the first look at the servers they fail.
pub(super) fn checks(snapshot: &Snapshot) -> Vec<ReadinessCheck> {
    let mut checks = vec![fresh(snapshot)];
    match &snapshot.overview {
        Some(overview) => {
            let answers = [postgres, schema, kafka, routes, assigned, outbox, purchases];
            checks.extend(answers.iter().map(|answer| answer(overview)));
        }
        None => {
            let unknown = |name: &&'static str| check(name, false, "not looked at yet");
            checks.extend(NAMES[1..8].iter().map(unknown));
        }
    }
    checks.push(draining(&snapshot.liveness));
    checks
}

fn check(name: &'static str, ok: bool, detail: impl Into<String>) -> ReadinessCheck {
    ReadinessCheck { name, ok, detail: detail.into() }
}

fn fresh(snapshot: &Snapshot) -> ReadinessCheck {
    let old = health::age(snapshot.age());
    check("snapshot", snapshot.age() < STALE, format!("taken {old} ago"))
}

fn postgres(overview: &Overview) -> ReadinessCheck {
    let outbox = overview.outbox.iter().filter_map(|outbox| outbox.status.as_ref().err());
    let away = |code| code == Code::PostgresUnreachable || code == Code::Postgres;
    match overview.trouble.iter().chain(outbox).find(|problem| away(problem.code)) {
        Some(problem) => check("postgres", false, &problem.reason),
        None => check("postgres", true, format!("{} answers", overview.database)),
    }
}

fn schema(overview: &Overview) -> ReadinessCheck {
    let outbox = overview.outbox.iter().filter_map(|outbox| outbox.status.as_ref().err());
    match overview.trouble.iter().chain(outbox).find(|problem| problem.code == Code::Schema) {
        Some(problem) => check("schema", false, &problem.reason),
        None => check("schema", true, "fits this program"),
    }
}

fn kafka(overview: &Overview) -> ReadinessCheck {
    match overview.routes.iter().find_map(|route| route.look.as_ref().err()) {
        Some(problem) => check("kafka", false, &problem.reason),
        None => check("kafka", true, format!("{} answers", overview.brokers)),
    }
}

/// A route that is held, stalled or not read does no work. Behind, or with something for a person to decide,
/// it does.
fn routes(overview: &Overview) -> ReadinessCheck {
    let idle = |verdict| verdict >= Verdict::Unread || verdict == Verdict::Unknown;
    match overview.routes.iter().max_by_key(|route| route.health.verdict) {
        None => check("routes", true, "no route is configured"),
        Some(worst) if idle(worst.health.verdict) => {
            check("routes", false, format!("{}: {}", worst.name, worst.health.sentence))
        }
        Some(worst) => check("routes", true, format!("{}: {}", worst.name, worst.health.sentence)),
    }
}

/// A daemon more than there are partitions gets none, and is ready to take over all the same.
fn assigned(overview: &Overview) -> ReadinessCheck {
    let joins =
        |route: &&RouteOverview| matches!(route.health.verdict, Verdict::Joining | Verdict::Down);
    match overview.routes.iter().find(joins) {
        Some(route) => {
            check("assigned", false, format!("{}: {}", route.name, route.health.sentence))
        }
        None => check("assigned", true, "every partition has a daemon"),
    }
}

fn outbox(overview: &Overview) -> ReadinessCheck {
    let Some(Outbox { health, .. }) = &overview.outbox else {
        return check("outbox", true, "not relayed by this daemon");
    };
    check(
        "outbox",
        health.verdict < Verdict::Suspect
            && !matches!(health.verdict, Verdict::Unknown | Verdict::Joining),
        &health.sentence,
    )
}

fn purchases(overview: &Overview) -> ReadinessCheck {
    if let Some(late) = overview.routes.iter().find_map(|route| route.late.as_ref()) {
        return check("purchases", false, &late.what);
    }
    let waiting = |route: &RouteOverview| route.unpurchased.1.map(|at| age(overview.present(), at));
    match overview.routes.iter().filter_map(waiting).max() {
        Some(oldest) if oldest > PAID_TOO_LONG => {
            let since = health::age(oldest);
            check("purchases", false, format!("a payment has waited {since} for its purchase"))
        }
        _ => check("purchases", true, "no payment has waited long for its purchase"),
    }
}

fn draining(liveness: &Heartbeats) -> ReadinessCheck {
    match liveness.is_draining() {
        true => check("draining", false, "the process is about to end"),
        false => check("draining", true, "no"),
    }
}
