//! `bin/bench idle`: what a daemon costs that has nothing to do.

use std::process::ExitCode;
use std::time::Duration;

use super::daemon::Daemon;
use super::figures::{Figures, MeasuredCase};
use super::report;
use super::servers::{BenchServers, TOPIC};
use super::{machine, postgres};
use rules::problem::Problem;

/// PostgreSQL counts statements by this module, which comes with it.
const COUNTING: &str = "shared_preload_libraries=pg_stat_statements";

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How long the daemon is watched
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = config::duration)]
    time: Duration,
    /// How long it may settle before
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = config::duration)]
    settle: Duration,
    /// How many of the most frequent statements are named
    #[arg(long, value_name = "N", default_value_t = 15)]
    statements: i64,
    /// Exit with 1 if there are more queries a second than this
    #[arg(long, value_name = "N")]
    at_most: Option<f64>,
}

/// Measures and prints.
pub async fn run(args: &Args) -> Result<(Figures, ExitCode), Problem> {
    eprintln!("starting PostgreSQL, Kafka and the daemon");
    let servers = BenchServers::prepare_with(3, &[COUNTING]).await?;
    let client = &servers.client;
    let run = async |sql: &str| client.batch_execute(sql).await.map_err(|e| postgres(&e));
    run("CREATE EXTENSION pg_stat_statements").await?;
    let machine = machine::describe(client).await?;
    let mut figures = Figures::new("idle", &machine, &["queries_per_second"], "queries/s");
    let daemon = Daemon::start(&servers.config(TOPIC, "idle", ""))?;
    tokio::time::sleep(args.settle).await;
    run("SELECT pg_stat_statements_reset()").await?;
    let (cpu, before) = (daemon.used().cpu, servers.counters().await?);
    tokio::time::sleep(args.time).await;
    let used = daemon.used();
    let spent = cpu.zip(used.cpu).map(|(from, to)| to - from);
    let cost = servers.cost(&before, spent).await?;

    let sql = "SELECT calls, regexp_replace(query, '\\s+', ' ', 'g') FROM pg_stat_statements \
        WHERE query NOT LIKE '%pg_stat_statements%' AND query NOT LIKE '%pg_current_wal_insert_lsn%' ORDER BY calls DESC";
    let rows = client.query(sql, &[]).await.map_err(|e| postgres(&e))?;
    let seconds = args.time.as_secs_f64();
    let queries = rows.iter().map(|row| row.get::<_, i64>(0)).sum::<i64>() as f64 / seconds;
    let percent = |cpu: Option<f64>| cpu.map_or(f64::NAN, |cpu| 100.0 * cpu / seconds);
    println!(
        "{machine}load        none: the defaults, one route of three partitions, watched for {seconds} s\n\n\
         queries            {queries:.2}/s\n\
         log of PostgreSQL  {:.0} bytes/s\n\
         daemon             {:.2} % of a core, {} at most\n\
         PostgreSQL         {:.2} % of a core, the bench's connection included\n\
         broker             {:.2} % of a core\n\n\
         the most frequent statements, a second:",
        cost.wal_bytes as f64 / seconds,
        percent(cost.daemon_cpu),
        report::memory(used.peak_memory),
        percent(cost.postgres_cpu),
        percent(cost.broker_cpu),
    );
    for row in rows.iter().take(args.statements as usize) {
        let text: String = row.get::<_, String>(1).chars().take(100).collect();
        println!("{:>8.2}  {text}", row.get::<_, i64>(0) as f64 / seconds);
    }
    figures.note(
        MeasuredCase::new("idle")
            .with("queries_per_second", queries)
            .with("wal_bytes_per_second", cost.wal_bytes as f64 / seconds)
            .with("daemon_percent_of_a_core", percent(cost.daemon_cpu))
            .with("postgres_percent_of_a_core", percent(cost.postgres_cpu))
            .with("broker_percent_of_a_core", percent(cost.broker_cpu))
            .with("daemon_peak_kib", used.peak_memory.map(|kib| kib as f64)),
    );
    let too_many = args.at_most.is_some_and(|most| queries > most);
    Ok((figures, if too_many { ExitCode::FAILURE } else { ExitCode::SUCCESS }))
}
