//! From a record's bytes to what is to be done with it: apply, ignore, count or quarantine.

use std::borrow::Cow;

use uuid::Uuid;

use self::id::id_of_text;
pub use self::id::{ID_NAMESPACE, digest, id_as_given, id_of_place, reused_id};
pub use super::decode_error::{Reason, Rejection};
use super::field_path::FieldPath;
use super::fields::{Body, Field};
use super::framing::{self, Framing, Unwrapped};
use super::json::{self, AtPointer, Pointers};
use super::record::{Record, Whole};

mod id;
mod look;
#[cfg(test)]
mod tests;

/// How a route reads its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What is taken off a value, in this order, before it is read.
    pub envelopes: Vec<Framing>,
    /// Where the event id may be; the first place that has one counts.
    pub id_from: Vec<FieldPath>,
    /// Where the event type may be; the first place that has one counts.
    pub type_from: Vec<FieldPath>,
    /// The type this route takes, compared exactly; `None` takes every record.
    pub event_type: Option<String>,
    /// The longest value taken, in bytes.
    pub max_bytes: usize,
}

impl Rules {
    /// How many of at most so many records are read into memory at once: what was packed takes more there.
    pub fn together(&self, most: usize) -> usize {
        const UNPACKED: usize = 16 << 20;
        let packs = |framing: &Framing| matches!(framing, Framing::Gzip | Framing::Glue);
        match self.envelopes.iter().any(packs) {
            true => (UNPACKED / self.max_bytes.max(1)).clamp(1, most.max(1)),
            false => most,
        }
    }
}

/// What a record is to a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// An event to apply.
    Event(Event<'a>),
    /// A record of another type, with the start of its name: ignored and counted.
    Foreign(String),
    /// A null value, which says nothing of a payment: ignored and counted.
    Tombstone,
    /// Not readable as an event: quarantined with its exact bytes.
    Rejected(Rejection),
}

/// An event that PostgreSQL will take as `uuid` and `jsonb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's id, see [`Reader::decode`].
    pub id: Uuid,
    /// The text as it came, without its envelopes and a byte order mark, and the mapping's fields in it.
    pub body: Body<'a>,
    /// [`digest`] of the value's bytes.
    pub digest: [u8; 16],
}

/// Reads a route's records: by its rules, and for the fields of its mapping, in one pass over each.
#[derive(Clone, Debug)]
pub struct Reader<'r> {
    rules: &'r Rules,
    /// Of the fields, then of the ids, then of the types.
    pointers: Pointers,
    fields: usize,
    ids: Vec<Spot<'r>>,
    types: Vec<Spot<'r>>,
}

/// A place of the rules.
#[derive(Clone, Copy, Debug)]
enum Spot<'r> {
    /// A header of this name.
    Header(&'r [u8]),
    /// What the pointer with this number found.
    Json(usize),
}

