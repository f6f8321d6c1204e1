//! What a shadow answers: that it is one, and what it found. It says no more to anybody but those who may know.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;

use super::access::{is_trusted, refused};
use super::{guard, json};
use crate::config::Config;
use crate::shadow::Comparisons;

#[derive(Clone)]
struct Shown {
    reports: watch::Receiver<Comparisons>,
    config: Arc<Config>,
}

/// Every path there is.
pub fn shadow_router(reports: watch::Receiver<Comparisons>, config: Arc<Config>) -> Router {
    let shown = Shown { reports, config };
    Router::new()
        .route("/", get(text))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/api/v1/status", get(status))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here: this is a shadow\n"))
        .layer(middleware::from_fn_with_state(shown.clone(), admit))
        .layer(middleware::from_fn(guard))
        .with_state(shown)
}

async fn admit(State(shown): State<Shown>, request: Request, next: Next) -> Response {
    let is_probe = matches!(request.uri().path(), "/livez" | "/readyz");
    match is_probe || is_trusted(&shown.config.http, request.headers()) {
        true => next.run(request).await,
        false => refused(&shown.config.http),
    }
}

async fn text(State(shown): State<Shown>) -> Response {
    let text = shown.reports.borrow().text();
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

async fn live() -> Response {
    json(StatusCode::OK, &json!({ "ok": true, "mode": "shadow", "silent": [] }))
}

/// Only a comparison that found nothing is well.
async fn ready(State(shown): State<Shown>) -> Response {
    let reports = shown.reports.borrow().clone();
    let check = |report: &crate::shadow::Comparison| json!({ "check": report.route, "ok": report.is_ok(), "detail": report.sentence() });
    let checks: Vec<_> = reports.each().map(check).collect();
    let status = if reports.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &json!({ "ok": reports.is_ok(), "mode": "shadow", "checks": checks }))
}

async fn status(State(shown): State<Shown>) -> Response {
    json(StatusCode::OK, &shown.reports.borrow().document())
}
