//! The limit: COPY of the rows that makegood writes, made beforehand, over two connections.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use jiff::Timestamp;
use tokio_postgres::Client;
use uuid::Uuid;

use super::load::Payment;
use super::{postgres, system};
use rules::envelope;
use rules::problem::Problem;
use store::copy::{self, CopyRows};

const INBOX: &str = "COPY makegood.inbox (event_id, \"offset\", event_at, partition, route_id, digest, outcome, \
    business_key, reused_id, detail) FROM STDIN";
const PURCHASES: &str = "COPY student_course_purchases (payment_id, student_id, course_id, amount, currency, \
    event_id, purchased_at) FROM STDIN";

/// About what one row takes.
const ROW_BYTES: usize = 192;

/// How COPY is given the rows.
#[derive(Clone, Copy)]
pub enum Form {
    /// As lines of text, as dumps, `psql` and most programs write them; the server parses them.
    Text,
    /// Each value as the server keeps it.
    Binary,
}

/// Which tables are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// The host's and makegood's.
    Both,
    /// The host's alone.
    Purchases,
}

/// What one connection writes.
struct Share {
    /// Of no use where the host's table alone is written.
    inbox: Option<Table>,
    purchases: Table,
}

enum Table {
    Text(BytesMut),
    Binary(CopyRows),
}

impl Table {
    async fn send(self, client: &Client, copy: &str) -> Result<u64, tokio_postgres::Error> {
        match self {
            Table::Text(lines) => copy::send(client, copy, lines).await,
            Table::Binary(rows) => rows.send(client, &format!("{copy} (FORMAT binary)")).await,
        }
    }
}

/// Writes the rows of the payments of those numbers, half of them on each connection: one transaction
/// with one COPY a table, which is as fast as rows get into these tables. Returns the time from the
/// first BEGIN to the last COMMIT, without the encoding.
pub async fn measure(
    clients: [&Client; 2],
    form: Form,
    into: Tables,
    numbers: Range<usize>,
    partitions: usize,
) -> Result<Duration, Problem> {
    let half = numbers.start + numbers.len() / 2;
    let rows = numbers.len() * if into == Tables::Both { 2 } else { 1 };
    let halves = [numbers.start..half, half..numbers.end];
    let [one, two] = halves.map(|numbers| share(form, into, numbers, partitions));
    let began = Instant::now();
    let outcome = tokio::try_join!(write(clients[0], one), write(clients[1], two));
    let took = began.elapsed();
    match outcome.map_err(|e| postgres(&e))? {
        (one, two) if one + two == rows as u64 => Ok(took),
        (one, two) => Err(system(format!("COPY wrote {one} and {two} rows of {rows}"))),
    }
}

async fn write(client: &Client, share: Share) -> Result<u64, tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let mut rows = share.purchases.send(client, PURCHASES).await?;
    if let Some(inbox) = share.inbox {
        rows += inbox.send(client, INBOX).await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(rows)
}

fn share(form: Form, into: Tables, numbers: Range<usize>, partitions: usize) -> Share {
    let both = into == Tables::Both;
    let payments = numbers.clone().map(|number| (number, Payment::numbered(number)));
    match form {
        Form::Text => {
            let (mut inbox, mut purchases) = (String::new(), String::new());
            for (number, payment) in payments {
                if both {
                    inbox += &inbox_line(&payment, number, partitions);
                }
                purchases += &purchase_line(&payment);
            }
            let table = |lines: String| Table::Text(BytesMut::from(lines.as_bytes()));
            Share { inbox: both.then(|| table(inbox)), purchases: table(purchases) }
        }
        Form::Binary => {
            let empty = || CopyRows::with_capacity(numbers.len() * ROW_BYTES);
            let (mut inbox, mut purchases) = (empty(), empty());
            for (number, payment) in payments {
                if both {
                    inbox_row(&mut inbox, &payment, number, partitions);
                }
                purchase_row(&mut purchases, &payment);
            }
            Share {
                inbox: both.then_some(Table::Binary(inbox)),
                purchases: Table::Binary(purchases),
            }
        }
    }
}

pub(super) fn digest(payment: &Payment) -> [u8; 16] {
    envelope::digest(payment.json().as_bytes())
}

fn inbox_line(payment: &Payment, number: usize, partitions: usize) -> String {
    let (event, key, at) = (payment.event, payment.id, at(payment));
    let (offset, partition) = (number / partitions, number % partitions);
    let digest = Uuid::from_bytes(digest(payment)).simple();
    format!("{event}\t{offset}\t{at}\t{partition}\t1\t\\\\x{digest}\tapplied\t{key}\t\\N\t\\N\n")
}

fn purchase_line(payment: &Payment) -> String {
    let Payment { id, student, course, event, cents, .. } = payment;
    let (whole, part) = (cents / 100, cents % 100);
    format!("{id}\t{student}\t{course}\t{whole}.{part:02}\tINR\t{event}\t{}\n", at(payment))
}

fn at(payment: &Payment) -> Timestamp {
    Timestamp::from_second(payment.paid_at).unwrap_or_default()
}

fn inbox_row(out: &mut CopyRows, payment: &Payment, number: usize, partitions: usize) {
    out.row(10);
    out.field(Some(payment.event.as_bytes()));
    out.field(Some(&((number / partitions) as i64).to_be_bytes()));
    out.time(payment.paid_at * 1_000_000);
    out.field(Some(&((number % partitions) as i32).to_be_bytes()));
    out.field(Some(&1i16.to_be_bytes()));
    out.field(Some(&digest(payment)));
    out.field(Some(b"applied"));
    out.field(Some(payment.id.to_string().as_bytes()));
    out.field(None);
    out.field(None);
}

fn purchase_row(out: &mut CopyRows, payment: &Payment) {
    out.row(7);
    out.field(Some(payment.id.as_bytes()));
    out.field(Some(payment.student.as_bytes()));
    out.field(Some(payment.course.as_bytes()));
    out.field(Some(&amount(payment.cents)));
    out.field(Some(b"INR"));
    out.field(Some(payment.event.as_bytes()));
    out.time(payment.paid_at * 1_000_000);
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
