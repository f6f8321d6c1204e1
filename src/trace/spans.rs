//! The spans of a message's way.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Link, Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
    TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::export::tracer;
use crate::config;
use crate::store::inbox::{Applied, ApplyFault, Entry};
use crate::store::outbox::Row;
use rules::outcome::Counter;
use rules::record::Record;
use rules::trace::{HEADER, TraceContext};

/// Messages on their way from the outbox to Kafka.
#[derive(Debug, Default)]
pub struct SendSpans {
    open: HashMap<u64, (TraceContext, SystemTime)>,
}

impl SendSpans {
    /// Notes that a row was handed to the Kafka client, under the number by which its end will be told. The first
    /// time counts: what is sent again is still on its way.
    pub fn handed_over(&mut self, token: u64, row: &Row) {
        if tracer().is_none() {
            return;
        }
        let context = row.headers.get(HEADER).and_then(|v| TraceContext::parse(v.as_bytes()));
        if let Some(context) = context.filter(|context| context.sampled) {
            self.open.entry(token).or_insert_with(|| (context, SystemTime::now()));
        }
    }

    /// Notes that a row is with Kafka, or why it never will be.
    pub fn ended(&mut self, token: u64, row: &Row, refused: Option<&str>) {
        let Some((context, sent_at)) = self.open.remove(&token) else { return };
        let Some(tracer) = tracer() else { return };
        let mut about = about(&row.topic, row.id.to_string());
        about.extend(row.key.clone().map(|key| KeyValue::new("messaging.kafka.message.key", key)));
        let span = |operation| Plan {
            name: format!("{operation} {}", row.topic),
            kind: SpanKind::Producer,
            parent: Some(context),
            about: about.clone(),
            links: Vec::new(),
            failed: None,
        };
        // The clocks may be two machines'.
        let written_at = SystemTime::from(row.created_at).min(sent_at);
        span("publish").make(tracer, written_at, sent_at);
        let failed = refused.map(str::to_owned);
        Plan { failed, ..span("relay") }.make(tracer, sent_at, SystemTime::now());
    }
}

/// One transaction with the messages in it.
#[derive(Debug)]
pub struct BatchSpan {
    /// The messages that belong to a recorded trace, by their place among the entries.
    messages: Vec<(usize, TraceContext)>,
    began: SystemTime,
}

impl BatchSpan {
    /// Notes that a transaction with these entries begins.
    pub fn begin(entries: &[Entry<'_>]) -> BatchSpan {
        let sampled = |(at, entry): (usize, &Entry<'_>)| {
            TraceContext::of_record(entry.record).filter(|c| c.sampled).map(|context| (at, context))
        };
        let entries = if tracer().is_some() { entries } else { &[] };
        let messages = entries.iter().enumerate().filter_map(sampled).collect();
        BatchSpan { messages, began: SystemTime::now() }
    }

    /// Notes how it ended. An attempt that failed has the batch's span only, for there will be others.
    pub fn end(
        self,
        route: &config::Inbox,
        entries: &[Entry<'_>],
        outcome: &Result<Applied, ApplyFault>,
    ) {
        let Some(tracer) = tracer().filter(|_| !self.messages.is_empty()) else { return };
        let ended = SystemTime::now();
        let plan = self.plan(route, entries.len(), outcome);
        let batch = plan.make(tracer, self.began, ended);
        let Ok(applied) = outcome else { return };
        for (at, context) in &self.messages {
            let entry = &entries[*at];
            let mut about = about(&route.topic, entry.event_id.to_string());
            about.extend(consumed(route, entry.record));
            let span = |operation| Plan {
                name: format!("{operation} {}", route.topic),
                kind: SpanKind::Consumer,
                parent: Some(*context),
                about: about.clone(),
                links: vec![Link::with_context(batch.clone())],
                failed: None,
            };
            if let Some(in_kafka) = time_of(entry.record) {
                span("consume").make(tracer, in_kafka.min(self.began), self.began);
            }
            let failed = applied.quarantined.contains(at).then(|| "put into quarantine".to_owned());
            Plan { failed, ..span("apply") }.make(tracer, self.began, ended);
        }
    }

    fn plan(
        &self,
        route: &config::Inbox,
        records: usize,
        outcome: &Result<Applied, ApplyFault>,
    ) -> Plan {
        let mut about = vec![
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.destination.name", route.topic.clone()),
            KeyValue::new("messaging.consumer.group.name", route.group.clone()),
            count("messaging.batch.message_count", records as i64),
        ];
        if let Ok(Applied { counts, .. }) = outcome {
            about.extend([
                count("makegood.applied", counts[Counter::Applied]),
                count("makegood.already", counts[Counter::Already]),
                count("makegood.duplicate", counts[Counter::Duplicate]),
                count("makegood.quarantined", counts[Counter::Quarantined]),
            ]);
        }
        Plan {
            name: format!("apply batch {}", route.topic),
            kind: SpanKind::Consumer,
            parent: None,
            about,
            links: self.messages.iter().map(|(_, c)| Link::with_context(remote(*c))).collect(),
            failed: outcome.as_ref().err().map(|fault| fault.diagnosis().reason),
        }
    }
}

/// A span that is over when it is made.
struct Plan {
    name: String,
    kind: SpanKind,
    parent: Option<TraceContext>,
    about: Vec<KeyValue>,
    links: Vec<Link>,
    failed: Option<String>,
}

impl Plan {
    fn make(self, tracer: &SdkTracer, from: SystemTime, to: SystemTime) -> SpanContext {
        let parent = match self.parent {
            Some(context) => Context::new().with_remote_span_context(remote(context)),
            None => Context::new(),
        };
        let mut span = SpanBuilder::from_name(self.name)
            .with_kind(self.kind)
            .with_start_time(from)
            .with_attributes(self.about)
            .with_links(self.links)
            .start_with_context(tracer, &parent);
        if let Some(why) = self.failed {
            span.set_status(Status::error(why));
        }
        span.end_with_timestamp(to.max(from));
        span.span_context().clone()
    }
}

/// What is said of every message, in the words of OpenTelemetry's conventions for messaging.
fn about(topic: &str, id: String) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.destination.name", topic.to_owned()),
        KeyValue::new("messaging.message.id", id),
    ]
}

fn consumed(route: &config::Inbox, record: &Record) -> [KeyValue; 3] {
    [
        KeyValue::new("messaging.consumer.group.name", route.group.clone()),
        KeyValue::new("messaging.destination.partition.id", record.partition.to_string()),
        count("messaging.kafka.offset", record.offset.0),
    ]
}

fn count(name: &'static str, number: i64) -> KeyValue {
    KeyValue::new(name, number)
}

fn time_of(record: &Record) -> Option<SystemTime> {
    let ms = u64::try_from(record.timestamp_ms?).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

/// The span under which a message was published.
fn remote(context: TraceContext) -> SpanContext {
    let flags = if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(context.trace), SpanId::from(context.span));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}
