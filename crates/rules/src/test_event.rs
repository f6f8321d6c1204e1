//! A test event made from a real one: the same data under an event id of its own.

use serde_json::Value;
use uuid::Uuid;

use super::envelope::{Envelope, Reader, Rules};
use super::field_path::FieldPath;
use super::framing;
use super::record::{Header, Record};

/// Why a record cannot serve as a test event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnfitRecord {
    /// It is of another type than the route takes.
    OtherType,
    /// It is no event at all; the reason in a sentence without its contents.
    NoEvent(String),
}

/// A copy of a record under a new event id, with its key and the headers that say its type; other
/// headers and envelopes are left out. The id replaces every one that the record has, wherever the route looks for
/// one. `topic_id` is only needed to read the record as the route would.
pub fn with_id(
    record: &Record,
    topic_id: Uuid,
    rules: &Rules,
    id: Uuid,
) -> Result<Record, UnfitRecord> {
    fits(record, topic_id, rules)?;
    let mut copy = Record { key: record.key.clone(), ..Record::default() };
    copy.headers = record.headers.iter().filter_map(|h| header(h, rules, id)).collect();
    let value = record.value.as_deref().unwrap_or_default();
    let inside = framing::unwrap(value, &rules.envelopes, rules.max_bytes);
    let inside = inside.map_err(|rejection| UnfitRecord::NoEvent(rejection.detail))?;
    for (name, value) in inside.headers {
        let own = Header { name: name.into_bytes(), value: Some(value.into_bytes()) };
        copy.headers.extend(header(&own, rules, id));
    }
    copy.value = inside.value.map(|value| renamed(&value, rules, id));
    // The copy must be read as the original was; a type that stood in an id's place would be gone.
    fits(&copy, topic_id, rules)?;
    Ok(copy)
}

fn fits(record: &Record, topic_id: Uuid, rules: &Rules) -> Result<(), UnfitRecord> {
    match Reader::new(rules, &[]).decode(record, topic_id) {
        Envelope::Event(_) => Ok(()),
        Envelope::Foreign(_) => Err(UnfitRecord::OtherType),
        Envelope::Tombstone => Err(UnfitRecord::NoEvent("it has no value".to_owned())),
        Envelope::Rejected(rejection) => Err(UnfitRecord::NoEvent(rejection.detail)),
    }
}

fn header(header: &Header, rules: &Rules, id: Uuid) -> Option<Header> {
    let is_in = |places: &[FieldPath]| {
        places
            .iter()
            .any(|p| matches!(p, FieldPath::Header(name) if name.as_bytes() == header.name))
    };
    if is_in(&rules.id_from) {
        let value = Some(id.to_string().into_bytes());
        return Some(Header { name: header.name.clone(), value });
    }
    is_in(&rules.type_from).then(|| header.clone())
}

/// The value with the id at every pointer of the route that leads to a text.
fn renamed(value: &[u8], rules: &Rules, id: Uuid) -> Vec<u8> {
    let text = value.strip_prefix("\u{feff}".as_bytes()).unwrap_or(value);
    let Ok(mut json) = serde_json::from_slice::<Value>(text) else { return value.to_vec() };
    for place in &rules.id_from {
        if let FieldPath::Json(pointer) = place
            && let Some(found) = json.pointer_mut(pointer)
            && (found.is_string() || found.is_number())
        {
            *found = Value::String(id.to_string());
        }
    }
    json.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            envelopes: Vec::new(),
            id_from: vec![FieldPath::Header("id".into()), FieldPath::Json("/eventId".into())],
            type_from: vec![FieldPath::Header("type".into()), FieldPath::Json("/eventType".into())],
            event_type: Some("PAID".to_owned()),
            max_bytes: 1000,
        }
    }

    fn record(headers: &[(&str, &str)], value: &str) -> Record {
        Record {
            key: Some(b"k".to_vec()),
            value: Some(value.as_bytes().to_vec()),
            timestamp_ms: Some(5),
            headers: (headers.iter())
                .map(|(name, value)| Header {
                    name: name.as_bytes().to_vec(),
                    value: Some(value.as_bytes().to_vec()),
                })
                .collect(),
            ..Record::default()
        }
    }

    const ID: Uuid = Uuid::from_u128(7);

    fn id_of(record: &Record) -> Uuid {
        match Reader::new(&rules(), &[]).decode(record, Uuid::from_u128(1)) {
            Envelope::Event(event) => event.id,
            other => panic!("{other:?} is no event"),
        }
    }

    #[test]
    fn a_copy_has_the_data_and_another_id() {
        let real = record(&[], r#"{"eventId":"e1","eventType":"PAID","data":{"paymentId":"p1"}}"#);
        let copy = with_id(&real, Uuid::nil(), &rules(), ID).unwrap();
        assert_eq!(id_of(&copy), ID);
        assert_eq!(copy.key, real.key);
        assert_eq!(copy.timestamp_ms, None, "it is sent now");
        let json: Value = serde_json::from_slice(copy.value.as_deref().unwrap()).unwrap();
        assert_eq!(json["data"]["paymentId"], "p1");
    }

    #[test]
    fn an_id_in_a_header_is_replaced_and_strange_headers_are_left_out() {
        let real = record(&[("id", "e1"), ("type", "PAID"), ("trace", "t")], r#"{"x":1}"#);
        let copy = with_id(&real, Uuid::nil(), &rules(), ID).unwrap();
        assert_eq!(id_of(&copy), ID);
        let names: Vec<_> = copy.headers.iter().map(|h| h.name.as_slice()).collect();
        assert_eq!(names, [b"id".as_slice(), b"type"]);
    }

    #[test]
    fn a_copy_of_a_wrapped_event_is_a_plain_one() {
        let rules = Rules { envelopes: vec!["cloudevents".parse().unwrap()], ..rules() };
        let rules = Rules {
            id_from: vec![FieldPath::Header("ce_id".into())],
            type_from: vec![FieldPath::Header("ce_type".into())],
            ..rules
        };
        let text = r#"{"specversion":"1.0","id":"e1","type":"PAID","source":"/","data":{"paymentId":"p1"}}"#;
        let copy = with_id(&record(&[], text), Uuid::nil(), &rules, ID).unwrap();
        assert_eq!(copy.value.as_deref(), Some(br#"{"paymentId":"p1"}"#.as_slice()));
        match Reader::new(&rules, &[]).decode(&copy, Uuid::from_u128(1)) {
            Envelope::Event(event) => assert_eq!(event.id, ID),
            other => panic!("{other:?} is no event"),
        }
    }

    #[test]
    fn what_the_route_would_not_take_is_refused() {
        let made = |value: &str| with_id(&record(&[], value), Uuid::nil(), &rules(), ID);
        assert_eq!(made(r#"{"eventType":"REFUNDED"}"#), Err(UnfitRecord::OtherType));
        assert!(matches!(made("not json"), Err(UnfitRecord::NoEvent(_))));
        assert!(matches!(
            with_id(&Record::default(), Uuid::nil(), &rules(), ID),
            Err(UnfitRecord::NoEvent(_))
        ));
    }
}
