//! From a record's bytes to what is to be done with it: apply, ignore, count or quarantine.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::json::{self, Wanted};
use super::place::Place;
use super::record::Record;
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
    /// A record of another type: ignored and counted.
    Foreign,
    /// A null value, which says nothing of a payment: ignored and counted.
    Tombstone,
    /// Not readable as an event: quarantined with its exact bytes.
    Rejected(Rejection),
}

/// An event that PostgreSQL will take as `uuid` and `jsonb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's id, see [`decode`].
    pub id: Uuid,
    /// The value's text as it came, without a byte order mark.
    pub payload: &'a str,
    /// [`digest`] of the value's bytes.
    pub digest: [u8; 16],
}

/// The namespace of ids made from texts that are no UUIDs; never changes, for the ids would too.
pub const ID_NAMESPACE: Uuid = Uuid::from_u128(0x1b9c_5f0e_6d2a_5c47_9f38_c2e4_70a1_d853);

/// Reads one record of the topic with this id.
///
/// **Event id**: what stands at the first place of `id_from` that has one. A UUID in any of its
/// spellings is itself; any other text (a number's too) becomes its UUIDv5 in [`ID_NAMESPACE`], and
/// so do a header's bytes that are no UTF-8. Null, empty, the nil UUID, and JSON that is neither
/// text nor number count as absent. With no id at any place it is the UUIDv5 of
/// `PARTITION/OFFSET` in the topic's id, so `topic_id` must tell a topic from its successor.
///
/// **Event type**: likewise, compared byte by byte. A header of another type decides without a look
/// at the value.
///
/// Of headers with the same name the last counts (KIP-82, `Headers.lastHeader`).
pub fn decode<'a>(record: &'a Record, topic_id: Uuid, rules: &Rules) -> Envelope<'a> {
    let Some(value) = &record.value else { return Envelope::Tombstone };
    if let Some(wanted) = &rules.event_type
        && type_in_headers(record, rules).is_some_and(|found| found != wanted.as_bytes())
    {
        return Envelope::Foreign;
    }
    match text_of(value, rules.max_bytes) {
        Ok(payload) => match read_object(record, topic_id, rules, payload) {
            Ok(Some(id)) => Envelope::Event(Event { id, payload, digest: digest(value) }),
            Ok(None) => Envelope::Foreign,
            Err(rejection) => Envelope::Rejected(rejection),
        },
        Err(rejection) => Envelope::Rejected(rejection),
    }
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
        let detail = format!("looks like a schema registry's framing, schema id {schema}");
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

/// The event's id; `None` for an event of another type.
fn read_object(
    record: &Record,
    topic_id: Uuid,
    rules: &Rules,
    payload: &str,
) -> Result<Option<Uuid>, Rejection> {
    let mut json: Vec<Wanted> = (rules.id_from.iter().chain(&rules.type_from))
        .filter_map(|place| match place {
            Place::Header(_) => None,
            Place::Json(pointer) => Some(Wanted { pointer, found: None }),
        })
        .collect();
    let refused_by_jsonb = json::check(payload, &mut json)?;
    if let Some(ours) = &rules.event_type {
        match rules.type_from.iter().find_map(|place| text_at(record, &json, place)) {
            None => {
                let detail = format!("none of {} places has a type", rules.type_from.len());
                return Err(Rejection::new(Reason::NoType, detail));
            }
            Some(found) if found != ours.as_bytes() => return Ok(None),
            Some(_) => {}
        }
    }
    if let Some(rejection) = refused_by_jsonb {
        return Err(rejection);
    }
    let mut ids = rules.id_from.iter().filter_map(|place| text_at(record, &json, place));
    Ok(Some(ids.find_map(id_of_text).unwrap_or_else(|| id_of_place(record, topic_id))))
}

/// The type, when a header has it before any place in the JSON is asked.
fn type_in_headers<'r>(record: &'r Record, rules: &Rules) -> Option<&'r [u8]> {
    let headers = rules.type_from.iter().take_while(|place| matches!(place, Place::Header(_)));
    headers.into_iter().find_map(|place| text_at(record, &[], place))
}

/// What stands at a place, if it is there and not empty.
fn text_at<'r>(record: &'r Record, json: &'r [Wanted], place: &Place) -> Option<&'r [u8]> {
    let text = match place {
        Place::Header(name) => {
            let mut headers = record.headers.iter().rev();
            headers.find(|header| header.name == name.as_bytes())?.value.as_deref()?
        }
        Place::Json(pointer) => {
            json.iter().find(|wanted| wanted.pointer == pointer)?.found.as_ref()?.text()?.as_bytes()
        }
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