impl<'r> Reader<'r> {
    /// By a route's rules, for the fields of the mapping that its events go through.
    pub fn new(rules: &'r Rules, fields: &'r [Field]) -> Reader<'r> {
        let mut pointers: Vec<&str> = fields.iter().map(|field| field.pointer.as_str()).collect();
        let mut spots = |places: &'r [FieldPath]| {
            let spot = |place: &'r FieldPath| match place {
                FieldPath::Header(name) => Spot::Header(name.as_bytes()),
                FieldPath::Json(pointer) => {
                    pointers.push(pointer);
                    Spot::Json(pointers.len() - 1)
                }
            };
            places.iter().map(spot).collect()
        };
        let (ids, types) = (spots(&rules.id_from), spots(&rules.type_from));
        let pointers = Pointers::new(pointers).alone(!fields.is_empty());
        Reader { rules, pointers, fields: fields.len(), ids, types }
    }

    /// Reads one record of the topic with this id.
    ///
    /// **Event id**: what stands at the first place of `id_from` that has one. A UUID in any of its
    /// spellings is itself; any other text (a number's too) becomes its UUIDv5 in [`ID_NAMESPACE`], and
    /// so do a header's bytes that are no UTF-8. Null, empty, the nil UUID, and JSON that is neither
    /// text nor number count as absent. With no id at any place it is the UUIDv5 of
    /// `PARTITION/OFFSET` in the topic's id, so `topic_id` must tell a topic from its successor.
    ///
    /// **Event type**: likewise, compared byte by byte. Where a header and the first place in the value contradict
    /// each other and one of them is the route's type, or the type differs from the route's in case, quotes and
    /// separators alone, the record is rejected: it may be meant for the route.
    ///
    /// Of headers with the same name the last counts (KIP-82, `Headers.lastHeader`). What an envelope says beside its
    /// event counts as a header too.
    pub fn decode<'a>(&self, record: &'a Record, topic_id: Uuid) -> Envelope<'a> {
        let Some(value) = &record.value else { return Envelope::Tombstone };
        let headers = Headers { record, inside: &[] };
        if let Some(wanted) = &self.rules.event_type
            && let Some(found) = self.type_in_headers(headers)
            && found != wanted.as_bytes()
        {
            return self.by_header(found, wanted, value);
        }
        if let Some(Whole { bytes, .. }) = record.cut {
            let detail = format!("{bytes} bytes, of which only the first {} are kept", value.len());
            return Envelope::Rejected(Rejection::new(Reason::Oversize, detail));
        }
        match self.read(record, topic_id, value) {
            Ok(Some(Ok((id, body)))) => Envelope::Event(Event { id, body, digest: digest(value) }),
            Ok(Some(Err(name))) => Envelope::Foreign(name),
            Ok(None) => Envelope::Tombstone,
            Err(rejection) => {
                Envelope::Rejected(self.with_its_look(rejection, record, topic_id, value))
            }
        }
    }

    /// What is in a value behind the route's envelopes: an event, the name of another type, or nothing.
    fn read<'a>(
        &self,
        record: &Record,
        topic_id: Uuid,
        value: &'a [u8],
    ) -> Result<Option<Read<Body<'a>>>, Rejection> {
        if value.len() > self.rules.max_bytes {
            return Err(too_long(value, self.rules.max_bytes));
        }
        let inside = framing::unwrap(value, &self.rules.envelopes, self.rules.max_bytes)?;
        self.read_inside(record, topic_id, inside)
    }

    fn read_inside<'a>(
        &self,
        record: &Record,
        topic_id: Uuid,
        inside: Unwrapped<'a>,
    ) -> Result<Option<Read<Body<'a>>>, Rejection> {
        let headers = Headers { record, inside: &inside.headers };
        let max = self.rules.max_bytes;
        let read = match inside.value {
            None => return Ok(None),
            Some(Cow::Borrowed(value)) => {
                let text = text_of(value, max)?;
                let read = self.read_object(headers, topic_id, text)?;
                read.map(|(id, found)| (id, Body::found(Cow::Borrowed(text), found)))
            }
            Some(Cow::Owned(value)) => {
                let text = text_of(&value, max)?;
                let read = self.read_object(headers, topic_id, text)?;
                let owned = |found: Option<AtPointer<'_>>| found.map(AtPointer::into_owned);
                read.map(|(id, found)| {
                    let found = found.into_iter().map(owned).collect();
                    (id, Body::found(Cow::Owned(text.to_owned()), found))
                })
            }
        };
        Ok(Some(read))
    }

    /// A record that a header gives another type, unless the value says that it is of the route's.
    fn by_header<'a>(&self, found: &[u8], wanted: &str, value: &[u8]) -> Envelope<'a> {
        let max = self.rules.max_bytes;
        let inside = framing::unwrap(value, &self.rules.envelopes, max).ok();
        let said = inside.as_ref().and_then(|inside| text_of(inside.value.as_deref()?, max).ok());
        let object = said.and_then(|text| json::read(text, &self.pointers).ok());
        let in_value = object.as_ref().and_then(|object| self.type_in_value(&object.found));
        if in_value == Some(wanted.as_bytes()) {
            let detail = format!("a header says the type is another one, the value says {wanted}");
            return Envelope::Rejected(Rejection::new(Reason::TypeUnclear, detail));
        }
        if reads_alike(found, wanted) {
            return Envelope::Rejected(alike(wanted));
        }
        Envelope::Foreign(name(found))
    }

    /// The type at the first place in the value.
    fn type_in_value<'f>(&self, found: &'f [Option<AtPointer<'_>>]) -> Option<&'f [u8]> {
        let mut spots = self.types.iter().filter(|spot| matches!(spot, Spot::Json(_)));
        let Spot::Json(number) = spots.next()? else { return None };
        let text = found.get(*number)?.as_ref()?.text()?.as_bytes();
        (!text.is_empty()).then_some(text)
    }

    /// The event's id and its fields, or the name of another type.
    fn read_object<'t>(
        &self,
        headers: Headers<'_>,
        topic_id: Uuid,
        text: &'t str,
    ) -> Result<Read<Vec<Option<AtPointer<'t>>>>, Rejection> {
        let object = json::read(text, &self.pointers)?;
        let mut found = object.found;
        let at = |spot: &Spot<'_>| text_at(headers, &found, *spot);
        if let Some(ours) = &self.rules.event_type {
            match self.types.iter().find_map(at) {
                None => {
                    let detail = format!("none of {} places has a type", self.types.len());
                    return Err(Rejection::new(Reason::NoType, detail));
                }
                Some(found) if found == ours.as_bytes() => {}
                Some(found) if reads_alike(found, ours) => return Err(alike(ours)),
                Some(found) => return Ok(Err(name(found))),
            }
            if self.type_in_value(&found).is_some_and(|found| found != ours.as_bytes())
                && self.type_in_headers(headers).is_some()
            {
                let detail =
                    format!("a header says the type is {ours}, the value says another one");
                return Err(Rejection::new(Reason::TypeUnclear, detail));
            }
        }
        if let Some(rejection) = object.refused_by_jsonb {
            return Err(rejection);
        }
        let id = self.ids.iter().filter_map(at).find_map(id_of_text);
        let id = id.unwrap_or_else(|| id_of_place(headers.record, topic_id));
        found.truncate(self.fields);
        let is_read = self.fields == 0 || found.iter().any(Option::is_some);
        if !is_read && framing::named(text.as_bytes(), self.rules.max_bytes).is_some() {
            let detail = "nothing that the mapping reads is in it";
            return Err(Rejection::new(Reason::Wrapped, detail));
        }
        Ok(Ok((id, found)))
    }

    /// The type, when a header has it before any place in the JSON is asked.
    fn type_in_headers<'a>(&self, headers: Headers<'a>) -> Option<&'a [u8]> {
        let places = self.types.iter().take_while(|spot| matches!(spot, Spot::Header(_)));
        places.into_iter().find_map(|spot| text_at(headers, &[], *spot))
    }
}

