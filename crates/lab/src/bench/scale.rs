//! `bin/bench scale`: what an event costs when the tables are large.

use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::copy::{self, Form, Tables};
use super::daemon::Daemon;
use super::figures::{Figures, MeasuredCase};
use super::report::thousands;
use super::servers::{BenchServers, PATIENT_JOB};
use super::usage::{Cost, Counters};
use super::{filled, load, machine, postgres, system, tables};
use rules::problem::Problem;

const PARTITIONS: usize = 3;
/// A daemon slower than this, in records per second, is taken for stuck.
const SLOWEST: usize = 100;

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How many rows payments, purchases and inbox have: one size after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [0, 1_000_000, 10_000_000, 50_000_000])]
    rows: Vec<usize>,
    /// How many events are added each time
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    events: usize,
    /// How many rounds at each size
    #[arg(long, value_name = "N", default_value_t = 1)]
    rounds: usize,
    /// A setting of PostgreSQL, for example `wal_compression=lz4`; may be given again
    #[arg(long = "set", value_name = "NAME=VALUE", default_values_t = ["shared_buffers=512MB".to_owned(), "max_wal_size=4GB".to_owned()])]
    set: Vec<String>,
}

/// Events a second, and what they cost.
#[derive(Clone, Copy)]
struct Measured {
    rate: f64,
    cost: Cost,
}

/// What the next events are, and how many topics there were.
struct Next {
    number: usize,
    topics: usize,
}

/// Measures and prints.
pub async fn run(args: &Args) -> Result<(Figures, ExitCode), Problem> {
    eprintln!("starting PostgreSQL and Kafka");
    let settings: Vec<&str> = args.set.iter().map(String::as_str).collect();
    let servers = BenchServers::prepare_with(PARTITIONS, &settings).await?;
    tables::index_payments(&servers.client).await?;
    let second = servers.connect().await?;
    let machine = machine::describe(&servers.client).await?;
    let mut figures = Figures::new("scale", &machine, PLOTTED, "events/s");
    print!("{machine}{}", introduction(args));
    let mut next = Next { number: 0, topics: 0 };
    let mut filled_to = 0;
    for rows in &args.rows {
        if *rows > filled_to {
            eprintln!("filling the tables to {} rows", thousands(*rows as f64));
            filled::add(&servers.client, filled_to + 1, *rows).await?;
            filled_to = *rows;
        }
        for round in 1..=args.rounds {
            let measured = measure(args, &servers, &second, &mut next).await?;
            println!("{}", lines(*rows, args.events, &measured));
            figures.note(case(*rows, round, args.events, &measured));
        }
    }
    Ok((figures, ExitCode::SUCCESS))
}

/// In the order in which they are measured.
const NAMES: [&str; 4] = ["COPY, host's table", "COPY, both tables", "makegood, new", "duplicates"];
const PLOTTED: &[&str] = &[
    "copy_host_per_second",
    "copy_both_per_second",
    "makegood_per_second",
    "duplicates_per_second",
];

fn introduction(args: &Args) -> String {
    format!(
        "load        {} events of {} bytes each time, in {PARTITIONS} partitions, after a checkpoint; each event has its payment\n\
         COPY        the rows from memory as text, over two connections, into the host's table alone or into makegood's too\n\
         makegood    the same from Kafka, each held against its payment; then the same events once more\n\
         cost        bytes of PostgreSQL's log an event; processor seconds a million events, from start to end\n\n\
         {:>12}  {:<20}{:>10}{:>9}{:>12}{:>12}{:>9}{:>9}\n",
        thousands(args.events as f64),
        load::EVENT_BYTES,
        "rows",
        "",
        "events/s",
        "of host",
        "log/event",
        "PostgreSQL",
        "daemon",
        "broker"
    )
}

/// All four in turn; each adds rows of its own, but for the last.
async fn measure(
    args: &Args,
    servers: &BenchServers,
    second: &Client,
    next: &mut Next,
) -> Result<[Measured; 4], Problem> {
    let mut take = || {
        let numbers = next.number..next.number + args.events;
        next.number = numbers.end;
        numbers
    };
    let (host, both, new) = (take(), take(), take());
    next.topics += 1;
    let topic = format!("scale-{}", next.topics);
    tables::pay(&servers.client, host.start..new.end).await?;
    block_in_place(|| {
        servers.create_topic(&topic, PARTITIONS)?;
        load::produce(&servers.kafka(), &topic, new)
    })?;
    let host = copied(servers, second, Tables::Purchases, host).await?;
    let both = copied(servers, second, Tables::Both, both).await?;
    let new = applied(servers, &topic, args.events, false).await?;
    block_in_place(|| load::rewind(&servers.kafka(), &topic, &topic, PARTITIONS))?;
    let again = applied(servers, &topic, args.events, true).await?;
    Ok([host, both, new, again])
}

