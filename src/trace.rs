//! Spans: where the time of one payment went, for tools that speak OpenTelemetry. With the cargo feature
//! `otel`; without it everything here is empty and costs nothing.
//!
//! makegood begins no trace of its own accord: a message whose `traceparent` says that its trace is
//! recorded gets spans, all under the span that published it, and no other does. The header itself goes
//! on untouched, so every hop finds the same parent, however often the message is sent.
//!
//! | span | from | to |
//! |---|---|---|
//! | `publish TOPIC` | the outbox row is written | the relay hands it to its Kafka client |
//! | `relay TOPIC` | then | Kafka has it on all replicas, or it is parked |
//! | `consume TOPIC` | the record's time in Kafka | its batch is begun |
//! | `apply TOPIC` | then | the transaction with its purchase ended |
//!
//! `apply batch TOPIC` is one transaction; it and the messages in it link to each other.

#[cfg(feature = "otel")]
mod export;
#[cfg(not(feature = "otel"))]
mod off;
#[cfg(feature = "otel")]
mod spans;

#[cfg(feature = "otel")]
pub use export::{Export, start};
#[cfg(not(feature = "otel"))]
pub use off::{BatchSpan, Export, SendSpans, start};
#[cfg(feature = "otel")]
pub use spans::{BatchSpan, SendSpans};

/// Where spans go: either one, the second with `/v1/traces` added.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Whether somebody wants spans to be exported, and where to.
fn endpoint() -> Option<String> {
    ENDPOINTS.iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
}
