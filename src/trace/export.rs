//! The way of the spans out: OTLP over HTTP, in batches, from a thread of its own that nothing waits for.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::endpoint;
use crate::http_client::HttpClient;
use rules::problem::{Code, Problem};

/// How long the collector may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last spans may take at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// Messages that a batch span links to at most; the links the other way have no such limit.
const LINKS: u32 = 2000;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// What makes spans, if they are exported.
pub(super) fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// The export of spans, to be finished at the end.
#[derive(Debug)]
pub struct Export {
    provider: Option<SdkTracerProvider>,
}

/// Starts exporting if an `OTEL_EXPORTER_OTLP_ENDPOINT` is named. What else there is to say of it, OpenTelemetry's
/// own variables say. To be called within a runtime, once.
pub fn start() -> Result<Export, Problem> {
    let Some(endpoint) = endpoint() else { return Ok(Export { provider: None }) };
    let post = Post {
        client: HttpClient::new()?,
        runtime: Handle::current(),
        fails: AtomicBool::new(false),
    };
    let exporter = SpanExporter::builder().with_http().with_http_client(post).build();
    let exporter = exporter.map_err(|e| {
        Problem::new(Code::Config, format!("spans cannot be exported to {endpoint}: {e}"))
            .advice("set OTEL_EXPORTER_OTLP_ENDPOINT to the collector's address, http://HOST:4318 for example")
    })?;
    let mut resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("makegood");
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .with_max_links_per_span(LINKS)
        .build();
    let _ = TRACER.set(provider.tracer("makegood"));
    info!(endpoint, "spans are exported");
    Ok(Export { provider: Some(provider) })
}

impl Export {
    /// Sends what is left.
    pub async fn finish(self) {
        let Some(provider) = self.provider else { return };
        // It blocks, and its thread needs the runtime to send.
        let done = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FAREWELL));
        if !matches!(done.await, Ok(Ok(()))) {
            warn!("the last spans could not be exported");
        }
    }
}

/// The exporter's thread has no runtime; requests run on makegood's.
struct Post {
    client: HttpClient,
    runtime: Handle,
    /// Whether the last request failed: only the change is news.
    fails: AtomicBool,
}

impl Post {
    fn note(&self, failed: Option<String>) {
        let failed_before = self.fails.swap(failed.is_some(), Ordering::Relaxed);
        match failed {
            Some(why) if !failed_before => warn!("spans are lost, they cannot be exported: {why}"),
            None if failed_before => info!("spans are exported again"),
            _ => {}
        }
    }
}

#[async_trait]
impl opentelemetry_http::HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = self.runtime.spawn(async move { client.send(request, PATIENCE).await });
        let answer = exchange.await?;
        self.note(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector says {}", answer.status())),
            Err(why) => Some(why.clone()),
        });
        Ok(answer?)
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}
