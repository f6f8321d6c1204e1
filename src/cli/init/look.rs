//! The last event of the topic: its type, and where its values stand.

use serde_json::Value;

use crate::config::{Config, Kafka};
use crate::kafka::probe::Probe;
use rules::draft::EventPointers;
use rules::problem::{Code, Problem};
use rules::record::Record;

/// What was seen.
#[derive(Default)]
pub struct SeenEvent {
    /// The type that the event says it has.
    pub event_type: Option<String>,
    /// Where its values stand.
    pub places: EventPointers,
}

/// How many records of each partition are looked at, back from the end.
const DEPTH: i64 = 20;

/// Looks at the topic, which must be there. An empty one shows nothing.
pub async fn at_topic(kafka: &Kafka, topic: &str, group: &str) -> Result<SeenEvent, Problem> {
    let (kafka, topic, group) = (kafka.clone(), topic.to_owned(), group.to_owned());
    let looked = tokio::task::spawn_blocking(move || newest(&kafka, &topic, &group)).await;
    looked.map_err(|e| Problem::new(Code::System, format!("the look at Kafka failed: {e}")))?
}

fn newest(kafka: &Kafka, topic: &str, group: &str) -> Result<SeenEvent, Problem> {
    let probe = Probe::new(kafka, topic, group)?;
    let partitions = probe.partitions()?;
    let ends = probe.ends(&partitions)?.records;
    let seen = probe.look_back(&ends, DEPTH, |records| records.values().find_map(seen_in))?;
    Ok(seen.unwrap_or_default())
}

fn seen_in(record: &Record) -> Option<SeenEvent> {
    let event: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    event.is_object().then(|| SeenEvent {
        event_type: type_of(record, &event),
        places: EventPointers::of_event(&event),
    })
}

/// By the places where a route looks for it, unless it is told otherwise.
fn type_of(record: &Record, event: &Value) -> Option<String> {
    use rules::field_path::FieldPath;
    let route = Config::default().inbox.into_iter().next()?;
    route.type_from.iter().find_map(|place| match place {
        FieldPath::Header(name) => {
            let header = record.headers.iter().find(|header| header.name == name.as_bytes())?;
            String::from_utf8(header.value.clone()?).ok()
        }
        FieldPath::Json(pointer) => event.pointer(pointer)?.as_str().map(str::to_owned),
    })
}
