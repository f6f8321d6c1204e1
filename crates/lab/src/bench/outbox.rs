//! `bin/bench outbox`: how fast waiting rows get to Kafka, beside the Kafka client alone.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::daemon::{Daemon, Used};
use super::figures::{Figures, MeasuredCase};
use super::load::Payment;
use super::report::{self, thousands};
use super::usage::Cost;
use super::{machine, postgres, servers, system};
use kafka::sender::{HandOver, Outgoing, Pace, Sender};
use rules::problem::Problem;
use servers::{BenchServers, TOPIC};

/// A relay slower than this, in rows per second, is taken for stuck.
const SLOWEST: usize = 200;
/// Rows that one transaction publishes while the outbox is filled.
const CHUNK: usize = 1000;

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How many rows wait in each round
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: usize,
    /// How many rounds of the Kafka client and makegood in turn
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Exit with 1 if makegood's median rate is below this, in rows per second
    #[arg(long, value_name = "RATE")]
    at_least: Option<f64>,
}

/// One round's figures, in rows per second.
struct Round {
    client: f64,
    makegood: f64,
    ratio: f64,
    peak_memory: Option<u64>,
    cost: Cost,
}

/// Measures, prints, verifies.
pub async fn run(args: &Args) -> Result<(Figures, ExitCode), Problem> {
    eprintln!("starting PostgreSQL and Kafka");
    let servers = BenchServers::prepare(3).await?;
    let machine = machine::describe(&servers.client).await?;
    let plotted = &["client_per_second", "makegood_per_second"];
    let mut figures = Figures::new("outbox", &machine, plotted, "rows/s");
    println!(
        "{machine}load        {} rows of {} bytes in the outbox, to 3 partitions, {} rounds\n\n\
         client      librdkafka's producer alone: the same messages from memory, acks=all, idempotent\n\
         makegood    from the relay's claim to the step that passed the last row\n\n\
         {:<8}{:>12}{:>14}{:>8}{:>14}",
        thousands(args.rows as f64),
        super::load::EVENT_BYTES,
        args.rounds,
        "round",
        "client",
        "makegood",
        "ratio",
        "peak memory"
    );
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = measure(args.rows, &servers).await?;
        println!("{}", line(&number.to_string(), &round));
        rounds.push(round);
    }
    let median = Round {
        client: report::middle(rounds.iter().map(|r| r.client).collect()).unwrap_or_default(),
        makegood: report::middle(rounds.iter().map(|r| r.makegood).collect()).unwrap_or_default(),
        ratio: report::middle(rounds.iter().map(|r| r.ratio).collect()).unwrap_or_default(),
        peak_memory: rounds.iter().filter_map(|r| r.peak_memory).max(),
        cost: rounds.last().map(|r| r.cost).unwrap_or_default(),
    };
    println!("{}", line("median", &median));
    let case = MeasuredCase::new("median")
        .with("client_per_second", median.client)
        .with("makegood_per_second", median.makegood)
        .with("ratio", median.ratio)
        .with("daemon_peak_kib", median.peak_memory.map(|kib| kib as f64))
        .with_cost(&median.cost, args.rows);
    figures.note(case);
    match args.at_least {
        Some(least) if median.makegood < least => {
            eprintln!("the median rate is below {}/s", thousands(least));
            Ok((figures, ExitCode::FAILURE))
        }
        _ => Ok((figures, ExitCode::SUCCESS)),
    }
}

fn line(name: &str, round: &Round) -> String {
    format!(
        "{name:<8}{:>10}/s{:>12}/s{:>8.2}{:>14}",
        thousands(round.client),
        thousands(round.makegood),
        round.ratio,
        report::memory(round.peak_memory)
    )
}

async fn measure(rows: usize, servers: &BenchServers) -> Result<Round, Problem> {
    let before = servers.records_in_topic()?;
    let client = send_alone(rows, servers).await?;
    fill(&servers.client, rows).await?;
    let counters = servers.counters().await?;
    let (makegood, used) = relay(rows, servers).await?;
    let cost = servers.cost(&counters, used.cpu).await?;
    let sent = servers.records_in_topic()? - before;
    // Each record once: a duplicate is a fault's, and there was none.
    match sent == 2 * rows as i64 {
        true => Ok(Round {
            client,
            makegood,
            ratio: makegood / client,
            peak_memory: used.peak_memory,
            cost,
        }),
        false => Err(system(format!("the topic got {sent} records, not twice {rows}"))),
    }
}

