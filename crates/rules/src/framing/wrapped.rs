//! Envelopes that are JSON themselves.

use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Framing, Inside, Layer, broken};
use crate::decode_error::{Reason, Rejection};

/// What a value holds, if it is an envelope of this kind.
pub(super) fn open(framing: Framing, value: &[u8]) -> Result<Option<Layer>, Rejection> {
    let text = value.strip_prefix("\u{feff}".as_bytes()).unwrap_or(value).trim_ascii();
    let begins = match framing {
        Framing::JsonText => b'"',
        Framing::ArrayOfOne => b'[',
        _ => b'{',
    };
    if text.first() != Some(&begins) {
        return Ok(None);
    }
    let Ok(text) = str::from_utf8(text) else { return Ok(None) };
    match framing {
        Framing::JsonText => Ok(json_text(text)),
        Framing::ArrayOfOne => Ok(one(text).map(|one| part(value, one))),
        _ => match serde_json::from_str::<Members<'_>>(text) {
            Ok(members) => member(framing, value, &members),
            Err(_) => Ok(None),
        },
    }
}

/// How many a list has, if the value is one.
pub(super) fn count(value: &[u8]) -> Option<usize> {
    let text =
        str::from_utf8(value).ok().filter(|text| text.trim_ascii_start().starts_with('['))?;
    serde_json::from_str::<Vec<&RawValue>>(text).ok().map(|items| items.len())
}

fn json_text(text: &str) -> Option<Layer> {
    let inside: String = serde_json::from_str(text).ok()?;
    let is_json = inside.trim_ascii_start().starts_with(['{', '[', '"']);
    is_json.then(|| Layer::of(Inside::New(inside.into_bytes())))
}

fn one(text: &str) -> Option<&str> {
    match serde_json::from_str::<Vec<&RawValue>>(text).ok()?.as_slice() {
        [one] if one.get().starts_with(['{', '"', '[']) => Some(one.get()),
        _ => None,
    }
}

/// The member of an object that holds the event.
fn member(
    framing: Framing,
    value: &[u8],
    members: &Members<'_>,
) -> Result<Option<Layer>, Rejection> {
    let has = |name: &str| members.get(name).is_some();
    let is_its = match framing {
        Framing::JsonConverter => {
            members.0.len() >= 2
                && members.0.iter().all(|(name, _)| name == "schema" || name == "payload")
                && has("schema")
                && has("payload")
        }
        Framing::CloudEvents => {
            members.text("specversion").is_some() && (has("data") || has("data_base64"))
        }
        Framing::Debezium => {
            let is_known = |op: String| ["c", "r", "u", "d", "t"].contains(&op.as_str());
            members.text("op").is_some_and(is_known) && (has("after") || has("before"))
        }
        Framing::OutboxRow => {
            let payload = members.get("payload").unwrap_or_default();
            payload.starts_with(['{', '"']) && (has("id") || has("event_id")) && !has("op")
        }
        _ => false,
    };
    if !is_its {
        return Ok(None);
    }
    if let Some(name) = members.twice() {
        let detail = format!("the envelope has {name} twice");
        return Err(Rejection::new(Reason::DuplicateKey, detail));
    }
    let (name, headers) = match framing {
        Framing::CloudEvents => ("data", members.attributes()),
        Framing::Debezium => ("after", Vec::new()),
        Framing::OutboxRow => ("payload", members.of_row()),
        _ => ("payload", Vec::new()),
    };
    let inside = match members.get(name) {
        None if framing == Framing::CloudEvents => decoded(members)?,
        None | Some("null") => Inside::Nothing,
        Some(found) => part(value, found).inside,
    };
    Ok(Some(Layer { inside, headers }))
}

fn decoded(members: &Members<'_>) -> Result<Inside, Rejection> {
    let text = members.text("data_base64").unwrap_or_default();
    let bytes = BASE64_STANDARD.decode(text);
    bytes.map(Inside::New).map_err(|_| broken("a CloudEvent whose data_base64 is no base64"))
}

/// A text that was found in a value, as a part of that value.
fn part(value: &[u8], found: &str) -> Layer {
    let start = found.as_ptr().addr().saturating_sub(value.as_ptr().addr());
    Layer::of(Inside::Part(Range { start, end: start + found.len() }))
}

/// The members of an object, as they are written.
struct Members<'a>(Vec<(String, &'a str)>);

impl Members<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// A name of the envelope's own that it has twice, with different values.
    fn twice(&self) -> Option<&str> {
        const OWN: [&str; 9] = [
            "payload",
            "data",
            "data_base64",
            "after",
            "op",
            "id",
            "type",
            "event_id",
            "event_type",
        ];
        OWN.into_iter().find(|own| {
            let mut values = self.0.iter().filter(|(name, _)| name == own).map(|(_, value)| value);
            let first = values.next();
            values.any(|value| Some(value) != first)
        })
    }

    /// A CloudEvent's attributes, named as in Kafka's binary mode.
    fn attributes(&self) -> Vec<(String, String)> {
        let attributes = self.0.iter().filter(|(name, _)| !name.starts_with("data"));
        attributes
            .filter_map(|(name, value)| {
                Some((format!("ce_{name}"), serde_json::from_str(value).ok()?))
            })
            .collect()
    }

    /// The id and the type that stand in columns of their own. A number counts one table's rows, and is no event's id.
    fn of_row(&self) -> Vec<(String, String)> {
        let first = |names: [&str; 2]| {
            names.iter().find_map(|name| self.text(name).filter(|text| !text.is_empty()))
        };
        [("id", first(["event_id", "id"])), ("type", first(["event_type", "type"]))]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}
