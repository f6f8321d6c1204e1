//! Reads the spans of an OTLP request: Protocol Buffers by their wire format, the fields by the numbers of
//! opentelemetry/proto/trace/v1/trace.proto.

use std::collections::BTreeMap;

/// One span as the collector gets it.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty for the first one of a trace.
    pub parent: String,
    pub name: String,
    pub from: u64,
    pub to: u64,
    /// Texts and numbers.
    pub about: BTreeMap<String, String>,
    /// Trace and span of each link.
    pub links: Vec<(String, String)>,
    /// The message of a status that says error.
    pub error: Option<String>,
}

/// The spans of an `ExportTraceServiceRequest`, and the attributes of whoever sent them.
pub fn spans(request: &[u8]) -> Vec<(Span, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    for resource_spans in nested(request, 1) {
        let resource: BTreeMap<_, _> =
            nested(resource_spans, 1).flat_map(|r| nested(r, 1)).map(attribute).collect();
        let spans = nested(resource_spans, 2).flat_map(|scope| nested(scope, 2));
        found.extend(spans.map(|bytes| (span(bytes), resource.clone())));
    }
    found
}

fn span(bytes: &[u8]) -> Span {
    let status = nested(bytes, 15).next().unwrap_or_default();
    let is_error = fields(status).iter().any(|f| matches!(f, (3, Value::Number(2))));
    Span {
        trace: nested(bytes, 1).map(hex).collect(),
        id: nested(bytes, 2).map(hex).collect(),
        parent: nested(bytes, 4).map(hex).collect(),
        name: nested(bytes, 5).map(text).collect(),
        from: number(bytes, 7),
        to: number(bytes, 8),
        about: nested(bytes, 9).map(attribute).collect(),
        links: nested(bytes, 13)
            .map(|link| (nested(link, 1).map(hex).collect(), nested(link, 2).map(hex).collect()))
            .collect(),
        error: is_error.then(|| nested(status, 2).map(text).collect()),
    }
}

fn attribute(bytes: &[u8]) -> (String, String) {
    let value = nested(bytes, 2).next().unwrap();
    let value = match fields(value).first() {
        Some((1, Value::Bytes(bytes))) => text(bytes),
        Some((3, Value::Number(number))) => number.to_string(),
        other => panic!("an attribute of another kind: {other:?}"),
    };
    (nested(bytes, 1).map(text).collect(), value)
}

#[derive(Debug)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            1 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes);
                Value::Bytes(take(&mut bytes, usize::try_from(length).unwrap()))
            }
            5 => {
                let fixed = take(&mut bytes, 4).try_into().unwrap();
                Value::Number(u64::from(u32::from_le_bytes(fixed)))
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
    }
    panic!("a number without an end");
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn nested(bytes: &[u8], field: u64) -> impl Iterator<Item = &[u8]> {
    fields(bytes).into_iter().filter_map(move |(number, value)| match value {
        Value::Bytes(bytes) if number == field => Some(bytes),
        _ => None,
    })
}

fn number(bytes: &[u8], field: u64) -> u64 {
    let found = fields(bytes).into_iter().find_map(|(number, value)| match value {
        Value::Number(value) if number == field => Some(value),
        _ => None,
    });
    found.unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
