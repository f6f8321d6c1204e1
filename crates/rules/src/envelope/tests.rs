use super::*;
use crate::ids::Offset;
use crate::record::Header;

const TOPIC: Uuid = Uuid::from_u128(7);
const ID: Uuid = Uuid::from_u128(0x0190_a1b2_c3d4_7e5f_8a9b_0c1d_2e3f_4a5b);
const EVENT: &str = r#"{"eventId":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "eventType":"PURCHASE_CONFIRMED","data":{"amount":"499.00"}}"#;

fn rules() -> Rules {
    let places = |names: &[&str]| names.iter().map(|name| name.parse().expect("a place")).collect();
    Rules {
        envelopes: Vec::new(),
        id_from: places(&["header:id", "header:ce_id", "json:/eventId"]),
        type_from: places(&["header:type", "header:ce_type", "json:/eventType", "json:/type"]),
        event_type: Some("PURCHASE_CONFIRMED".into()),
        max_bytes: 1 << 20,
    }
}

fn decode<'a>(record: &'a Record, topic_id: Uuid, rules: &Rules) -> Envelope<'a> {
    Reader::new(rules, &[]).decode(record, topic_id)
}

fn record(value: impl AsRef<[u8]>) -> Record {
    Record {
        partition: 2,
        offset: Offset(41),
        value: Some(value.as_ref().into()),
        ..Record::default()
    }
}

fn with_headers(value: &str, headers: &[(&str, Option<&[u8]>)]) -> Record {
    let header = |(name, value): &(&str, Option<&[u8]>)| Header {
        name: (*name).into(),
        value: value.map(Into::into),
    };
    Record { headers: headers.iter().map(header).collect(), ..record(value) }
}

fn id(record: &Record) -> Uuid {
    match decode(record, TOPIC, &Rules { event_type: None, ..rules() }) {
        Envelope::Event(event) => event.id,
        other => panic!("not an event: {other:?}"),
    }
}

fn reason(value: impl AsRef<[u8]>) -> Option<Reason> {
    match decode(&record(value), TOPIC, &rules()) {
        Envelope::Rejected(rejection) => Some(rejection.reason),
        _ => None,
    }
}

#[test]
fn an_event_keeps_its_id_and_its_text() {
    let record = record(EVENT);
    let expected = Event { id: ID, body: Body::read(EVENT, &[]), digest: digest(EVENT.as_bytes()) };
    assert_eq!(decode(&record, TOPIC, &rules()), Envelope::Event(expected));
}

#[test]
fn a_mappings_fields_are_found_as_if_nothing_else_had_been_looked_for() {
    let fields = ["uuid /eventId", "numeric(12,2) /data/amount", "text /data/currency"];
    let fields = fields.map(|line| line.parse().expect("a field line"));
    let (record, rules) = (with_headers(EVENT, &[("id", Some(b"17"))]), rules());
    let envelope = Reader::new(&rules, &fields).decode(&record, TOPIC);
    let Envelope::Event(event) = envelope else { panic!("not an event: {envelope:?}") };
    assert_eq!(event.body, Body::read(EVENT, &fields));
}

