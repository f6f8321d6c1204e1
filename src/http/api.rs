//! For programs: the metrics, and the same JSON as `makegood status -o json`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Site, json};

/// The text format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What has been counted. The gauges are set with each snapshot.
pub(super) async fn metrics(State(site): State<Site>) -> Response {
    metrics_process::Collector::default().collect();
    ([(header::CONTENT_TYPE, EXPOSITION)], site.counted.render()).into_response()
}

/// The last snapshot, and how old it is.
pub(super) async fn status(State(site): State<Site>) -> Response {
    let snapshot = site.snapshots.borrow().clone();
    let Some(overview) = &snapshot.overview else {
        let sentence = "starting: the servers have not been asked yet";
        let document = json!({ "schema_version": 1, "ok": false, "sentence": sentence });
        return json(StatusCode::SERVICE_UNAVAILABLE, &document);
    };
    let mut document = overview.document();
    document["snapshot"] = json!({
        "taken_at": snapshot.taken_at, "age_seconds": snapshot.age().as_secs_f64(),
        "verdict_since": snapshot.since, "draining": snapshot.liveness.is_draining(),
        "uptime_seconds": snapshot.liveness.uptime().as_secs(),
    });
    json(StatusCode::OK, &document)
}
