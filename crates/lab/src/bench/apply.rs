//! `bin/bench apply`: the way from the topic into the tables, beside COPY into the same tables.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::copy::{self, Form};
use super::daemon::Daemon;
use super::figures::Figures;
use super::report::{self, Round};
use super::servers::{BELIEVE, BenchServers, PATIENT_JOB, TOPIC};
use super::tables::{self, Made};
use super::{load, machine, one_by_one, system, usage};
use rules::problem::Problem;

/// What the picture shows.
const PLOTTED: &[&str] = &[
    "copy_text_per_second",
    "copy_binary_per_second",
    "makegood_per_second",
    "duplicates_per_second",
    "one_by_one_per_second",
];
/// How many events are applied in a transaction each; more would take minutes.
const ONE_BY_ONE: usize = 5000;
/// A daemon slower than this, in records per second, is taken for stuck.
const SLOWEST: usize = 200;

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How many events each round applies
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = at_least_two)]
    events: usize,
    /// How many rounds of COPY and makegood in turn
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Exit with 1 if the median ratio of makegood's rate to that of COPY's text form is below this, for example 0.5
    #[arg(long, value_name = "RATIO")]
    at_least: Option<f64>,
    /// Partitions of the topic
    #[arg(long, value_name = "N", default_value_t = 3)]
    partitions: usize,
    /// As `lanes` of an inbox in the configuration [default: as there]
    #[arg(long, value_name = "N")]
    lanes: Option<usize>,
    /// As `batch.rows` of an inbox in the configuration [default: as there]
    #[arg(long, value_name = "N")]
    batch_rows: Option<usize>,
    /// As `batch.bytes` of an inbox in the configuration, for example 512KiB [default: as there]
    #[arg(long, value_name = "SIZE")]
    batch_bytes: Option<String>,
    /// Believe the events, as `verify_payment = false` of an inbox in the configuration does
    #[arg(long)]
    believe: bool,
    /// As `mapping` of an inbox in the configuration [default: the compiled-in one]
    #[arg(long, value_name = "FOLDER")]
    mapping: Option<PathBuf>,
}

fn at_least_two(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count >= 2 => Ok(count),
        _ => Err("a number of 2 or more is wanted".to_owned()),
    }
}

/// The servers, and a second connection for COPY.
struct ApplyServers {
    servers: BenchServers,
    second: Client,
}

/// Measures, prints, verifies.
pub async fn run(args: &Args) -> Result<(Figures, ExitCode), Problem> {
    eprintln!("starting PostgreSQL and Kafka, sending {} events", args.events);
    let servers = prepare(args).await?;
    let machine = machine::describe(&servers.servers.client).await?;
    let mut figures = Figures::new("apply", &machine, PLOTTED, "events/s");
    print!("{machine}{}", report::introduction(args.events, args.partitions, args.rounds));
    let mut rounds = Vec::with_capacity(args.rounds);
    for number in 1..=args.rounds {
        let round = measure(args, &servers, number).await?;
        println!("{}", report::line(&number.to_string(), args.events, &round, round.ratios()));
        rounds.push(round);
    }
    let Some((median, ratios)) = report::median(&rounds) else {
        return Ok((figures, ExitCode::SUCCESS));
    };
    println!("{}", report::line("median", args.events, &median, ratios));
    print!("{}", report::costs(args.events, &median));
    let again = second_pass(args, &servers).await?;
    let case = report::case(args.events, &median, ratios);
    figures.note(case.with("duplicates_per_second", again));
    match args.at_least {
        Some(least) if ratios[0] < least => {
            eprintln!("the median ratio to COPY's text form, {:.2}, is below {least}", ratios[0]);
            Ok((figures, ExitCode::FAILURE))
        }
        _ => Ok((figures, ExitCode::SUCCESS)),
    }
}

async fn prepare(args: &Args) -> Result<ApplyServers, Problem> {
    let servers = BenchServers::prepare(args.partitions).await?;
    tables::pay(&servers.client, 0..args.events).await?;
    tables::index_payments(&servers.client).await?;
    block_in_place(|| load::produce(&servers.kafka(), TOPIC, 0..args.events))?;
    let sent = servers.records_in_topic()?;
    if sent != args.events as i64 {
        return Err(system(format!("the topic holds {sent} events of {}", args.events)));
    }
    let second = servers.connect().await?;
    Ok(ApplyServers { servers, second })
}

