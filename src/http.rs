//! The HTTP side: the status page, probes, metrics, and the state of everything as JSON. Whatever is asked is
//! answered from the last snapshot, so that asking costs the servers nothing, and is answered while they are away;
//! only a payment that somebody looks up is read from the database.

mod access;
mod api;
mod gauges;
mod page;
mod probes;
mod server;
mod shadow;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::config::Config;
use crate::log_tail::Feed;
use crate::overview::Snapshot;

pub use gauges::Gauges;
pub use page::{Lookup, Streams};
pub use server::serve;
pub use shadow::shadow_router;

/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(5);

/// What the answers are made from.
#[derive(Clone)]
pub struct Site {
    /// The newest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What has been counted.
    pub counted: PrometheusHandle,
    /// What runs here.
    pub config: Arc<Config>,
    /// The version of the Kafka client.
    pub librdkafka: String,
    /// What happened lately.
    pub feed: Feed,
    /// Looks payments up.
    pub lookup: Arc<Lookup>,
    /// Who is kept up to date.
    pub streams: Streams,
}

/// Every path there is.
pub fn router(site: Site) -> Router {
    page::routes()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(api::metrics))
        .route("/api/v1/status", get(api::status))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here\n"))
        .layer(middleware::from_fn_with_state(site.clone(), access::admit))
        .layer(middleware::from_fn(guard))
        .with_state(site)
}

/// Bounds the time, and tells browsers to trust nothing and keep nothing.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(ANSWER, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "it took too long\n").into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// JSON as an answer.
fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{value:#}\n")).into_response()
}
