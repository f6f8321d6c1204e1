//! A million rows and a transaction that holds `xmin` back: what they cost. For people to read, so it runs
//! only when asked for:
//!
//! `cargo test --release --test promises -- --ignored --nocapture a_million`

use std::time::{Duration, Instant};

use makegood::config::Postgres;
use makegood::store::outbox::{ClaimOutcome, Cursor, OutboxSession, Shard};
use rules::ids::StepNumber;
use rules::relay::CursorStep;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::payments::{Place, Site};
use crate::support::world::connect;

const ROWS: usize = 1_000_000;
const TRIES: u32 = 300;

/// The middle of so many tries, and the slowest but three.
fn figures(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    format!("{:?}, p99 {:?}", took[took.len() / 2], took[took.len() - 4])
}

/// One try each: a look that finds nothing, a look that finds a row and reads it, a step.
async fn costs(
    site: &Site,
    session: &OutboxSession,
    step: &mut StepNumber,
    cursor: &mut Cursor,
    when: &str,
) {
    let (mut idle, mut found, mut stepped, mut published) = (vec![], vec![], vec![], vec![]);
    for _ in 0..TRIES {
        let at = Instant::now();
        let delta = session.delta(cursor).await.unwrap();
        idle.push(at.elapsed());
        *cursor = Cursor { from: delta.to.clone(), to: delta.to, last_seq: 0 };
        let at = Instant::now();
        let sql = "SELECT makegood.publish('t', 'k', 'T', '{}')";
        site.client.query_one(sql, &[]).await.unwrap();
        published.push(at.elapsed());
        let at = Instant::now();
        let delta = session.delta(cursor).await.unwrap();
        let (rows, _) = session.read(&delta, 0, 2000, 4 << 20).await.unwrap();
        found.push(at.elapsed());
        assert_eq!(rows.len(), 1);
        *cursor = Cursor { from: delta.to.clone(), to: delta.to, last_seq: 0 };
        let at = Instant::now();
        *step = session.step(*step, &CursorStep::at(cursor.clone()).into()).await.unwrap().unwrap();
        stepped.push(at.elapsed());
    }
    let sizes = "SELECT pg_size_pretty(sum(pg_total_relation_size(c.oid)) FILTER (WHERE relname ~ '^outbox_[012]$')) || ', steps '
        || pg_size_pretty(sum(pg_total_relation_size(c.oid)) FILTER (WHERE relname = 'outbox_steps'))
        FROM pg_class c WHERE relnamespace = 'makegood'::regnamespace AND relkind = 'r'";
    let sizes: String = site.client.query_one(sizes, &[]).await.unwrap().get(0);
    println!(
        "{when}\n  sizes          {sizes}\n  publish        {}\n  look, nothing  {}\n  look and read  {}\n  step           {}",
        figures(published),
        figures(idle),
        figures(found),
        figures(stepped)
    );
}

async fn fill(client: &Client) {
    let sql = "SELECT count(makegood.publish('t', 'k' || i % 1000, 'T', jsonb_build_object('i', i, 'pad', repeat('x', 400))))
               FROM generate_series(1, 1000) i";
    for _ in 0..ROWS / 1000 {
        client.query_one(sql, &[]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; for its figures"]
async fn a_million_rows_with_xmin_held_back_slow_nothing() {
    let site = Site::new(Place::Beside, 1).await;
    let settings = Postgres::from_url(&site.payments).unwrap();
    let session = OutboxSession::open(&settings, Shard::ONLY).await.unwrap();
    let ClaimOutcome::Won { mut step, mut cursor, .. } =
        session.claim(Uuid::new_v4()).await.unwrap()
    else {
        panic!("somebody else has this outbox");
    };
    costs(&site, &session, &mut step, &mut cursor, "an empty outbox").await;
    let holder = connect(&site.payments).await;
    holder
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()")
        .await
        .unwrap();
    fill(&site.client).await;
    let at = Instant::now();
    let mut delta = session.delta(&cursor).await.unwrap();
    let mut pieces = 1;
    while !delta.is_measured() {
        (delta, pieces) = (session.measure(delta, 0).await.unwrap(), pieces + 1);
    }
    println!("measuring a backlog of {} rows: {:?} in {pieces} pieces", delta.rows, at.elapsed());
    let (at, mut after, mut read) = (Instant::now(), 0, 0);
    while after < delta.last_seq {
        let (rows, end) = session.read(&delta, after, 2000, 4 << 20).await.unwrap();
        (after, read) = (end, read + rows.len());
    }
    println!("reading it: {:?} for {read} rows", at.elapsed());
    cursor = Cursor { from: delta.to.clone(), to: delta.to, last_seq: 0 };
    // An hour of steps at full load, none of which can be vacuumed while that transaction is open.
    for _ in 0..20_000 {
        step = session.step(step, &CursorStep::at(cursor.clone()).into()).await.unwrap().unwrap();
        if step.0 % 1000 == 0 {
            session.trim(step.back(1000)).await.unwrap();
        }
    }
    costs(&site, &session, &mut step, &mut cursor, "a million rows sent, xmin held, no statistics")
        .await;
    site.client.batch_execute("ANALYZE").await.unwrap();
    costs(&site, &session, &mut step, &mut cursor, "the same, analyzed").await;
    holder.batch_execute("COMMIT").await.unwrap();
}