/// The id of an event and what was found of it, or the name of another type.
type Read<T> = Result<(Uuid, T), String>;

/// A record's headers, and what its envelopes say beside the event.
#[derive(Clone, Copy)]
struct Headers<'a> {
    record: &'a Record,
    inside: &'a [(String, String)],
}

impl<'a> Headers<'a> {
    /// What the last one of this name holds.
    fn get(self, name: &[u8]) -> Option<&'a [u8]> {
        let mut inside = self.inside.iter().rev();
        if let Some((_, value)) = inside.find(|(own, _)| own.as_bytes() == name) {
            return Some(value.as_bytes());
        }
        let mut headers = self.record.headers.iter().rev();
        headers.find(|header| header.name == name)?.value.as_deref()
    }
}

/// Whether two names have the same letters and digits, case aside: people then mean the same.
fn reads_alike(found: &[u8], ours: &str) -> bool {
    let bare = |text: &[u8]| -> Vec<u8> {
        let kept = text.iter().filter(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
        kept.map(u8::to_ascii_lowercase).collect()
    };
    bare(found) == bare(ours.as_bytes())
}

fn alike(ours: &str) -> Rejection {
    let detail = format!("the type reads like {ours} and is not written so");
    Rejection::new(Reason::TypeUnclear, detail)
}

/// The start of a type's name, as far as it is text.
fn name(found: &[u8]) -> String {
    let text = String::from_utf8_lossy(&found[..found.len().min(240)]);
    text.chars().filter(|letter| *letter != '\0').take(60).collect()
}

/// The value's text, without the byte order mark that RFC 8259 lets a reader ignore and `jsonb`
/// refuses.
fn text_of(value: &[u8], max_bytes: usize) -> Result<&str, Rejection> {
    if value.is_empty() {
        return Err(Rejection::new(Reason::Empty, "the value has no bytes"));
    }
    if value.len() > max_bytes {
        return Err(too_long(value, max_bytes));
    }
    // Confluent's wire format: a zero byte, then a schema id of four bytes. JSON never begins so.
    if let [0, a, b, c, d, ..] = *value {
        let schema = u32::from_be_bytes([a, b, c, d]);
        let detail = format!("begins with a zero byte, then {schema} as a schema's id");
        return Err(Rejection::new(Reason::SchemaFraming, detail));
    }
    match str::from_utf8(value) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let detail = format!("byte {} is not UTF-8", error.valid_up_to());
            Err(Rejection::new(Reason::NotUtf8, detail))
        }
    }
}

fn too_long(value: &[u8], max_bytes: usize) -> Rejection {
    let detail = format!("{} bytes, the limit is {max_bytes}", value.len());
    Rejection::new(Reason::Oversize, detail)
}

/// What stands at a place, if it is there and not empty.
fn text_at<'a>(
    headers: Headers<'a>,
    found: &'a [Option<AtPointer<'_>>],
    spot: Spot<'_>,
) -> Option<&'a [u8]> {
    let text = match spot {
        Spot::Header(name) => headers.get(name)?,
        Spot::Json(number) => found.get(number)?.as_ref()?.text()?.as_bytes(),
    };
    (!text.is_empty()).then_some(text)
}
