//! Measurements against private, real servers: what makegood gives on this machine, beside what the
//! machine gives at most.
//!
//! The numbers depend on the machine, so each is printed with its counterpart, measured in turn.

pub mod apply;
mod copy;
mod daemon;
mod figures;
mod filled;
mod floor;
pub mod idle;
pub mod latency;
mod load;
mod machine;
mod one_by_one;
pub mod outbox;
mod payers;
pub mod reconcile;
mod report;
pub mod scale;
mod servers;
pub mod share;
mod tables;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use rules::problem::{Code, Problem};

/// What can be measured.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Bench {
    /// How fast events become purchases, beside COPY of the same rows into the same tables.
    ///
    /// Starts a private PostgreSQL (fsync on) and a private Apache Kafka, fills a topic, and then
    /// lets COPY and the daemon make the same rows in turn. Every row is verified, and a second pass
    /// over the topic must change none.
    Apply(apply::Args),
    /// What an event costs when the tables are large, beside COPY of the same rows.
    ///
    /// Starts a private PostgreSQL (fsync on) and a private Apache Kafka, and fills the tables to one size after the
    /// other. At each, COPY of both tables, COPY of the host's table alone, and the daemon add rows in turn, and
    /// the daemon reads its events once more.
    Scale(scale::Args),
    /// How fast rows that wait in the outbox get to Kafka, beside the Kafka client alone.
    ///
    /// Starts a private PostgreSQL (fsync on) and a private Apache Kafka, publishes rows, and lets the
    /// client and the daemon send the same messages in turn. Every record is counted.
    Outbox(outbox::Args),
    /// How long it takes from a payment's commit until its purchase can be seen.
    ///
    /// Starts a private PostgreSQL (fsync on), a private Apache Kafka and the daemon, and makes payments
    /// at random moments. Each purchase is waited for.
    Latency(latency::Args),
    /// How long a sweep over all payments takes, beside PostgreSQL's own anti-join.
    ///
    /// Starts a private PostgreSQL (fsync on) and a private Apache Kafka, fills the host's tables, and
    /// lets PostgreSQL and the daemon find the same missing purchases in turn; the daemon also makes
    /// them. Then the consumer's rate is measured, alone and beside a sweep.
    Reconcile(reconcile::Args),
    /// What a daemon costs that has nothing to do: queries, processor time, memory.
    Idle(idle::Args),
    /// How one, two and three daemons share the work.
    Share(share::Args),
    /// All of these one after the other, each with what it does unless told otherwise, but for smaller tables.
    All,
}

/// What to measure, and where the figures go besides.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Write the figures into this folder as well: NAME.json for programs, NAME.svg for the eye
    #[arg(long, global = true, value_name = "FOLDER")]
    save: Option<PathBuf>,
    #[command(subcommand)]
    what: Bench,
}

/// Runs a measurement; the figures go to standard output, talk to standard error. Needs a runtime
/// with several threads. Ends with exit code 1 below a rate that was asked for.
pub async fn run(args: &Args) -> Result<ExitCode, Problem> {
    let save = args.save.as_deref();
    if !matches!(args.what, Bench::All) {
        return measure(&args.what, save).await;
    }
    let mut ended = ExitCode::SUCCESS;
    for line in ALL {
        println!("\n== bin/bench {line}\n");
        let one = Alone::try_parse_from(std::iter::once("bench").chain(line.split(' ')))
            .map_err(|e| system(e.to_string()))?;
        if measure(&one.what, save).await? != ExitCode::SUCCESS {
            ended = ExitCode::FAILURE;
        }
    }
    Ok(ended)
}

/// What `all` runs: under forty minutes together on two cores.
const ALL: [&str; 7] = [
    "idle",
    "apply --rounds 3",
    "outbox --rounds 3",
    "latency",
    "share",
    "reconcile --rounds 2",
    "scale --rows 0,1000000,10000000",
];

/// One of them, read as from a command line.
#[derive(clap::Parser)]
struct Alone {
    #[command(subcommand)]
    what: Bench,
}

async fn measure(what: &Bench, save: Option<&Path>) -> Result<ExitCode, Problem> {
    let (figures, ended) = match what {
        Bench::Apply(args) => Box::pin(apply::run(args)).await,
        Bench::Scale(args) => Box::pin(scale::run(args)).await,
        Bench::Outbox(args) => Box::pin(outbox::run(args)).await,
        Bench::Latency(args) => Box::pin(latency::run(args)).await,
        Bench::Reconcile(args) => Box::pin(reconcile::run(args)).await,
        Bench::Idle(args) => Box::pin(idle::run(args)).await,
        Bench::Share(args) => Box::pin(share::run(args)).await,
        Bench::All => return Err(system("`all` is not one of its own parts")),
    }?;
    if let Some(folder) = save {
        figures.save(folder)?;
    }
    Ok(ended)
}

/// A failure of the bench's own questions to PostgreSQL.
fn postgres(error: &tokio_postgres::Error) -> Problem {
    let said = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    Problem::new(Code::Postgres, said)
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_commands() {
        for line in ALL {
            let read = Alone::try_parse_from(std::iter::once("bench").chain(line.split(' ')));
            assert!(read.is_ok_and(|one| !matches!(one.what, Bench::All)), "{line}");
        }
    }
}
