//! One transaction a message, as most workers have it: an inbox row and a purchase from memory, prepared, over two connections.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::copy::digest;
use super::load::Payment;
use super::postgres;
use rules::problem::Problem;

/// One statement, so that a message costs one round trip and one commit.
const APPLY: &str = "WITH taken AS (INSERT INTO makegood.inbox (event_id, \"offset\", event_at, partition, route_id, digest, \
        outcome, business_key) VALUES ($1, $2, to_timestamp($3::bigint), $4, 1, $5, 'applied', $6::uuid::text)) \
    INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id, purchased_at) \
    VALUES ($6, $7, $8, $9::text::numeric, 'INR', $1, to_timestamp($3))";

/// Applies the first `count` events so; returns how long that took.
pub async fn measure(
    clients: [&Client; 2],
    count: usize,
    partitions: usize,
) -> Result<Duration, Problem> {
    let half = count / 2;
    let began = Instant::now();
    let [one, two] = clients;
    let applied =
        tokio::try_join!(apply(one, 0..half, partitions), apply(two, half..count, partitions));
    applied.map_err(|e| postgres(&e))?;
    Ok(began.elapsed())
}

async fn apply(
    client: &Client,
    numbers: Range<usize>,
    partitions: usize,
) -> Result<(), tokio_postgres::Error> {
    let statement = client.prepare(APPLY).await?;
    for number in numbers {
        let p = Payment::numbered(number);
        let (offset, partition) = ((number / partitions) as i64, (number % partitions) as i32);
        let (digest, amount) = (digest(&p).to_vec(), p.amount());
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
            &p.event, &offset, &p.paid_at, &partition, &digest, &p.id, &p.student, &p.course,
            &amount,
        ];
        client.execute(&statement, &values).await?;
    }
    Ok(())
}
