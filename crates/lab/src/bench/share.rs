//! `bin/bench share`: one, two and three daemons of one group read a topic together.

use std::process::ExitCode;

use tokio::task::block_in_place;

use super::daemon::Daemon;
use super::figures::{Figures, MeasuredCase};
use super::report::{self, thousands};
use super::servers::{BELIEVE, BenchServers, PATIENT_JOB};
use super::{load, machine, postgres, system, tables};
use rules::problem::Problem;

/// Daemons slower than this together, in records per second, are taken for stuck.
const SLOWEST: usize = 100;

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How many events each time
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    events: usize,
    /// Partitions of the topic
    #[arg(long, value_name = "N", default_value_t = 12)]
    partitions: usize,
    /// How many daemons: one number after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 3])]
    daemons: Vec<usize>,
}

/// Measures and prints.
pub async fn run(args: &Args) -> Result<(Figures, ExitCode), Problem> {
    eprintln!("starting PostgreSQL and Kafka");
    let servers = BenchServers::prepare(1).await?;
    let machine = machine::describe(&servers.client).await?;
    let mut figures = Figures::new("share", &machine, &["events_per_second"], "events/s");
    println!(
        "{machine}load        {} events that wait in {} partitions; each number of daemons begins with empty tables\n\
         share       the part of the daemons' processor time that each had\n\n\
         {:<10}{:>12}{:>16}{:>14}  share",
        thousands(args.events as f64),
        args.partitions,
        "daemons",
        "events/s",
        "processor s",
        "peak memory"
    );
    for count in &args.daemons {
        figures.note(measure(args, &servers, (*count).max(1)).await?);
    }
    Ok((figures, ExitCode::SUCCESS))
}

async fn measure(
    args: &Args,
    servers: &BenchServers,
    count: usize,
) -> Result<MeasuredCase, Problem> {
    tables::empty(&servers.client).await?;
    let topic = format!("share-{count}");
    block_in_place(|| {
        servers.create_topic(&topic, args.partitions)?;
        load::produce(&servers.kafka(), &topic, 0..args.events)
    })?;
    let config = servers.config(&topic, &topic, BELIEVE) + PATIENT_JOB;
    let before = servers.counters().await?;
    let others: Result<Vec<Daemon>, Problem> = (1..count).map(|_| Daemon::start(&config)).collect();
    let others = others?;
    let one = Daemon::start(&config)?;
    let pace = block_in_place(|| one.finish(servers, &topic, args.events, SLOWEST))?;
    let mut used = vec![pace.used];
    used.extend(others.iter().map(Daemon::used));
    drop(others);
    let cpu: f64 = used.iter().filter_map(|used| used.cpu).sum();
    let cost = servers.cost(&before, Some(cpu)).await?;
    let sql = "SELECT count(DISTINCT payment_id) FROM student_course_purchases";
    let made: i64 = servers.client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?.get(0);
    if made != args.events as i64 {
        return Err(system(format!("{made} purchases were made of {}", args.events)));
    }
    let share: Vec<String> =
        used.iter().filter_map(|u| Some(format!("{:.0}%", 100.0 * u.cpu? / cpu))).collect();
    println!(
        "{count:<10}{:>12}{cpu:>16.2}{:>14}  {}",
        thousands(pace.seen_per_second),
        report::memory(used.iter().filter_map(|used| used.peak_memory).max()),
        share.join(", ")
    );
    let mut case = MeasuredCase::new(format!("{count} daemons"))
        .with("events_per_second", pace.seen_per_second)
        .with_cost(&cost, args.events);
    for (n, used) in used.iter().enumerate() {
        case = case.with(&format!("daemon_{}_cpu_seconds", n + 1), used.cpu);
    }
    Ok(case)
}