/// The same messages from memory through the same client.
async fn send_alone(rows: usize, servers: &BenchServers) -> Result<f64, Problem> {
    let payments: Vec<(String, String, String)> = (0..rows)
        .map(Payment::numbered)
        .map(|p| (p.student.to_string(), p.event.to_string(), p.json()))
        .collect();
    let (to_us, mut reports) = mpsc::unbounded_channel();
    let sender = Sender::new(&servers.kafka(), Pace::Pipelined, to_us)?;
    let began = Instant::now();
    let mut done = 0;
    for (token, (key, event, value)) in payments.iter().enumerate() {
        let headers: [(&str, &[u8]); 9] = [
            ("id", event.as_bytes()),
            ("type", b"PURCHASE_CONFIRMED"),
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_id", event.as_bytes()),
            ("ce_source", b"/makegood/outbox"),
            ("ce_type", b"PURCHASE_CONFIRMED"),
            ("ce_time", b"2026-01-07T16:55:09.123456Z"),
            ("ce_subject", key.as_bytes()),
        ];
        let message = Outgoing {
            topic: TOPIC,
            key: Some(key.as_bytes()),
            value: value.as_bytes(),
            headers: &headers,
        };
        while let Err(refused) = sender.hand_over(token as u64, &message) {
            match (refused, reports.recv().await) {
                (HandOver::Full, Some(report)) if report.outcome.is_ok() => done += 1,
                other => return Err(system(format!("the client refused a message: {other:?}"))),
            }
        }
    }
    while done < rows {
        match reports.recv().await {
            Some(report) if report.outcome.is_ok() => done += 1,
            other => return Err(system(format!("a message was not delivered: {other:?}"))),
        }
    }
    let rate = rows as f64 / began.elapsed().as_secs_f64();
    sender.close(Duration::from_secs(5)).await;
    Ok(rate)
}

/// Publishes the payments' events, as their transactions would.
async fn fill(client: &Client, rows: usize) -> Result<(), Problem> {
    let sql = "SELECT count(makegood.publish($1, e.key, 'PURCHASE_CONFIRMED', e.payload::jsonb, event_id => e.id)) \
        FROM unnest($2::text[], $3::text[], $4::uuid[]) AS e (key, payload, id)";
    for first in (0..rows).step_by(CHUNK) {
        let payments: Vec<Payment> =
            (first..rows.min(first + CHUNK)).map(Payment::numbered).collect();
        let keys: Vec<String> = payments.iter().map(|p| p.student.to_string()).collect();
        let values: Vec<String> = payments.iter().map(Payment::json).collect();
        let ids: Vec<uuid::Uuid> = payments.iter().map(|p| p.event).collect();
        client.query(sql, &[&TOPIC, &keys, &values, &ids]).await.map_err(|e| postgres(&e))?;
    }
    client.batch_execute("CHECKPOINT").await.map_err(|e| postgres(&e))
}

async fn relay(rows: usize, servers: &BenchServers) -> Result<(f64, Used), Problem> {
    let passed = published(&servers.client).await?;
    // Its inbox reads a topic that stays empty: only the relay has work.
    let daemon = Daemon::start(&servers.config(servers::IDLE_TOPIC, "idle", servers::BELIEVE))?;
    let target = passed + rows as i64;
    let used = block_in_place(|| {
        daemon.finish_when(servers, Duration::from_secs(60 + (rows / SLOWEST) as u64), || {
            let now = tokio::runtime::Handle::current().block_on(published(&servers.client));
            now.is_ok_and(|now| now >= target)
        })
    })?;
    let sql = "SELECT extract(epoch FROM min(written_at) FILTER (WHERE published >= $1) \
            - min(written_at) FILTER (WHERE holder IS NOT NULL AND published = $2))::float8 \
        FROM makegood.outbox_steps WHERE epoch = (SELECT max(epoch) FROM makegood.outbox_steps)";
    let row = servers.client.query_one(sql, &[&target, &passed]).await.map_err(|e| postgres(&e))?;
    let seconds: f64 = row.get::<_, Option<f64>>(0).unwrap_or_default();
    Ok((rows as f64 / seconds, used))
}

async fn published(client: &Client) -> Result<i64, Problem> {
    let sql = "SELECT published FROM makegood.outbox_cursor";
    Ok(client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?.get(0))
}
