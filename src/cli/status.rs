//! `makegood status`: one sentence, then what it rests on.

mod gather;
mod look;
mod show;

use std::process::ExitCode;

pub use gather::overview;

use super::Globals;
use super::print::Output;
use super::session::Session;
use crate::pure::problem::Problem;

/// The exit code when there is a finding and somebody asked to be told.
const FINDINGS: u8 = 3;

#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
The first line is the verdict on the worst route:
  ok          nothing waits
  behind      records wait, and it moves
  quarantine  records in quarantine wait for a decision
  unpurchased payments have succeeded and have no purchase
  ignoring    it has only ever seen records of another type
  joining     the daemons wait for partitions
  unknown     Kafka is out of reach, and nobody has seen the topic's end lately
  unread      no daemon reads some partition
  renewed     the topic was deleted and created again
  stalled     records wait, and it does not move
  missing     the topic does not exist
  held        stopped on purpose until something is mended; it resumes by itself
  down        no daemon runs

Examples:
  makegood status
  makegood status -o json
  makegood status --exit-code > /dev/null || echo \"look at makegood\"")]
pub struct Args {
    /// Exit with 3 unless every route is ok or behind
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    let overview = overview(&session).await?;
    show::print(&overview, args.output.output)?;
    let is_fine = overview.routes.iter().all(|route| route.standing.word.is_fine());
    let is_finding = args.exit_code && (!is_fine || overview.routes.is_empty());
    Ok(if is_finding { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
}
