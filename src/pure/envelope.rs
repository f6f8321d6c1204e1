//! From a record's bytes to what is to be done with it: apply, ignore, count or quarantine.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::fields::{self, Body, Field};
use super::framing;
use super::json::{self, Found, Pointers};
use super::place::Place;
use super::record::{Record, Whole};
pub use super::rejection::{Reason, Rejection};

/// How a route reads its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where the event id may be; the first place that has one counts.
    pub id_from: Vec<Place>,
    /// Where the event type may be; the first place that has one counts.
    pub type_from: Vec<Place>,
    /// The type this route takes, compared exactly; `None` takes every record.
    pub event_type: Option<String>,
    /// The longest value taken, in bytes.
    pub max_bytes: usize,
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
    /// The value's text as it came, without a byte order mark, and the mapping's fields in it.
    pub body: Body<'a>,
    /// [`digest`] of the value's bytes.
    pub digest: [u8; 16],
}

/// The namespace of ids made from texts that are no UUIDs; never changes, for the ids would too.
pub const ID_NAMESPACE: Uuid = Uuid::from_u128(0x1b9c_5f0e_6d2a_5c47_9f38_c2e4_70a1_d853);

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
        let mut spots = |places: &'r [Place]| {
            let spot = |place: &'r Place| match place {
                Place::Header(name) => Spot::Header(name.as_bytes()),
                Place::Json(pointer) => {
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
    /// Of headers with the same name the last counts (KIP-82, `Headers.lastHeader`).
    pub fn decode<'a>(&self, record: &'a Record, topic_id: Uuid) -> Envelope<'a> {
        let Some(value) = &record.value else { return Envelope::Tombstone };
        if let Some(wanted) = &self.rules.event_type
            && let Some(found) = self.type_in_headers(record)
            && found != wanted.as_bytes()
        {
            return self.by_header(found, wanted, value);
        }
        if let Some(Whole { bytes, .. }) = record.cut {
            let detail = format!("{bytes} bytes, of which only the first {} are kept", value.len());
            return Envelope::Rejected(Rejection::new(Reason::Oversize, detail));
        }
        let read = text_of(value, self.rules.max_bytes)
            .and_then(|text| self.read_object(record, topic_id, text));
        match read {
            Ok(Ok((id, body))) => Envelope::Event(Event { id, body, digest: digest(value) }),
            Ok(Err(name)) => Envelope::Foreign(name),
            Err(rejection) => Envelope::Rejected(with_its_look(rejection, value)),
        }
    }

    /// The id of a record that was rejected, where its JSON can be read all the same.
    pub fn id_as_far_as_readable(&self, record: &Record) -> Option<Uuid> {
        let json: Option<serde_json::Value> = (record.value.as_deref())
            .filter(|value| record.cut.is_none() && value.len() <= self.rules.max_bytes)
            .and_then(|value| serde_json::from_slice(value).ok());
        let mut texts = self.rules.id_from.iter().filter_map(|place| match place {
            Place::Header(name) => {
                let mut headers = record.headers.iter().rev();
                let header = headers.find(|header| header.name == name.as_bytes())?;
                Some(header.value.clone()?)
            }
            Place::Json(pointer) => {
                Some(fields::text_of(json.as_ref()?.pointer(pointer)?)?.into_bytes())
            }
        });
        texts.find_map(|text| id_of_text(&text).filter(|_| !text.is_empty()))
    }

    /// A record that a header gives another type, unless the value says that it is of the route's.
    fn by_header<'a>(&self, found: &[u8], wanted: &str, value: &[u8]) -> Envelope<'a> {
        let said = text_of(value, self.rules.max_bytes).ok();
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
    fn type_in_value<'f>(&self, found: &'f [Option<Found<'_>>]) -> Option<&'f [u8]> {
        let mut spots = self.types.iter().filter(|spot| matches!(spot, Spot::Json(_)));
        let Spot::Json(number) = spots.next()? else { return None };
        let text = found.get(*number)?.as_ref()?.text()?.as_bytes();
        (!text.is_empty()).then_some(text)
    }

    /// The event's id and body, or the name of another type.
    fn read_object<'a>(
        &self,
        record: &Record,
        topic_id: Uuid,
        text: &'a str,
    ) -> Result<Result<(Uuid, Body<'a>), String>, Rejection> {
        let object = json::read(text, &self.pointers)?;
        let mut found = object.found;
        let at = |spot: &Spot<'_>| text_at(record, &found, *spot);
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
                && self.type_in_headers(record).is_some()
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
        let id = id.unwrap_or_else(|| id_of_place(record, topic_id));
        found.truncate(self.fields);
        Ok(Ok((id, Body::found(text, found))))
    }

    /// The type, when a header has it before any place in the JSON is asked.
    fn type_in_headers<'a>(&self, record: &'a Record) -> Option<&'a [u8]> {
        let headers = self.types.iter().take_while(|spot| matches!(spot, Spot::Header(_)));
        headers.into_iter().find_map(|spot| text_at(record, &[], *spot))
    }
}

/// A rejection that says what the value looks like, where something else may hold the event.
fn with_its_look(rejection: Rejection, value: &[u8]) -> Rejection {
    let may_hold_it = matches!(
        rejection.reason,
        Reason::SchemaFraming
            | Reason::NotUtf8
            | Reason::NotJson
            | Reason::NotAnObject
            | Reason::NoType
    );
    match framing::named(value).filter(|_| may_hold_it) {
        Some(look) => {
            Rejection::new(rejection.reason, format!("{}; it looks like {look}", rejection.detail))
        }
        None => rejection,
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
        let detail = format!("{} bytes, the limit is {max_bytes}", value.len());
        return Err(Rejection::new(Reason::Oversize, detail));
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

/// What stands at a place, if it is there and not empty.
fn text_at<'a>(
    record: &'a Record,
    found: &'a [Option<Found<'_>>],
    spot: Spot<'_>,
) -> Option<&'a [u8]> {
    let text = match spot {
        Spot::Header(name) => {
            let mut headers = record.headers.iter().rev();
            headers.find(|header| header.name == name)?.value.as_deref()?
        }
        Spot::Json(number) => found.get(number)?.as_ref()?.text()?.as_bytes(),
    };
    (!text.is_empty()).then_some(text)
}

/// The id under which the inbox keeps an event, from the id as a person has it.
pub fn id_as_given(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or_else(|_| Uuid::new_v5(&ID_NAMESPACE, text.as_bytes()))
}

/// The id a text stands for; `None` for the nil UUID, which stands for no id.
fn id_of_text(text: &[u8]) -> Option<Uuid> {
    let id = Uuid::try_parse_ascii(text).unwrap_or_else(|_| Uuid::new_v5(&ID_NAMESPACE, text));
    (!id.is_nil()).then_some(id)
}

/// The id of a record that brings none: the UUIDv5 of `PARTITION/OFFSET` in the topic's id.
pub fn id_of_place(record: &Record, topic_id: Uuid) -> Uuid {
    Uuid::new_v5(&topic_id, format!("{}/{}", record.partition, record.offset).as_bytes())
}

/// The first 16 bytes of the SHA-256 of a value: tells whether two events of one id are the same.
pub fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(bytes)[..16]);
    first
}

/// The id of an event that came under an id already used for other bytes: the UUIDv5 of both, so
/// that it is an event of its own, and the same one whenever it comes again.
pub fn reused_id(id: Uuid, digest: &[u8; 16]) -> Uuid {
    Uuid::new_v5(&id, digest)
}

#[cfg(test)]
mod tests;
