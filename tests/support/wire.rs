//! Kafka's own protocol, just enough of it to send records that no client library would.
//!
//! Produce request version 3 with one record batch of format 2 (Kafka protocol guide).

use std::io::{Read, Write};
use std::net::TcpStream;

use rules::record::Record;

/// Sends records to a partition of a topic with acks=all, as they are: names of headers may be any
/// bytes, and a record without a timestamp has -1. Returns the first one's offset.
pub fn produce(broker: &str, topic: &str, partition: i32, records: &[Record]) -> i64 {
    let mut request = Vec::new();
    request.extend(0i16.to_be_bytes()); // Produce
    request.extend(3i16.to_be_bytes()); // its version
    request.extend(7i32.to_be_bytes()); // correlation id
    text(&mut request, "test");
    request.extend((-1i16).to_be_bytes()); // no transactional id
    request.extend((-1i16).to_be_bytes()); // acks
    request.extend(10_000i32.to_be_bytes()); // timeout
    request.extend(1i32.to_be_bytes()); // one topic
    text(&mut request, topic);
    request.extend(1i32.to_be_bytes()); // one partition
    request.extend(partition.to_be_bytes());
    sized(&mut request, &batch(records));

    let mut socket = TcpStream::connect(broker).unwrap();
    let mut framed = Vec::new();
    sized(&mut framed, &request);
    socket.write_all(&framed).unwrap();
    let mut size = [0; 4];
    socket.read_exact(&mut size).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    socket.read_exact(&mut answer).unwrap();
    // Correlation id, one topic with its name, one partition with its number; then error and offset.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let error = i16::from_be_bytes(answer[at..at + 2].try_into().unwrap());
    assert_eq!(error, 0, "the broker refused the batch with this error code");
    i64::from_be_bytes(answer[at + 2..at + 10].try_into().unwrap())
}

fn batch(records: &[Record]) -> Vec<u8> {
    let first = records.first().and_then(|r| r.timestamp_ms).unwrap_or(-1);
    let last = records.iter().filter_map(|r| r.timestamp_ms).max().unwrap_or(-1);
    let count = records.len() as i32;
    let mut checked = Vec::new();
    checked.extend(0i16.to_be_bytes()); // attributes: plain, create time
    checked.extend((count - 1).to_be_bytes()); // last offset delta
    checked.extend(first.to_be_bytes());
    checked.extend(last.to_be_bytes());
    checked.extend((-1i64).to_be_bytes()); // no producer id
    checked.extend((-1i16).to_be_bytes()); // no producer epoch
    checked.extend((-1i32).to_be_bytes()); // no sequence
    checked.extend(count.to_be_bytes());
    for (number, record) in records.iter().enumerate() {
        let body = body(number, record, record.timestamp_ms.unwrap_or(-1) - first);
        varint(&mut checked, body.len() as i64);
        checked.extend(body);
    }
    let mut whole = Vec::new();
    whole.extend(0i64.to_be_bytes()); // base offset: the broker's to set
    whole.extend((4 + 1 + 4 + checked.len() as i32).to_be_bytes());
    whole.extend((-1i32).to_be_bytes()); // leader epoch: the broker's to set
    whole.push(2); // format
    whole.extend(crc32c(&checked).to_be_bytes());
    whole.extend(checked);
    whole
}

fn body(number: usize, record: &Record, later_ms: i64) -> Vec<u8> {
    let mut body = vec![0]; // attributes
    varint(&mut body, later_ms);
    varint(&mut body, number as i64);
    bytes(&mut body, record.key.as_deref());
    bytes(&mut body, record.value.as_deref());
    varint(&mut body, record.headers.len() as i64);
    for header in &record.headers {
        bytes(&mut body, Some(&header.name));
        bytes(&mut body, header.value.as_deref());
    }
    body
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as i16).to_be_bytes());
    to.extend(text.as_bytes());
}

fn sized(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as i32).to_be_bytes());
    to.extend(bytes);
}

fn bytes(to: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint(to, bytes.map_or(-1, |b| b.len() as i64));
    to.extend(bytes.unwrap_or_default());
}

/// A zigzag varint, as in Protocol Buffers.
fn varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// CRC-32C (Castagnoli), bit by bit: these batches are small.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
