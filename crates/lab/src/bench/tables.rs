//! The two tables under measurement: emptied alike before each run, verified after it.

use std::ops::Range;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::load::Payment;
use super::{postgres, system};
use rules::problem::Problem;

const HOST_TABLES: &str = include_str!("../../../../sql/demo/host_tables.sql");

/// What a run must have made, as the tables tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    purchases: i64,
    payments: i64,
    cents: i64,
    events: i64,
    /// Digest of all that the events say, whoever wrote it.
    contents: String,
}

/// A connection that lives as long as its client, without time-outs.
pub async fn connect(url: &str) -> Result<Client, Problem> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(|e| postgres(&e))?;
    tokio::spawn(async move {
        // How it ends is the client's next error.
        let _ = connection.await;
    });
    Ok(client)
}

/// Makes the host's tables.
pub async fn create(client: &Client) -> Result<(), Problem> {
    client.batch_execute(HOST_TABLES).await.map_err(|e| postgres(&e))
}

/// Writes the payments that the events are held against. They became paid just
/// now: the reconciler leaves them alone, and its own work, which has a bench of its own, stays out of the figures.
pub async fn pay(client: &Client, numbers: Range<usize>) -> Result<(), Problem> {
    let sql = "INSERT INTO payments (id, student_id, course_id, amount, currency, updated_at)
        SELECT id, student, course, cents / 100.0, 'INR', now()
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) AS p (id, student, course, cents)";
    let numbers: Vec<usize> = numbers.collect();
    for chunk in numbers.chunks(10_000) {
        let paid: Vec<Payment> = chunk.iter().map(|number| Payment::numbered(*number)).collect();
        let ids = |of: fn(&Payment) -> Uuid| paid.iter().map(of).collect::<Vec<Uuid>>();
        let (id, student, course) = (ids(|p| p.id), ids(|p| p.student), ids(|p| p.course));
        let cents: Vec<i64> = paid.iter().map(|p| i64::from(p.cents)).collect();
        let values: [&(dyn ToSql + Sync); 4] = [&id, &student, &course, &cents];
        client.execute(sql, &values).await.map_err(|e| postgres(&e))?;
    }
    Ok(())
}

/// Makes the index on the payments that doctor asks for.
pub async fn index_payments(client: &Client) -> Result<(), Problem> {
    let index = "CREATE INDEX ON payments (updated_at, id, status)";
    client.batch_execute(index).await.map_err(|e| postgres(&e))?;
    client.batch_execute("VACUUM ANALYZE payments").await.map_err(|e| postgres(&e))
}

/// Empties both tables and leaves no write of earlier for the run to pay.
pub async fn empty(client: &Client) -> Result<(), Problem> {
    let sql = "TRUNCATE makegood.inbox, student_course_purchases; CHECKPOINT";
    for statement in sql.split("; ") {
        client.batch_execute(statement).await.map_err(|e| postgres(&e))?;
    }
    Ok(())
}

/// Fails unless the tables hold one purchase and one inbox row for each of the first `count`
/// payments; returns what they hold.
pub async fn verify(client: &Client, count: usize) -> Result<Made, Problem> {
    let sql = "SELECT count(*), count(DISTINCT payment_id), (sum(amount) * 100)::bigint, \
            (SELECT count(*) FROM makegood.inbox WHERE outcome = 'applied'), \
            (SELECT md5(string_agg(md5(ROW(p.payment_id, p.student_id, p.course_id, p.amount, p.currency, \
                    p.purchased_at, i.event_id, i.digest, i.outcome, i.business_key)::text), '' ORDER BY p.payment_id)) \
             FROM student_course_purchases p JOIN makegood.inbox i USING (event_id)) \
        FROM student_course_purchases";
    let row = client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?;
    let made = Made {
        purchases: row.get(0),
        payments: row.get(1),
        cents: row.get::<_, Option<i64>>(2).unwrap_or_default(),
        events: row.get(3),
        contents: row.get::<_, Option<String>>(4).unwrap_or_default(),
    };
    let cents: i64 = (0..count).map(|number| i64::from(Payment::numbered(number).cents)).sum();
    let expected = count as i64;
    if (made.purchases, made.payments, made.events) != (expected, expected, expected)
        || made.cents != cents
    {
        return Err(system(format!(
            "expected {expected} purchases of {cents} hundredths, found {made:?}"
        )));
    }
    Ok(made)
}

/// A digest of both tables, every column of every row.
pub async fn checksum(client: &Client) -> Result<String, Problem> {
    let sql = "SELECT (SELECT md5(string_agg(md5(p::text), '' ORDER BY p.id)) FROM student_course_purchases p) \
        || (SELECT md5(string_agg(md5(i::text), '' ORDER BY i.event_id)) FROM makegood.inbox i)";
    let row = client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?;
    Ok(row.get::<_, Option<String>>(0).unwrap_or_default())
}
