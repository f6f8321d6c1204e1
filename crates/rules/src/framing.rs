//! What people wrap events in, and how it is taken off: one layer at a time, as the route lists them. What is kept of a
//! record are its own bytes; only the reader sees what is inside.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::decode_error::{Reason, Rejection};

mod packed;
#[cfg(test)]
mod tests;
mod wrapped;

/// One kind of envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// gzip, by the application; Kafka's own compression is none of it.
    Gzip,
    /// AWS Glue's eighteen bytes, and zlib where they say so.
    Glue,
    /// Confluent's five bytes before plain JSON.
    Confluent,
    /// Apicurio's nine bytes before plain JSON.
    Apicurio,
    /// A JSON text that holds JSON.
    JsonText,
    /// A list of one event.
    ArrayOfOne,
    /// Kafka Connect's `{schema, payload}`.
    JsonConverter,
    /// A CloudEvent in structured mode: what is in `data`, or encoded in `data_base64`.
    CloudEvents,
    /// Debezium's change event: the row after it.
    Debezium,
    /// A row of an outbox table: what is in its column `payload`.
    OutboxRow,
}

/// Every kind, in the order in which a value is taken for one of them.
pub const ALL: [Framing; 10] = [
    Framing::Gzip,
    Framing::Glue,
    Framing::Confluent,
    Framing::Apicurio,
    Framing::JsonText,
    Framing::ArrayOfOne,
    Framing::JsonConverter,
    Framing::CloudEvents,
    Framing::Debezium,
    Framing::OutboxRow,
];
/// How many layers are looked through for the sake of a message.
const DEPTH: usize = 6;

/// What was inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwrapped<'a> {
    /// The bytes; `None` where the envelope says that there is nothing: a row that was deleted, a null.
    pub value: Option<Cow<'a, [u8]>>,
    /// What the envelopes say beside it, as headers of the record would, such as `ce_id` and `ce_type`.
    pub headers: Vec<(String, String)>,
}

/// What one envelope holds.
struct Layer {
    inside: Inside,
    headers: Vec<(String, String)>,
}

enum Inside {
    /// A part of the same bytes.
    Part(std::ops::Range<usize>),
    New(Vec<u8>),
    Nothing,
}

impl Framing {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Framing::Gzip => "gzip",
            Framing::Glue => "glue",
            Framing::Confluent => "confluent",
            Framing::Apicurio => "apicurio",
            Framing::JsonText => "json_text",
            Framing::ArrayOfOne => "array_of_one",
            Framing::JsonConverter => "json_converter",
            Framing::CloudEvents => "cloudevents",
            Framing::Debezium => "debezium",
            Framing::OutboxRow => "outbox_row",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Framing::Gzip => "gzip, by the application",
            Framing::Glue => "AWS Glue's framing",
            Framing::Confluent => "a schema registry's framing; plain JSON begins at byte 5",
            Framing::Apicurio => "Apicurio's framing; plain JSON begins at byte 9",
            Framing::JsonText => "a JSON text that holds JSON: it was encoded twice",
            Framing::ArrayOfOne => "a list of one event",
            Framing::JsonConverter => {
                "Kafka Connect's JsonConverter with schemas: {schema, payload}"
            }
            Framing::CloudEvents => "a structured CloudEvent",
            Framing::Debezium => "Debezium's change event of a table",
            Framing::OutboxRow => "a row of an outbox table, with the event in its payload",
        }
    }

    /// What is in a value, if it is of this kind; `Err` if it is and cannot be opened, or is larger than `most` inside.
    fn open(self, value: &[u8], most: usize) -> Result<Option<Layer>, Rejection> {
        let behind = |at: usize| {
            let rest = value.get(at..).unwrap_or_default();
            let is_json = rest.trim_ascii_start().first().is_some_and(|b| b"{[\"".contains(b));
            is_json.then(|| Layer::of(Inside::Part(at..value.len())))
        };
        match (self, value) {
            (Framing::Gzip, [0x1f, 0x8b, ..]) => packed::gzip(value, most).map(Layer::new),
            (Framing::Glue, [3, 0, ..]) => Ok(behind(18)),
            (Framing::Glue, [3, 5, ..]) if value.len() > 18 => {
                packed::zlib(&value[18..], most).map(Layer::new)
            }
            (Framing::Confluent, [0, ..]) => Ok(behind(5)),
            (Framing::Apicurio, [0, ..]) => Ok(behind(9)),
            (Framing::Gzip | Framing::Glue | Framing::Confluent | Framing::Apicurio, _) => Ok(None),
            _ => wrapped::open(self, value),
        }
    }
}