/// COPY, one transaction a message, then makegood, from tables emptied alike; all must have made the same rows.
async fn measure(args: &Args, at: &ApplyServers, number: usize) -> Result<Round, Problem> {
    let (servers, client) = (&at.servers, &at.servers.client);
    // Each step is told, so that a busy machine cannot be taken for something stuck.
    eprintln!("round {number}: COPY");
    let (text, by_text) = copied(args, at, Form::Text).await?;
    let (binary, by_binary) = copied(args, at, Form::Binary).await?;
    tables::empty(client).await?;
    eprintln!("round {number}: one by one");
    let each = args.events.min(ONE_BY_ONE);
    let clients = [client, &at.second];
    let one_by_one = one_by_one::measure(clients, each, args.partitions).await?.as_secs_f64();
    let one_by_one = each as f64 / one_by_one;
    tables::verify(client, each).await?;
    tables::empty(client).await?;
    eprintln!("round {number}: makegood");
    let group = group(number);
    let before = servers.counters().await?;
    let daemon = Daemon::start(&daemon_config(args, servers, &group))?;
    let makegood = block_in_place(|| daemon.finish(servers, &group, args.events, SLOWEST))?;
    let cost = servers.cost(&before, makegood.used.cpu).await?;
    let made = tables::verify(client, args.events).await?;
    if by_text != made || by_binary != made {
        return Err(system("makegood's rows are not those that COPY wrote"));
    }
    let broker_memory = servers.processes().broker.and_then(usage::peak_memory);
    Ok(Round { text, binary, one_by_one, makegood, cost, broker_memory })
}

/// How long COPY takes into empty tables, and what it made.
async fn copied(args: &Args, at: &ApplyServers, form: Form) -> Result<(Duration, Made), Problem> {
    let client = &at.servers.client;
    tables::empty(client).await?;
    let into = copy::Tables::Both;
    let clients = [client, &at.second];
    let took = copy::measure(clients, form, into, 0..args.events, args.partitions).await?;
    Ok((took, tables::verify(client, args.events).await?))
}

/// Lets the last round's group read the topic from the beginning once more, which is a rate as well. No row may change.
async fn second_pass(args: &Args, at: &ApplyServers) -> Result<f64, Problem> {
    let servers = &at.servers;
    let before = tables::checksum(&servers.client).await?;
    let group = group(args.rounds);
    let pace = block_in_place(|| {
        load::rewind(&servers.kafka(), TOPIC, &group, args.partitions)?;
        let daemon = Daemon::start(&daemon_config(args, servers, &group))?;
        daemon.finish(servers, &group, 2 * args.events, SLOWEST)
    })?;
    println!(
        "\nthe same topic from the beginning again: {:.2} s from start, {} events/s",
        pace.from_start.as_secs_f64(),
        report::thousands(pace.seen_per_second)
    );
    if tables::checksum(&servers.client).await? != before {
        return Err(system("the second pass changed rows"));
    }
    println!("no row was added, changed or lost");
    Ok(pace.seen_per_second)
}

fn group(round: usize) -> String {
    format!("bench-{round}")
}

/// The daemon's configuration: the defaults but for what was asked for.
fn daemon_config(args: &Args, servers: &BenchServers, group: &str) -> String {
    let mut text = String::new();
    if args.believe {
        text += BELIEVE;
    }
    if let Some(folder) = &args.mapping {
        let folder = std::path::absolute(folder).unwrap_or(folder.clone());
        text += &format!("mapping = '{}'\n", folder.display());
    }
    if let Some(lanes) = args.lanes {
        text += &format!("lanes = {lanes}\n");
    }
    if let Some(rows) = args.batch_rows {
        text += &format!("batch.rows = {rows}\n");
    }
    if let Some(bytes) = &args.batch_bytes {
        text += &format!("batch.bytes = \"{bytes}\"\n");
    }
    servers.config(TOPIC, group, &text) + PATIENT_JOB
}