#[test]
fn every_spelling_of_a_uuid_is_the_same_event() {
    let plain = ID.to_string();
    for spelling in [
        plain.to_uppercase(),
        format!("{{{plain}}}"),
        format!("urn:uuid:{plain}"),
        plain.replace('-', ""),
    ] {
        assert_eq!(id(&record(format!(r#"{{"eventId":"{spelling}"}}"#))), ID, "{spelling}");
        assert_eq!(id(&with_headers("{}", &[("id", Some(spelling.as_bytes()))])), ID);
    }
}

#[test]
fn other_texts_and_numbers_are_ids_by_their_uuid_v5() {
    let v5 = |text: &[u8]| Uuid::new_v5(&ID_NAMESPACE, text);
    assert_eq!(id(&record(r#"{"eventId":"order-7"}"#)), v5(b"order-7"));
    assert_eq!(
        id(&record(r#"{"eventId":12345678901234567890123}"#)),
        v5(b"12345678901234567890123")
    );
    assert_eq!(id(&with_headers("{}", &[("id", Some(b"\xff\xfe"))])), v5(b"\xff\xfe"));
    let long = "x".repeat(10_000);
    assert_eq!(id(&record(format!(r#"{{"eventId":"{long}"}}"#))), v5(long.as_bytes()));
}

#[test]
fn null_empty_and_nil_are_no_ids_and_the_next_place_is_asked() {
    let nil = Uuid::nil().to_string();
    for absent in [None, Some(&b""[..]), Some(nil.as_bytes())] {
        assert_eq!(id(&with_headers(EVENT, &[("id", absent)])), ID);
    }
    assert_eq!(
        id(&with_headers(EVENT, &[("ce_id", Some(b"a"))])),
        id_of_text(b"a").expect("an id")
    );
}

#[test]
fn an_event_without_any_id_is_known_by_its_place_in_the_log() {
    let here = Uuid::new_v5(&TOPIC, b"2/41");
    let nil = format!(r#"{{"eventId":"{}"}}"#, Uuid::nil());
    for value in ["{}", r#"{"eventId":null}"#, r#"{"eventId":""}"#, r#"{"eventId":[1]}"#, &nil] {
        assert_eq!(id(&record(value)), here, "{value}");
    }
}

#[test]
fn the_last_of_several_headers_counts_and_names_are_bytes() {
    let two = with_headers("{}", &[("id", Some(b"a")), ("id", Some(b"b"))]);
    assert_eq!(id(&two), id_of_text(b"b").expect("an id"));
    let mut odd = with_headers(EVENT, &[("id", None)]);
    odd.headers.push(Header { name: vec![0xff, 0], value: Some(b"x".to_vec()) });
    assert_eq!(id(&odd), ID);
}

#[test]
fn another_type_is_foreign_and_no_type_is_rejected() {
    let decode = |record: &Record| matches!(decode(record, TOPIC, &rules()), Envelope::Foreign(_));
    assert!(decode(&record(r#"{"eventType":"REFUND"}"#)));
    assert!(decode(&record(r#"{"type":"REFUND","note":"\u0000"}"#)));
    assert!(decode(&with_headers("no JSON", &[("type", Some(b"REFUND"))])));
    assert!(decode(&with_headers("", &[("type", Some(b"\xff"))])));
    for value in ["{}", r#"{"eventType":null}"#, r#"{"eventType":""}"#, r#"{"eventType":{}}"#] {
        assert_eq!(reason(value), Some(Reason::NoType), "{value}");
    }
}

#[test]
fn the_first_place_that_has_a_type_counts() {
    let text = EVENT.replace("PURCHASE_CONFIRMED", "PURCHASE");
    let record = with_headers(&text, &[("type", Some(b"REFUND"))]);
    let mut rules = rules();
    assert_eq!(decode(&record, TOPIC, &rules), Envelope::Foreign("REFUND".to_owned()));
    rules.event_type = Some("PURCHASE".to_owned());
    rules.type_from.rotate_left(1);
    assert!(matches!(decode(&record, TOPIC, &rules), Envelope::Event(_)));
    rules.event_type = None;
    assert!(matches!(decode(&record, TOPIC, &rules), Envelope::Event(_)));
}

#[test]
fn a_type_that_may_be_meant_for_the_route_is_neither_applied_nor_ignored() {
    let unclear = |record: &Record| match decode(record, TOPIC, &rules()) {
        Envelope::Rejected(rejection) => rejection.reason == Reason::TypeUnclear,
        _ => false,
    };
    for name in
        ["purchase_confirmed", "PurchaseConfirmed", "PURCHASE-CONFIRMED ", "purchase.confirmed"]
    {
        assert!(unclear(&record(format!(r#"{{"eventType":"{name}"}}"#))), "{name}");
    }
    let quoted = with_headers("{}", &[("type", Some(b"\"PURCHASE_CONFIRMED\""))]);
    assert!(unclear(&quoted));
    for header in [&b"event"[..], b"com.shop.events.PurchaseConfirmed", b"\xff"] {
        assert!(unclear(&with_headers(EVENT, &[("type", Some(header))])), "{header:?}");
    }
    let refund = r#"{"eventType":"REFUND_CONFIRMED"}"#;
    assert!(unclear(&with_headers(refund, &[("type", Some(b"PURCHASE_CONFIRMED"))])));
    // Another place than the first may be about something else: a card's type for example.
    let card = r#"{"type":"card"}"#;
    let card = with_headers(card, &[("type", Some(b"PURCHASE_CONFIRMED"))]);
    assert!(matches!(decode(&card, TOPIC, &rules()), Envelope::Event(_)));
    for name in ["UNPURCHASE_CONFIRMED", "PURCHASE_CONFIRMED.v2", "REFUND"] {
        let value = format!(r#"{{"eventType":"{name}"}}"#);
        assert_eq!(decode(&record(&value), TOPIC, &rules()), Envelope::Foreign(name.to_owned()));
    }
}

#[test]
fn what_cannot_be_read_is_rejected_for_its_reason() {
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (value, expected) in [
        (&b""[..], Reason::Empty),
        (b"\0", Reason::NotJson),
        (b"\0\0\0\0\x07{}", Reason::SchemaFraming),
        (b"\xff", Reason::NotUtf8),
        (b"{\"a\":\"\xc0\xaf\"}", Reason::NotUtf8),
        (b"{\"a\":\"\xe9\"}", Reason::NotUtf8),
        (b"\x1f\x8b\x08\0", Reason::NotUtf8),
        (&utf16, Reason::NotJson),
        (b"[]", Reason::NotAnObject),
        (b"{\"a\":1,\"a\":2}", Reason::DuplicateKey),
    ] {
        assert_eq!(reason(value), Some(expected), "{value:?}");
    }
    let nul = EVENT.replace("499.00", "\\u0000");
    assert_eq!(reason(nul), Some(Reason::NulInText));
}

#[test]
fn the_limit_counts_the_values_bytes() {
    let long = format!("{EVENT}{}", " ".repeat((1 << 20) - EVENT.len()));
    assert_eq!(reason(&long), None);
    assert_eq!(reason(format!("{long} ")), Some(Reason::Oversize));
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_payload() {
    let record = record(format!("\u{feff}{EVENT}\n"));
    let Envelope::Event(event) = decode(&record, TOPIC, &rules()) else { panic!("not an event") };
    assert_eq!(event.body.text, format!("{EVENT}\n"));
    assert_ne!(event.digest, digest(EVENT.as_bytes()));
}

#[test]
fn a_null_value_is_a_tombstone_whatever_its_headers() {
    let record = Record { value: None, ..with_headers("", &[("type", Some(b"REFUND"))]) };
    assert_eq!(decode(&record, TOPIC, &rules()), Envelope::Tombstone);
}

#[test]
fn details_never_repeat_the_record() {
    for value in [
        "{\"canary\":1,\"canary\":2}",
        "{\"a\":canary}",
        "canary",
        "\"canary\"",
        "{\"canary\":\"\\ud800\"}",
        "{\"canary\":1e999}",
        "{\"canary\":\"\\u0000\"}",
        "{}canary",
    ] {
        let record = record(value);
        let Envelope::Rejected(rejection) = decode(&record, TOPIC, &rules()) else {
            panic!("{value} was not rejected")
        };
        assert!(!rejection.detail.contains("canary"), "{}", rejection.detail);
        assert!(!rejection.detail.is_empty());
    }
}

/// The expected values were made with Python's `uuid` and `hashlib`.
#[test]
fn ids_never_change_between_versions() {
    assert_eq!(
        id_of_text(b"order-7").map(|id| id.to_string()).as_deref(),
        Some("d2347332-3561-51e4-86b9-880910f40aef"),
    );
    assert_eq!(digest(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    let reused = reused_id(ID, &digest(b"abc"));
    assert_eq!(reused.to_string(), "8ee1d45c-7df3-575b-86ba-7daefa003159");
}

/// The records of one event in every envelope that people use, and what stands beside them.
fn in_envelopes() -> Vec<Record> {
    let text = |json: &str| serde_json::to_string(json).unwrap();
    let data = r#"{"data":{"amount":"499.00"}}"#;
    [
        text(EVENT).into_bytes(),
        [&[0, 0, 0, 0, 9], EVENT.as_bytes()].concat(),
        [&[0, 0, 0, 0, 0, 0, 0, 0, 9], EVENT.as_bytes()].concat(),
        format!("[{EVENT}]").into_bytes(),
        format!(r#"{{"schema":{{}},"payload":{}}}"#, text(EVENT)).into_bytes(),
        format!(
            r#"{{"op":"c","before":null,"after":{{"id":"{ID}","type":"PURCHASE_CONFIRMED","payload":{}}}}}"#,
            text(data)
        )
        .into_bytes(),
        format!(r#"{{"specversion":"1.0","id":"{ID}","type":"PURCHASE_CONFIRMED","data":{data}}}"#)
            .into_bytes(),
    ]
    .map(record)
    .into()
}

#[test]
fn the_line_in_the_message_reads_what_is_in_an_envelope() {
    let fields = ["text /data/amount".parse().unwrap()];
    for record in in_envelopes() {
        let plain = rules();
        let reader = Reader::new(&plain, &fields);
        let Envelope::Rejected(rejection) = reader.decode(&record, TOPIC) else {
            panic!("{record:?} was taken")
        };
        assert_eq!(reader.id_as_far_as_readable(&record), Some(ID), "{record:?}");
        let (_, line) = rejection.detail.split_once("envelopes = ").expect(&rejection.detail);
        let names: Vec<String> = serde_json::from_str(line).unwrap();
        let envelopes = names.iter().map(|name| name.parse().unwrap()).collect();
        let mended = Rules { envelopes, ..rules() };
        let Envelope::Event(event) = Reader::new(&mended, &fields).decode(&record, TOPIC) else {
            panic!("{record:?} is not read with {line}")
        };
        assert_eq!(event.id, ID);
        assert!(event.body.value(0).is_some());
        assert_eq!(event.digest, digest(record.value.as_deref().unwrap()));
    }
}

#[test]
fn an_envelope_around_what_the_mapping_does_not_read_is_no_event() {
    let fields = ["text /data/amount".parse().unwrap()];
    let every = Rules { event_type: None, ..rules() };
    let value = format!(r#"{{"schema":{{}},"payload":{EVENT}}}"#);
    let rejected = |rules: &Rules, value: &str| match Reader::new(rules, &fields)
        .decode(&record(value), TOPIC)
    {
        Envelope::Rejected(rejection) => Some(rejection),
        _ => None,
    };
    let rejection = rejected(&every, &value).unwrap();
    assert_eq!(rejection.reason, Reason::Wrapped);
    assert!(
        rejection.detail.ends_with(r#"envelopes = ["json_converter"]"#),
        "{}",
        rejection.detail
    );
    // Whoever reads the envelope in the mapping goes on doing so.
    let fields = ["text /payload/data/amount".parse().unwrap()];
    let own = record(value);
    assert!(matches!(Reader::new(&every, &fields).decode(&own, TOPIC), Envelope::Event(_)));
    let other = Rules { event_type: Some("OTHER".into()), ..rules() };
    let wrapped = Rules { envelopes: vec![Framing::JsonConverter], ..other };
    assert!(matches!(Reader::new(&wrapped, &[]).decode(&own, TOPIC), Envelope::Foreign(_)));
}
