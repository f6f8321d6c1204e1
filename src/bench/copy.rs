//! The limit: COPY of the rows that makegood writes, encoded beforehand, over two connections.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use tokio_postgres::Client;
use tokio_postgres::types::private::BytesMut;

use super::load::Payment;
use super::{postgres, system};
use crate::pure::envelope;
use crate::pure::problem::Problem;

const INBOX: &str = "COPY makegood.inbox (event_id, \"offset\", event_at, partition, route_id, digest, outcome, \
    business_key, reused_id, detail) FROM STDIN (FORMAT binary)";
const PURCHASES: &str = "COPY student_course_purchases (payment_id, student_id, course_id, amount, currency, \
    event_id, purchased_at) FROM STDIN (FORMAT binary)";
/// Seconds from 1970 to 2000, where PostgreSQL's clock begins.
const POSTGRES_EPOCH: i64 = 946_684_800;
/// Bytes of one message to the server.
const CHUNK: usize = 64 * 1024;

/// What one connection writes, in the binary form of COPY.
struct Share {
    inbox: BytesMut,
    purchases: BytesMut,
}

/// Writes the rows of the first `count` payments, half of them on each connection: one transaction
/// with one COPY a table, which is as fast as rows get into these tables. Returns the time from the
/// first BEGIN to the last COMMIT, without the encoding.
pub async fn measure(
    clients: [&Client; 2],
    count: usize,
    partitions: usize,
) -> Result<Duration, Problem> {
    let half = count / 2;
    let (one, two) = (share(0..half, partitions), share(half..count, partitions));
    let began = Instant::now();
    let outcome = tokio::try_join!(write(clients[0], one), write(clients[1], two));
    let took = began.elapsed();
    match outcome.map_err(|e| postgres(&e))? {
        (one, two) if one + two == 2 * count as u64 => Ok(took),
        (one, two) => Err(system(format!("COPY wrote {one} and {two} rows of {}", 2 * count))),
    }
}

async fn write(client: &Client, share: Share) -> Result<u64, tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let rows =
        copy(client, PURCHASES, share.purchases).await? + copy(client, INBOX, share.inbox).await?;
    client.batch_execute("COMMIT").await?;
    Ok(rows)
}

async fn copy(
    client: &Client,
    sql: &str,
    mut bytes: BytesMut,
) -> Result<u64, tokio_postgres::Error> {
    let mut sink = Box::pin(client.copy_in(sql).await?);
    while !bytes.is_empty() {
        let chunk = bytes.split_to(bytes.len().min(CHUNK));
        sink.send(chunk.freeze()).await?;
    }
    sink.as_mut().finish().await
}

fn share(numbers: Range<usize>, partitions: usize) -> Share {
    let mut share = Share { inbox: start(), purchases: start() };
    for number in numbers {
        let payment = Payment::numbered(number);
        inbox_row(&mut share.inbox, &payment, number, partitions);
        purchase_row(&mut share.purchases, &payment);
    }
    for bytes in [&mut share.inbox, &mut share.purchases] {
        bytes.extend_from_slice(&(-1i16).to_be_bytes());
    }
    share
}

fn inbox_row(out: &mut BytesMut, payment: &Payment, number: usize, partitions: usize) {
    out.extend_from_slice(&10i16.to_be_bytes());
    field(out, payment.event.as_bytes());
    field(out, &((number / partitions) as i64).to_be_bytes());
    field(out, &time(payment.paid_at));
    field(out, &((number % partitions) as i32).to_be_bytes());
    field(out, &1i16.to_be_bytes());
    field(out, &envelope::digest(payment.json().as_bytes()));
    field(out, b"applied");
    field(out, payment.id.to_string().as_bytes());
    null(out);
    null(out);
}

fn purchase_row(out: &mut BytesMut, payment: &Payment) {
    out.extend_from_slice(&7i16.to_be_bytes());
    field(out, payment.id.as_bytes());
    field(out, payment.student.as_bytes());
    field(out, payment.course.as_bytes());
    field(out, &amount(payment.cents));
    field(out, b"INR");
    field(out, payment.event.as_bytes());
    field(out, &time(payment.paid_at));
}

/// The signature, no flags, no extension (PostgreSQL docs, COPY, "Binary Format").
fn start() -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

fn field(out: &mut BytesMut, value: &[u8]) {
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value);
}

fn null(out: &mut BytesMut) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}

fn time(seconds: i64) -> [u8; 8] {
    ((seconds - POSTGRES_EPOCH) * 1_000_000).to_be_bytes()
}

/// A numeric below 10000 with two decimals: two digits of base 10000, the first before the point
/// (PostgreSQL, `numeric_recv`).
fn amount(cents: u32) -> [u8; 12] {
    let (whole, part) = (cents / 100, cents % 100 * 100);
    let mut bytes = [0; 12];
    // Digits, weight, sign, decimals shown, then the digits.
    for (place, value) in [2, 0, 0, 2, whole as u16, part as u16].into_iter().enumerate() {
        bytes[place * 2..place * 2 + 2].copy_from_slice(&value.to_be_bytes());
    }
    bytes
}
