//! `bin/bench reconcile`: a sweep over all payments, beside PostgreSQL's own anti-join, and what it
//! costs the consumer.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::daemon::Daemon;
use super::report::{self, thousands};
use super::{load, machine, postgres, servers, system};
use rules::problem::Problem;
use servers::{BenchServers, IDLE_TOPIC, TOPIC};

/// A daemon slower than this, in payments or records per second, is taken for stuck.
const SLOWEST: usize = 2000;
const FILL: &str = include_str!("../../../../sql/demo/bench_reconcile.sql");

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How many payments there are
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    payments: usize,
    /// How many of them have no purchase, at random
    #[arg(long, value_name = "N", default_value_t = 1000)]
    missing: usize,
    /// How many rounds of the anti-join and makegood in turn
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// How many events the consumer takes in, alone and beside a sweep
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    events: usize,
    /// Exit with 1 if a sweep's median time is more than so many times the anti-join's
    #[arg(long, value_name = "RATIO")]
    at_most: Option<f64>,
}

/// One round's times in seconds.
struct Round {
    join: f64,
    sweep: f64,
    conflicts: f64,
    peak_memory: Option<u64>,
}

/// Measures, prints, verifies.
pub async fn run(args: &Args) -> Result<ExitCode, Problem> {
    eprintln!("starting PostgreSQL and Kafka, making {} payments", thousands(args.payments as f64));
    let servers = BenchServers::prepare(3).await?;
    fill(&servers.client, args).await?;
    print!("{}", machine::describe(&servers.client).await?);
    println!(
        "load        {} payments, {} without a purchase, {} rounds\n\n\
         anti-join   SELECT count(*) of the same, PostgreSQL's own plan, in parallel\n\
         sweep       a run of the daemon, from its first window until the last purchase was made\n\
         conflicts   the same run's search for contradictions, which is no part of the above\n\n\
         {:<8}{:>12}{:>12}{:>8}{:>14}{:>14}",
        thousands(args.payments as f64),
        thousands(args.missing as f64),
        args.rounds,
        "round",
        "anti-join",
        "sweep",
        "ratio",
        "conflicts",
        "peak memory"
    );
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = measure(&servers, args).await?;
        println!("{}", line(&number.to_string(), &round));
        rounds.push(round);
    }
    let middle =
        |of: fn(&Round) -> f64| report::middle(rounds.iter().map(of).collect()).unwrap_or_default();
    let median = Round {
        join: middle(|r| r.join),
        sweep: middle(|r| r.sweep),
        conflicts: middle(|r| r.conflicts),
        peak_memory: rounds.iter().filter_map(|r| r.peak_memory).max(),
    };
    println!("{}", line("median", &median));
    beside(&servers, args).await?;
    match args.at_most {
        Some(most) if median.sweep > most * median.join => {
            eprintln!("the median sweep takes more than {most} times the anti-join");
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn line(name: &str, round: &Round) -> String {
    format!(
        "{name:<8}{:>10.2} s{:>10.2} s{:>8.2}{:>12.2} s{:>14}",
        round.join,
        round.sweep,
        round.sweep / round.join,
        round.conflicts,
        report::memory(round.peak_memory)
    )
}

/// Payments three seconds apart that end yesterday, and their purchases but for the missing ones.
async fn fill(client: &Client, args: &Args) -> Result<(), Problem> {
    for statement in FILL.split(";\n") {
        let sql = statement
            .replace(":payments", &args.payments.to_string())
            .replace(":missing", &args.missing.to_string());
        client.batch_execute(&sql).await.map_err(|e| postgres(&e))?;
    }
    Ok(())
}

async fn measure(servers: &BenchServers, args: &Args) -> Result<Round, Problem> {
    let client = &servers.client;
    forget(client).await?;
    let sql = "SELECT count(*) FROM payments p WHERE status = 'succeeded' \
        AND NOT EXISTS (SELECT FROM student_course_purchases s WHERE s.payment_id = p.id)";
    let began = Instant::now();
    let missing: i64 = client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?.get(0);
    let join = began.elapsed().as_secs_f64();
    if missing != args.missing as i64 {
        return Err(system(format!("{missing} purchases are missing, not {}", args.missing)));
    }
    let daemon = Daemon::start(&(servers.config(IDLE_TOPIC, "idle") + JOB))?;
    let mut sweep = None;
    let peak_memory = block_in_place(|| {
        daemon.finish_when(Duration::from_secs(60 + (args.payments / SLOWEST) as u64), || {
            let state = Handle::current().block_on(state(client));
            let Ok(Some((phase, seconds, done))) = state else { return false };
            if phase == "conflicts" && sweep.is_none() {
                sweep = Some(seconds);
            }
            done
        })
    })?;
    let sql =
        "SELECT made_good, extract(epoch FROM finished_at - started_at)::float8 FROM makegood.runs";
    let row = client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?;
    let (made_good, whole): (i64, f64) = (row.get(0), row.get(1));
    if made_good != args.missing as i64 {
        return Err(system(format!("{made_good} purchases were made, not {}", args.missing)));
    }
    let sweep = sweep.unwrap_or(whole);
    Ok(Round { join, sweep, conflicts: whole - sweep, peak_memory })
}

/// What the only run is at: its phase, the seconds since it began, and whether it is done.
async fn state(client: &Client) -> Result<Option<(String, f64, bool)>, tokio_postgres::Error> {
    let sql = "SELECT phase, extract(epoch FROM clock_timestamp() - started_at)::float8, state = 'done' \
        FROM makegood.runs WHERE started_at IS NOT NULL";
    Ok(client.query_opt(sql, &[]).await?.map(|row| (row.get(0), row.get(1), row.get(2))))
}

/// A job without grace, that takes everything that is missing.
const JOB: &str = "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchase-confirmed\"\ngrace = \"0s\"\n\
    every = \"1h\"\nmax_backfill = { rows = 1000000, share = \"100%\" }\n";

/// Takes back what runs and events have made.
async fn forget(client: &Client) -> Result<(), Problem> {
    let sql = "DELETE FROM student_course_purchases p USING makegood.inbox i WHERE p.event_id = i.event_id; \
        DELETE FROM makegood.jobs; \
        TRUNCATE makegood.inbox, makegood.findings, makegood.runs RESTART IDENTITY; \
        VACUUM student_course_purchases; \
        CHECKPOINT";
    for statement in sql.split("; ") {
        client.batch_execute(statement).await.map_err(|e| postgres(&e))?;
    }
    Ok(())
}

/// The consumer's rate, alone and while a sweep runs.
async fn beside(servers: &BenchServers, args: &Args) -> Result<(), Problem> {
    block_in_place(|| load::produce(&servers.kafka(), TOPIC, args.events))?;
    let mut rates = Vec::new();
    for (name, group) in [("alone", "bench-alone"), ("beside a sweep", "bench-beside")] {
        forget(&servers.client).await?;
        let config = servers.config(TOPIC, group);
        let config = match rates.is_empty() {
            true => format!("reconcile = []\n{config}"),
            false => config + JOB,
        };
        let daemon = Daemon::start(&config)?;
        let pace = block_in_place(|| daemon.finish(&servers.client, group, args.events, SLOWEST))?;
        let rate = args.events as f64 / pace.applying.as_secs_f64();
        println!("consumer {name}: {} events/s", thousands(rate));
        rates.push(rate);
    }
    let state = state(&servers.client).await.map_err(|e| postgres(&e))?;
    let (phase, ..) = state.unwrap_or(("not begun".to_owned(), 0.0, false));
    println!("which is {:.0}% of it; the sweep was at: {phase}", 100.0 * rates[1] / rates[0]);
    Ok(())
}
