//! `bin/bench latency`: how long it takes from a payment's commit until its purchase can be seen, all the way
//! through outbox, relay, Kafka, inbox and mapping.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use uuid::Uuid;

use super::daemon::Daemon;
use super::load::Payment;
use super::{machine, postgres, report, servers, system, tables};
use rules::problem::Problem;
use servers::{BenchServers, TOPIC};

/// Payments before the measurement, so that connections are made and code is warm.
const WARM_UP: usize = 500;
/// How often the purchases are looked for; what is measured is longer by half of it.
const LOOK: Duration = Duration::from_millis(1);
/// How long the last purchases may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Payments per second, on average, at random moments
    #[arg(long, value_name = "N", default_value_t = 200.0)]
    rate: f64,
    /// How many payments are measured
    #[arg(long, value_name = "N", default_value_t = 6000)]
    payments: usize,
    /// Then so many payments more, each after a silence
    #[arg(long, value_name = "N", default_value_t = 5)]
    lone: usize,
    /// How long such a silence is
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = config::duration)]
    silence: Duration,
    /// The random moments can be had again with the same number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The payments whose purchases are not seen yet, and how long the others took.
#[derive(Default)]
struct Watched {
    open: HashMap<Uuid, Instant>,
    took: Vec<Duration>,
}

/// Measures and prints.
pub async fn run(args: &Args) -> Result<ExitCode, Problem> {
    eprintln!("starting PostgreSQL, Kafka and the daemon");
    let servers = BenchServers::prepare(3).await?;
    print!("{}", machine::describe(&servers.client).await?);
    let _daemon = Daemon::start(&servers.config(TOPIC, "latency"))?;
    let watched = Arc::new(Mutex::new(Watched::default()));
    let onlooker = tables::connect(&servers.postgres.url("postgres")).await?;
    tokio::spawn(watch(onlooker, watched.clone()));
    let mut random = fastrand::Rng::with_seed(args.seed);
    let mut numbers = 0..;

    eprintln!("warming up with {WARM_UP} payments");
    pay(&servers.client, &watched, numbers.by_ref().take(WARM_UP), args.rate, &mut random).await?;
    all_seen(&watched).await?;
    take(&watched);

    eprintln!("measuring {} payments", args.payments);
    let measured = numbers.by_ref().take(args.payments);
    pay(&servers.client, &watched, measured, args.rate, &mut random).await?;
    all_seen(&watched).await?;
    let busy = take(&watched);
    println!(
        "load        {} payments, {} a second on average at random moments",
        args.payments, args.rate
    );
    println!(
        "measured    from the return of the payment's COMMIT until a query sees its purchase\n"
    );
    print!("{}", report::distribution(&busy));
    print!("{}", stages(&servers.client).await?);

    let mut lone = Vec::new();
    for number in numbers.take(args.lone) {
        tokio::time::sleep(args.silence).await;
        pay(&servers.client, &watched, std::iter::once(number), args.rate, &mut random).await?;
        all_seen(&watched).await?;
        lone.extend(take(&watched));
    }
    let shown: Vec<String> = lone.iter().map(|took| report::millis(*took)).collect();
    println!("\nfirst payment after {} s of silence: {}", args.silence.as_secs(), shown.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// Where the time goes, by the times that are written down on the way: the row's, the record's (whole
/// milliseconds), and the begin of the transaction that applied it.
async fn stages(client: &Client) -> Result<String, Problem> {
    let sql = "SELECT percentile_cont($1::float8) WITHIN GROUP (ORDER BY extract(epoch FROM i.event_at - o.created_at))::float8, \
            percentile_cont($1) WITHIN GROUP (ORDER BY extract(epoch FROM i.applied_at - i.event_at))::float8 \
        FROM makegood.outbox o JOIN makegood.inbox i ON i.event_id = o.id";
    let mut text = format!("\n{:<36}{:>8}{:>12}\n", "on the way", "p50", "p99");
    let mut of = [[0.0; 2]; 2];
    for (column, part) in [0.5, 0.99].into_iter().enumerate() {
        let row = client.query_one(sql, &[&part]).await.map_err(|e| postgres(&e))?;
        for (line, figures) in of.iter_mut().enumerate() {
            figures[column] = row.get::<_, Option<f64>>(line).unwrap_or_default();
        }
    }
    let names = ["published until handed to Kafka", "handed to Kafka until being applied"];
    for (name, [p50, p99]) in names.iter().zip(of) {
        text += &format!("{name:<36}{:>8.1}{:>9.1} ms\n", p50 * 1000.0, p99 * 1000.0);
    }
    Ok(text)
}

/// Makes payments at random moments of that rate, each with its event in one transaction.
async fn pay(
    client: &Client,
    watched: &Mutex<Watched>,
    numbers: impl Iterator<Item = usize>,
    rate: f64,
    random: &mut fastrand::Rng,
) -> Result<(), Problem> {
    let mut due = tokio::time::Instant::now();
    let insert = client
        .prepare(
            "INSERT INTO payments (id, student_id, course_id, amount, currency) \
             VALUES ($1, $2, $3, $4::text::numeric, 'INR')",
        )
        .await
        .map_err(|e| postgres(&e))?;
    let publish = client
        .prepare("SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb, event_id => $4)")
        .await
        .map_err(|e| postgres(&e))?;
    for number in numbers {
        // Gaps of a Poisson process: payments do not wait for each other.
        due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        tokio::time::sleep_until(due).await;
        let p = Payment::numbered(number);
        let amount = format!("{}.{:02}", p.cents / 100, p.cents % 100);
        let paid = async {
            client.batch_execute("BEGIN").await?;
            client.execute(&insert, &[&p.id, &p.student, &p.course, &amount]).await?;
            client.query(&publish, &[&TOPIC, &p.student.to_string(), &p.json(), &p.event]).await?;
            client.batch_execute("COMMIT").await
        };
        paid.await.map_err(|e| postgres(&e))?;
        lock(watched).open.insert(p.id, Instant::now());
    }
    Ok(())
}

/// Looks for the purchases of open payments until the bench ends.
async fn watch(client: Client, watched: Arc<Mutex<Watched>>) {
    let sql = "SELECT payment_id FROM student_course_purchases WHERE payment_id = ANY ($1)";
    let Ok(statement) = client.prepare(sql).await else { return };
    loop {
        let open: Vec<Uuid> = lock(&watched).open.keys().copied().collect();
        if !open.is_empty() {
            let Ok(rows) = client.query(&statement, &[&open]).await else { return };
            let seen = Instant::now();
            let mut watched = lock(&watched);
            for row in rows {
                if let Some(paid) = watched.open.remove(&row.get(0)) {
                    watched.took.push(seen - paid);
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn all_seen(watched: &Mutex<Watched>) -> Result<(), Problem> {
    let deadline = Instant::now() + PATIENCE;
    while !lock(watched).open.is_empty() {
        if Instant::now() > deadline {
            let open = lock(watched).open.len();
            return Err(system(format!("{open} payments have no purchase after a minute")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn take(watched: &Mutex<Watched>) -> Vec<Duration> {
    std::mem::take(&mut lock(watched).took)
}

fn lock(watched: &Mutex<Watched>) -> std::sync::MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}
