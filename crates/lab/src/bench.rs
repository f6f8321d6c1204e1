//! Measurements against private, real servers: what makegood gives on this machine, beside what the
//! machine gives at most.
//!
//! The numbers depend on the machine, so each is printed with its counterpart, measured in turn.

pub mod apply;
mod copy;
mod daemon;
pub mod latency;
mod load;
mod machine;
pub mod outbox;
pub mod reconcile;
mod report;
mod servers;
mod tables;

use std::process::ExitCode;

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
}

/// Runs a measurement; the figures go to standard output, talk to standard error. Needs a runtime
/// with several threads. Ends with exit code 1 below a rate that was asked for.
pub async fn run(what: &Bench) -> Result<ExitCode, Problem> {
    match what {
        Bench::Apply(args) => Box::pin(apply::run(args)).await,
        Bench::Outbox(args) => Box::pin(outbox::run(args)).await,
        Bench::Latency(args) => Box::pin(latency::run(args)).await,
        Bench::Reconcile(args) => Box::pin(reconcile::run(args)).await,
    }
}

/// A failure of the bench's own questions to PostgreSQL.
fn postgres(error: &tokio_postgres::Error) -> Problem {
    let said = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    Problem::new(Code::Postgres, said)
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}
