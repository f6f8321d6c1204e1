//! `bin/bench apply`: the way from the topic into the tables, beside COPY into the same tables.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::copy::{self, Form};
use super::daemon::Daemon;
use super::load;
use super::report::{self, Round};
use super::tables::{self, Made};
use super::{machine, system};
use crate::servers::kafka::PrivateKafka;
use crate::servers::postgres::PrivatePostgres;
use config::{Config, Kafka};
use kafka::probe::Probe;
use rules::problem::Problem;
use store::migrate;

const TOPIC: &str = "purchase-confirmed";
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

/// The servers and what is on them.
struct ApplyServers {
    postgres: PrivatePostgres,
    kafka: PrivateKafka,
    /// The bench's own connections; the second is for COPY only.
    clients: [Client; 2],
}

/// Measures, prints, verifies.
pub async fn run(args: &Args) -> Result<ExitCode, Problem> {
    eprintln!("starting PostgreSQL and Kafka, sending {} events", args.events);
    let servers = prepare(args).await?;
    print!("{}", machine::describe(&servers.clients[0]).await?);
    print!("{}", report::introduction(args.events, args.partitions, args.rounds));
    let mut rounds = Vec::with_capacity(args.rounds);
    for number in 1..=args.rounds {
        let round = measure(args, &servers, number).await?;
        println!("{}", report::line(&number.to_string(), args.events, &round, round.ratios()));
        rounds.push(round);
    }
    let Some((median, ratios)) = report::median(&rounds) else { return Ok(ExitCode::SUCCESS) };
    println!("{}", report::line("median", args.events, &median, ratios));
    second_pass(args, &servers).await?;
    match args.at_least {
        Some(least) if ratios[0] < least => {
            eprintln!("the median ratio to COPY's text form, {:.2}, is below {least}", ratios[0]);
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

async fn prepare(args: &Args) -> Result<ApplyServers, Problem> {
    let postgres = block_in_place(|| PrivatePostgres::start(true))?;
    let kafka = block_in_place(PrivateKafka::start)?;
    let url = postgres.url("postgres");
    let mut client = tables::connect(&url).await?;
    tables::create(&client).await?;
    tables::pay(&client, args.events).await?;
    migrate::up(&mut client, migrate::BOTH).await?;
    let partitions = args.partitions.to_string();
    block_in_place(|| {
        kafka.topics(&["--create", "--topic", TOPIC, "--partitions", &partitions])?;
        let client = kafka_client(&kafka);
        load::produce(&client, TOPIC, args.events)?;
        let probe = Probe::new(&client, TOPIC, "bench")?;
        let ends = probe.partitions()?.into_iter().map(|p| probe.watermarks(p));
        let ends: Result<Vec<_>, Problem> = ends.collect();
        let sent: i64 = ends?.iter().map(|ends| ends.high).sum();
        match sent == args.events as i64 {
            true => Ok(()),
            false => Err(system(format!("the topic holds {sent} events of {}", args.events))),
        }
    })?;
    let clients = [client, tables::connect(&url).await?];
    Ok(ApplyServers { postgres, kafka, clients })
}

/// COPY, then makegood, from tables emptied alike; both must have made the same rows.
async fn measure(args: &Args, servers: &ApplyServers, number: usize) -> Result<Round, Problem> {
    let client = &servers.clients[0];
    let (text, by_text) = copied(args, servers, Form::Text).await?;
    let (binary, by_binary) = copied(args, servers, Form::Binary).await?;
    tables::empty(client).await?;
    let group = group(number);
    let daemon = Daemon::start(&daemon_config(args, servers, &group))?;
    let makegood = block_in_place(|| daemon.finish(client, &group, args.events, SLOWEST))?;
    let made = tables::verify(client, args.events).await?;
    if by_text != made || by_binary != made {
        return Err(system("makegood's rows are not those that COPY wrote"));
    }
    Ok(Round { text, binary, makegood })
}

/// How long COPY takes into empty tables, and what it made.
async fn copied(
    args: &Args,
    servers: &ApplyServers,
    form: Form,
) -> Result<(Duration, Made), Problem> {
    let [client, second] = &servers.clients;
    tables::empty(client).await?;
    let took = copy::measure([client, second], form, args.events, args.partitions).await?;
    Ok((took, tables::verify(client, args.events).await?))
}

/// Lets the last round's group read the topic from the beginning once more. No row may change.
async fn second_pass(args: &Args, servers: &ApplyServers) -> Result<(), Problem> {
    let client = &servers.clients[0];
    let before = tables::checksum(client).await?;
    let group = group(args.rounds);
    block_in_place(|| {
        load::rewind(&kafka_client(&servers.kafka), TOPIC, &group, args.partitions)?;
        let daemon = Daemon::start(&daemon_config(args, servers, &group))?;
        let pace = daemon.finish(client, &group, 2 * args.events, SLOWEST)?;
        let seconds = pace.from_start.as_secs_f64();
        let rate = report::thousands(args.events as f64 / seconds);
        println!(
            "\nthe same topic from the beginning again: {seconds:.2} s from start, {rate} events/s"
        );
        Ok::<(), Problem>(())
    })?;
    if tables::checksum(client).await? != before {
        return Err(system("the second pass changed rows"));
    }
    println!("no row was added, changed or lost");
    Ok(())
}

fn group(round: usize) -> String {
    format!("bench-{round}")
}

fn kafka_client(kafka: &PrivateKafka) -> Kafka {
    Kafka { bootstrap_servers: kafka.bootstrap(), ..Config::default().kafka }
}

/// The daemon's configuration: the defaults but for what was asked for, and a grace that outlasts the bench.
fn daemon_config(args: &Args, servers: &ApplyServers, group: &str) -> String {
    let mut text = format!(
        "[postgres]\nurl = \"{}\"\n[kafka]\nbootstrap_servers = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [[inbox]]\nname = \"purchase-confirmed\"\ntopic = \"{TOPIC}\"\ngroup = \"{group}\"\n\
         event_type = \"PURCHASE_CONFIRMED\"\n",
        servers.postgres.url("postgres"),
        servers.kafka.bootstrap()
    );
    let job =
        "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchase-confirmed\"\ngrace = \"1d\"\n";
    if args.believe {
        text += "verify_payment = false\n";
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
    text + job
}