/// A checkpoint, so that all begin alike: each page that is touched for the first time goes into the log whole.
async fn begin(servers: &BenchServers) -> Result<Counters, Problem> {
    servers.client.batch_execute("CHECKPOINT").await.map_err(|e| postgres(&e))?;
    servers.counters().await
}

async fn copied(
    servers: &BenchServers,
    second: &Client,
    into: Tables,
    numbers: Range<usize>,
) -> Result<Measured, Problem> {
    let (before, count) = (begin(servers).await?, numbers.len());
    let clients = [&servers.client, second];
    let took = copy::measure(clients, Form::Text, into, numbers, PARTITIONS).await?;
    let rate = count as f64 / took.as_secs_f64();
    Ok(Measured { rate, cost: servers.cost(&before, None).await? })
}

/// Lets a daemon take in the topic, which is its group's name as well.
async fn applied(
    servers: &BenchServers,
    topic: &str,
    events: usize,
    again: bool,
) -> Result<Measured, Problem> {
    let before = begin(servers).await?;
    let daemon = Daemon::start(&(servers.config(topic, topic, "") + PATIENT_JOB))?;
    let (target, counted) = if again { (2 * events, "duplicate") } else { (events, "applied") };
    let pace = block_in_place(|| daemon.finish(servers, topic, target, SLOWEST))?;
    let cost = servers.cost(&before, pace.used.cpu).await?;
    let sql = format!(
        "SELECT sum({counted})::bigint FROM makegood.consumer_positions WHERE consumer_group = $1"
    );
    let row = servers.client.query_one(&sql, &[&topic]).await.map_err(|e| postgres(&e))?;
    let came: Option<i64> = row.get(0);
    if came != Some(events as i64) {
        return Err(system(format!("of {events} events {came:?} were counted as {counted}")));
    }
    let rate = match pace.applying {
        Duration::ZERO => pace.seen_per_second,
        _ if again => pace.seen_per_second,
        applying => events as f64 / applying.as_secs_f64(),
    };
    Ok(Measured { rate, cost })
}

fn lines(rows: usize, events: usize, measured: &[Measured; 4]) -> String {
    let million = |cpu: Option<f64>| {
        cpu.map_or_else(String::new, |cpu| format!("{:.1} s", cpu * 1e6 / events as f64))
    };
    let mut text = String::new();
    for (name, m) in NAMES.iter().zip(measured) {
        text += &format!(
            "{:>12}  {name:<20}{:>10}{:>9.2}{:>12}{:>12}{:>9}{:>9}\n",
            thousands(rows as f64),
            thousands(m.rate),
            m.rate / measured[0].rate,
            thousands(m.cost.wal_bytes as f64 / events as f64),
            million(m.cost.postgres_cpu),
            million(m.cost.daemon_cpu),
            million(m.cost.broker_cpu.filter(|_| m.cost.daemon_cpu.is_some())),
        );
    }
    text
}

fn case(rows: usize, round: usize, events: usize, measured: &[Measured; 4]) -> MeasuredCase {
    let [host, both, new, again] = measured;
    let wal = |m: &Measured| m.cost.wal_bytes as f64 / events as f64;
    let cpu = |m: &Measured| m.cost.postgres_cpu.map(|cpu| cpu * 1e6 / events as f64);
    MeasuredCase::new(format!("{} rows, round {round}", thousands(rows as f64)))
        .with("copy_host_per_second", host.rate)
        .with("copy_both_per_second", both.rate)
        .with("makegood_per_second", new.rate)
        .with("duplicates_per_second", again.rate)
        .with("ratio_to_host", new.rate / host.rate)
        .with("copy_host_wal_bytes_per_event", wal(host))
        .with("copy_both_wal_bytes_per_event", wal(both))
        .with("duplicates_wal_bytes_per_event", wal(again))
        .with("copy_host_postgres_cpu_seconds_per_million", cpu(host))
        .with("copy_both_postgres_cpu_seconds_per_million", cpu(both))
        .with_cost(&new.cost, events)
}
