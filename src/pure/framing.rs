//! What a value looks like that is no event as it stands: JSON in something else. It is named, so that people know what
//! the producer has to leave out.

use serde_json::Value;

/// In words, if it is known.
pub fn named(value: &[u8]) -> Option<String> {
    // A prefix, then an object: Confluent's of five bytes, Apicurio's of nine, AWS Glue's of eighteen.
    let begins = |at: usize| value.get(at).is_some_and(|byte| *byte == b'{');
    let prefixed = |what: &str, at: usize| Some(format!("{what}; plain JSON begins at byte {at}"));
    match value {
        [0x1f, 0x8b, ..] => Some("gzip, by the application".to_owned()),
        [3, 0 | 5, ..] if begins(18) => prefixed("AWS Glue's framing", 18),
        [3, 5, ..] if value.len() > 18 => Some("AWS Glue's framing, compressed".to_owned()),
        [0, 0, 0, 0, 0, ..] if begins(9) => prefixed("Apicurio's framing", 9),
        [0, ..] if begins(5) => prefixed("a schema registry's framing", 5),
        [0, ..] if value.len() > 5 => {
            Some("a schema registry's framing around Avro or Protobuf".to_owned())
        }
        [first, ..] if b"\"[{".contains(first) => {
            wrapped(&serde_json::from_slice(value).ok()?).map(str::to_owned)
        }
        _ => None,
    }
}

fn wrapped(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) if text.trim_start().starts_with('{') => {
            Some("a JSON text that holds JSON: it was encoded twice")
        }
        Value::Array(items) if items.len() == 1 && items[0].is_object() => {
            Some("a list of one event")
        }
        Value::Object(members) => {
            let has = |names: &[&str]| names.iter().all(|name| members.contains_key(*name));
            if has(&["schema", "payload"]) {
                Some("Kafka Connect's JsonConverter with schemas: {schema, payload}")
            } else if has(&["before", "after", "op"]) {
                Some("Debezium's change event of a table")
            } else if has(&["specversion", "data"]) {
                Some("a structured CloudEvent")
            } else {
                None
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrap_events_in_is_named() {
        let prefixed = |prefix: &[u8]| [prefix, br#"{"a":1}"#].concat();
        let glue = [&[3, 0][..], &[7; 16]].concat();
        for (value, words) in [
            (prefixed(&[0, 0, 1, 0x86, 0xa7]), "plain JSON begins at byte 5"),
            (
                prefixed(&[0, 0, 0, 0, 0, 0, 0, 0, 7]),
                "Apicurio's framing; plain JSON begins at byte 9",
            ),
            (prefixed(&glue), "AWS Glue's framing; plain JSON begins at byte 18"),
            (vec![0, 0, 0, 0, 42, 2, 8], "Avro or Protobuf"),
            (vec![0x1f, 0x8b, 8, 0], "gzip"),
            (br#""{\"a\":1}""#.to_vec(), "encoded twice"),
            (br#"[{"a":1}]"#.to_vec(), "a list of one event"),
            (br#"{"schema":{},"payload":{"a":1}}"#.to_vec(), "JsonConverter"),
            (br#"{"before":null,"after":{},"op":"c"}"#.to_vec(), "Debezium"),
            (br#"{"specversion":"1.0","id":"x","data":{}}"#.to_vec(), "CloudEvent"),
        ] {
            let named = named(&value).unwrap_or_default();
            assert!(named.contains(words), "{value:?}: {named}");
        }
        for value in
            [&b""[..], b"null", b"[]", b"[1]", br#""x""#, br#"{"a":1}"#, b"\0", b"\xff\xfe"]
        {
            assert_eq!(named(value), None, "{value:?}");
        }
    }
}
