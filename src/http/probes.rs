//! `/livez` is about the process, `/readyz` about the work. Neither is logged, and neither asks anybody.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::access::is_trusted;
use super::{Site, json};
use crate::overview::readiness::ReadinessCheck;

/// 200 while the loops show signs of life, whatever PostgreSQL and Kafka do: restarting this process would not
/// mend those.
pub(super) async fn live(State(site): State<Site>) -> Response {
    let silent = site.snapshots.borrow().liveness.silent();
    let names: Vec<Value> = silent
        .iter()
        .map(|(name, age)| json!({ "loop": name, "silent_seconds": age.as_secs() }))
        .collect();
    json(status(silent.is_empty()), &json!({ "ok": silent.is_empty(), "silent": names }))
}

/// 200 while the work is being done. `?verbose` adds what each check found, for those who may know.
pub(super) async fn ready(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let checks = site.snapshots.borrow().readiness();
    let is_ready = checks.iter().all(|check| check.ok);
    let is_verbose = query.is_some_and(|query| query.split('&').any(is_wish_for_more))
        && is_trusted(&site.config.http, &headers);
    let check = |check: &ReadinessCheck| match is_verbose {
        true => json!({ "check": check.name, "ok": check.ok, "detail": check.detail }),
        false => json!({ "check": check.name, "ok": check.ok }),
    };
    let checks: Vec<Value> = checks.iter().map(check).collect();
    json(status(is_ready), &json!({ "ok": is_ready, "checks": checks }))
}

fn is_wish_for_more(part: &str) -> bool {
    matches!(part, "verbose" | "verbose=" | "verbose=1" | "verbose=true")
}

fn status(ok: bool) -> StatusCode {
    if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
