//! `bin/bench reconcile`: a sweep over all payments, beside PostgreSQL's own anti-join, and what it
//! costs the consumer.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::daemon::Daemon;
use super::figures::{Figures, MeasuredCase};
use super::report::{self, thousands};
use super::{load, machine, postgres, servers, system};
use rules::problem::Problem;
use servers::{BELIEVE, BenchServers, IDLE_TOPIC, TOPIC};

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
    /// Exit with 1 if the median time of sweep and conflicts is more than so many times the anti-join's
    #[arg(long, value_name = "RATIO")]
    at_most: Option<f64>,
}

/// One round's times in seconds.
struct Round {
    join: f64,
    sweep: f64,
    conflicts: f64,
    again: f64,
    /// Of sweep and conflicts to the anti-join.
    ratio: f64,
    peak_memory: Option<u64>,
}

/// Measures, prints, verifies.
pub async fn run(args: &Args) -> Result<(Figures, ExitCode), Problem> {
    eprintln!("starting PostgreSQL and Kafka, making {} payments", thousands(args.payments as f64));
    let servers = BenchServers::prepare(3).await?;
    fill(&servers.client, args).await?;
    let machine = machine::describe(&servers.client).await?;
    let plotted = &["anti_join_seconds", "sweep_seconds", "conflicts_seconds", "again_seconds"];
    let mut figures = Figures::new("reconcile", &machine, plotted, "seconds");
    println!(
        "{machine}load        {} payments, {} without a purchase, {} rounds\n\n\
         anti-join   SELECT count(*) of the same, PostgreSQL's own plan, in parallel\n\
         sweep       a run of the daemon, from its first window until the last purchase was made\n\
         conflicts   the same run's search for contradictions; `ratio` is of both to the anti-join\n\
         again       a second run over the same, where nothing has changed\n\n\
         {:<8}{:>12}{:>12}{:>12}{:>8}{:>12}{:>14}",
        thousands(args.payments as f64),
        thousands(args.missing as f64),
        args.rounds,
        "round",
        "anti-join",
        "sweep",
        "conflicts",
        "ratio",
        "again",
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
        again: middle(|r| r.again),
        ratio: middle(|r| r.ratio),
        peak_memory: rounds.iter().filter_map(|r| r.peak_memory).max(),
    };
    println!("{}", line("median", &median));
    figures.note(case(&median));
    let [alone, beside] = beside(&servers, args).await?;
    let consumer = MeasuredCase::new("consumer").with("alone_per_second", alone);
    figures.note(consumer.with("beside_a_sweep_per_second", beside));
    match args.at_most {
        Some(most) if median.ratio > most => {
            eprintln!("the median run takes more than {most} times the anti-join");
            Ok((figures, ExitCode::FAILURE))
        }
        _ => Ok((figures, ExitCode::SUCCESS)),
    }
}

fn line(name: &str, round: &Round) -> String {
    format!(
        "{name:<8}{:>10.2} s{:>10.2} s{:>10.2} s{:>8.2}{:>10.2} s{:>14}",
        round.join,
        round.sweep,
        round.conflicts,
        round.ratio,
        round.again,
        report::memory(round.peak_memory)
    )
}

fn case(round: &Round) -> MeasuredCase {
    MeasuredCase::new("median")
        .with("anti_join_seconds", round.join)
        .with("sweep_seconds", round.sweep)
        .with("conflicts_seconds", round.conflicts)
        .with("ratio_with_conflicts", round.ratio)
        .with("again_seconds", round.again)
        .with("daemon_peak_kib", round.peak_memory.map(|kib| kib as f64))
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
    let (sweep, peak_memory) = swept(servers, args)?;
    let sql =
        "SELECT made_good, extract(epoch FROM finished_at - started_at)::float8 FROM makegood.runs";
    let row = client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?;
    let (made_good, whole): (i64, f64) = (row.get(0), row.get(1));
    if made_good != args.missing as i64 {
        return Err(system(format!("{made_good} purchases were made, not {}", args.missing)));
    }
    let sweep = sweep.unwrap_or(whole);
    let once_more = "DELETE FROM makegood.runs; SELECT makegood.reconcile('purchases')";
    client.batch_execute(once_more).await.map_err(|e| postgres(&e))?;
    swept(servers, args)?;
    let sql = "SELECT extract(epoch FROM finished_at - started_at)::float8 FROM makegood.runs";
    let again: f64 = client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?.get(0);
    let (conflicts, ratio) = (whole - sweep, whole / join);
    Ok(Round { join, sweep, conflicts, again, ratio, peak_memory })
}

/// Lets a daemon make one run; returns after how many seconds it turned to the conflicts, if it was seen then, and the
/// most memory that the daemon held.
fn swept(servers: &BenchServers, args: &Args) -> Result<(Option<f64>, Option<u64>), Problem> {
    let daemon = Daemon::start(&(servers.config(IDLE_TOPIC, "idle", BELIEVE) + JOB))?;
    let mut sweep = None;
    let used = block_in_place(|| {
        let patience = Duration::from_secs(60 + (args.payments / SLOWEST) as u64);
        daemon.finish_when(servers, patience, || {
            let state = Handle::current().block_on(state(&servers.client));
            let Ok(Some((phase, seconds, done))) = state else { return false };
            if phase == "conflicts" && sweep.is_none() {
                sweep = Some(seconds);
            }
            done
        })
    })?;
    Ok((sweep, used.peak_memory))
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
async fn beside(servers: &BenchServers, args: &Args) -> Result<[f64; 2], Problem> {
    block_in_place(|| load::produce(&servers.kafka(), TOPIC, 0..args.events))?;
    let mut rates = Vec::new();
    for (name, group) in [("alone", "bench-alone"), ("beside a sweep", "bench-beside")] {
        forget(&servers.client).await?;
        let config = servers.config(TOPIC, group, BELIEVE);
        let config = match rates.is_empty() {
            true => format!("reconcile = []\n{config}"),
            false => config + JOB,
        };
        let daemon = Daemon::start(&config)?;
        let pace = block_in_place(|| daemon.finish(servers, group, args.events, SLOWEST))?;
        let rate = args.events as f64 / pace.applying.as_secs_f64();
        println!("consumer {name}: {} events/s", thousands(rate));
        rates.push(rate);
    }
    let state = state(&servers.client).await.map_err(|e| postgres(&e))?;
    let (phase, ..) = state.unwrap_or(("not begun".to_owned(), 0.0, false));
    println!("which is {:.0}% of it; the sweep was at: {phase}", 100.0 * rates[1] / rates[0]);
    Ok([rates[0], rates[1]])
}
