use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;

const MOST: usize = 1000;
const EVENT: &str = r#"{"a":1}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn glue(compression: u8, rest: &[u8]) -> Vec<u8> {
    [&[3, compression][..], &[7; 16], rest].concat()
}

fn text(json: &str) -> String {
    serde_json::to_string(json).unwrap()
}

/// Each envelope around the event, and what it is called in words.
fn wrapped() -> Vec<(Framing, Vec<u8>, &'static str)> {
    let prefixed = |prefix: &[u8]| [prefix, EVENT.as_bytes()].concat();
    vec![
        (Framing::Gzip, gzip(EVENT.as_bytes()), "gzip"),
        (Framing::Glue, glue(0, EVENT.as_bytes()), "Glue"),
        (Framing::Glue, glue(5, &zlib(EVENT.as_bytes())), "Glue"),
        (Framing::Confluent, prefixed(&[0, 0, 1, 0x86, 0xa7]), "plain JSON begins at byte 5"),
        (
            Framing::Apicurio,
            prefixed(&[0, 0, 0, 0, 0, 0, 0, 0, 7]),
            "Apicurio's framing; plain JSON begins at byte 9",
        ),
        (Framing::JsonText, text(EVENT).into_bytes(), "encoded twice"),
        (Framing::ArrayOfOne, format!(" [ {EVENT} ]").into_bytes(), "a list of one event"),
        (
            Framing::JsonConverter,
            format!("\u{feff}{{\"schema\":{{}}, \"payload\": {EVENT} }}").into_bytes(),
            "JsonConverter",
        ),
        (
            Framing::CloudEvents,
            format!(r#"{{"specversion":"1.0","id":"x","data":{EVENT}}}"#).into_bytes(),
            "CloudEvent",
        ),
        (
            Framing::CloudEvents,
            br#"{"specversion":"1.0","id":"x","data_base64":"eyJhIjoxfQ=="}"#.to_vec(),
            "CloudEvent",
        ),
        (
            Framing::Debezium,
            format!(r#"{{"before":null,"after":{EVENT},"source":{{}},"op":"c"}}"#).into_bytes(),
            "Debezium",
        ),
        (
            Framing::OutboxRow,
            format!(r#"{{"id":"x","type":"PAID","payload":{EVENT}}}"#).into_bytes(),
            "outbox",
        ),
    ]
}

fn inside(value: &[u8], framings: &[Framing]) -> Option<Vec<u8>> {
    unwrap(value, framings, MOST).unwrap().value.map(Cow::into_owned)
}

#[test]
fn each_envelope_is_named_and_taken_off_and_nothing_else_is() {
    for (framing, value, words) in wrapped() {
        let named = named(&value, MOST).unwrap_or_default();
        assert!(named.contains(words), "{framing}: {named}");
        assert_eq!(inside(&value, &[framing]).as_deref(), Some(EVENT.as_bytes()), "{framing}");
        assert_eq!(layers(&value, MOST)[0].0, [framing]);
        let others: Vec<Framing> = ALL.into_iter().filter(|other| *other != framing).collect();
        assert_eq!(inside(&value, &others).as_deref(), Some(value.as_slice()), "{framing}");
        assert_eq!(framing.name().parse(), Ok(framing));
    }
    assert!("json-text".parse::<Framing>().unwrap_err().contains("json_text"));
}

#[test]
fn what_is_no_envelope_stays_as_it_is() {
    for value in [
        &b""[..],
        b"null",
        b"[]",
        b"[1]",
        br#""x""#,
        br#"{"a":1}"#,
        b"\0",
        b"\xff\xfe",
        br#"{"schema":1,"payload":{},"other":2}"#,
        br#"{"after":{},"op":"deliver"}"#,
        br#"{"payload":{}}"#,
        br#"{"specversion":"1.0"}"#,
    ] {
        assert_eq!(named(value, MOST), None, "{value:?}");
        assert_eq!(inside(value, &ALL).as_deref(), Some(value), "{value:?}");
    }
    assert_eq!(named(br#"[{"a":1},{"a":2}]"#, MOST).unwrap(), "a list of 2 events");
    assert!(named(&[0, 0, 0, 0, 42, 2, 8], MOST).unwrap().contains("Avro or Protobuf"));
}

#[test]
fn nested_ones_are_taken_off_in_the_order_of_the_list() {
    let twice = format!(r#"{{"schema":{{"type":"string"}},"payload":{}}}"#, text(EVENT));
    let value = gzip(twice.as_bytes());
    let list = [Framing::Gzip, Framing::JsonConverter, Framing::JsonText];
    assert_eq!(inside(&value, &list).as_deref(), Some(EVENT.as_bytes()));
    assert_eq!(layers(&value, MOST).last().unwrap().0, list);
    let otherwise = [Framing::JsonText, Framing::JsonConverter, Framing::Gzip];
    assert_eq!(inside(&value, &otherwise).as_deref(), Some(twice.as_bytes()));
}

#[test]
fn nothing_is_unpacked_beyond_the_limit() {
    let bomb = gzip(&vec![b' '; MOST + 1]);
    let refused = unwrap(&bomb, &[Framing::Gzip], MOST).unwrap_err();
    assert_eq!(refused.reason, Reason::Oversize);
    assert!(refused.detail.contains("unpacks to more than 1000 bytes"), "{}", refused.detail);
    assert!(unwrap(&gzip(&[b' '; MOST]), &[Framing::Gzip], MOST).is_ok());
    let half = &gzip(EVENT.as_bytes())[..15];
    assert_eq!(unwrap(half, &[Framing::Gzip], MOST).unwrap_err().reason, Reason::BrokenEnvelope);
    let broken = br#"{"specversion":"1.0","data_base64":"%"}"#;
    let refused = unwrap(broken, &[Framing::CloudEvents], MOST).unwrap_err();
    assert_eq!(refused.reason, Reason::BrokenEnvelope);
}

#[test]
fn what_stands_beside_an_event_counts_as_headers() {
    let event = br#"{"specversion":"1.0","id":"x","type":"PAID","n":1,"data":{}}"#;
    let of = |value: &[u8], framing| unwrap(value, &[framing], MOST).unwrap().headers;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        of(event, Framing::CloudEvents),
        [pair("ce_specversion", "1.0"), pair("ce_id", "x"), pair("ce_type", "PAID")]
    );
    let row = br#"{"id":17,"event_id":"e","event_type":"PAID","type":"x","payload":"{}"}"#;
    assert_eq!(of(row, Framing::OutboxRow), [pair("id", "e"), pair("type", "PAID")]);
    let row = br#"{"id":17,"payload":{}}"#;
    assert_eq!(of(row, Framing::OutboxRow), []);
}

#[test]
fn a_row_that_is_gone_and_a_null_hold_nothing() {
    for (value, framing) in [
        (&br#"{"before":{"id":1},"after":null,"op":"d"}"#[..], Framing::Debezium),
        (br#"{"schema":null,"payload":null}"#, Framing::JsonConverter),
    ] {
        assert_eq!(inside(value, &[framing]), None);
    }
    let twice = br#"{"schema":{},"payload":{"a":1},"payload":{"a":2}}"#;
    let refused = unwrap(twice, &[Framing::JsonConverter], MOST).unwrap_err();
    assert_eq!(refused.reason, Reason::DuplicateKey);
}

#[test]
fn a_list_for_two_shapes_of_records_keeps_the_order_of_both() {
    use Framing::{Gzip, JsonConverter, JsonText};
    assert_eq!(both(&[], &[JsonText]), [JsonText]);
    assert_eq!(both(&[Gzip, JsonText], &[JsonText]), [Gzip, JsonText]);
    assert_eq!(both(&[Gzip, JsonText], &[Gzip, JsonConverter]), [Gzip, JsonConverter, JsonText]);
    assert_eq!(both(&[JsonText], &[Gzip, JsonText]), [Gzip, JsonText]);
}