impl Layer {
    fn of(inside: Inside) -> Layer {
        Layer { inside, headers: Vec::new() }
    }

    fn new(bytes: Vec<u8>) -> Option<Layer> {
        Some(Layer::of(Inside::New(bytes)))
    }
}

impl FromStr for Framing {
    type Err = String;

    fn from_str(text: &str) -> Result<Framing, String> {
        ALL.into_iter().find(|framing| framing.name() == text).ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|framing| framing.name()).collect();
            format!("`{text}` is no envelope; there are {}", names.join(", "))
        })
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a> Unwrapped<'a> {
    /// A value as it came.
    fn new(value: &'a [u8]) -> Unwrapped<'a> {
        Unwrapped { value: Some(Cow::Borrowed(value)), headers: Vec::new() }
    }

    /// Without one more layer, if it is there.
    fn without(&self, framing: Framing, most: usize) -> Result<Option<Unwrapped<'a>>, Rejection> {
        let Some(value) = &self.value else { return Ok(None) };
        let Some(layer) = framing.open(value, most)? else { return Ok(None) };
        let value = match (layer.inside, value) {
            (Inside::Nothing, _) => None,
            (Inside::New(bytes), _) => Some(Cow::Owned(bytes)),
            (Inside::Part(range), Cow::Borrowed(value)) => value.get(range).map(Cow::Borrowed),
            (Inside::Part(range), Cow::Owned(value)) => {
                value.get(range).map(|part| Cow::Owned(part.to_vec()))
            }
        };
        let headers = self.headers.iter().cloned().chain(layer.headers).collect();
        Ok(Some(Unwrapped { value, headers }))
    }
}

/// Takes off what is there of these, in their order. Nothing inside may be longer than `most`.
pub fn unwrap<'a>(
    value: &'a [u8],
    framings: &[Framing],
    most: usize,
) -> Result<Unwrapped<'a>, Rejection> {
    let mut unwrapped = Unwrapped::new(value);
    for framing in framings {
        if let Some(inside) = unwrapped.without(*framing, most)? {
            unwrapped = inside;
        }
    }
    Ok(unwrapped)
}

/// What a value is without its first layer, without two, and so on, and which ones they are, as far as any is known.
pub fn layers(value: &[u8], most: usize) -> Vec<(Vec<Framing>, Unwrapped<'_>)> {
    let (mut last, mut taken) = (Unwrapped::new(value), Vec::new());
    let mut layers = Vec::new();
    while layers.len() < DEPTH {
        let inside = ALL.iter().find_map(|framing| {
            let inside = last.without(*framing, most).ok().flatten()?;
            Some((*framing, inside))
        });
        let Some((framing, inside)) = inside else { break };
        taken.push(framing);
        last = inside.clone();
        layers.push((taken.clone(), inside));
    }
    layers
}

/// A list in whose order both `ours` and `wanted` can be taken off.
pub fn both(ours: &[Framing], wanted: &[Framing]) -> Vec<Framing> {
    let (mut list, mut rest) = (Vec::new(), ours);
    for framing in wanted {
        match rest.iter().position(|other| other == framing) {
            Some(at) => {
                list.extend(&rest[..=at]);
                rest = &rest[at + 1..];
            }
            None => list.push(*framing),
        }
    }
    list.extend(rest);
    list
}

/// In words what a value looks like that is no event as it stands, if it is known.
pub fn named(value: &[u8], most: usize) -> Option<String> {
    let of_kind = |framing: &Framing| matches!(framing.open(value, most), Ok(Some(_)) | Err(_));
    if let Some(framing) = ALL.into_iter().find(of_kind) {
        return Some(framing.in_words().to_owned());
    }
    match value {
        [0, ..] if value.len() > 5 => {
            Some("a schema registry's framing around Avro or Protobuf".to_owned())
        }
        _ => wrapped::count(value).filter(|n| *n > 1).map(|n| format!("a list of {n} events")),
    }
}

fn broken(what: impl fmt::Display) -> Rejection {
    Rejection::new(Reason::BrokenEnvelope, what.to_string())
}
