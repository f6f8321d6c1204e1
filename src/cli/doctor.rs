//! `makegood doctor`: everything that makegood rests on, on one screen.

use std::process::ExitCode;

use super::print::Output;
use super::{Globals, checks, logging, session};
use crate::doctor;
use crate::pure::problem::Problem;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
PASS is as it should be, WARN works and may not one day, FAIL is in the way; each with its fix. It changes
nothing: the mapping is tried in transactions that are rolled back, and the group is not joined. Before the
first start in a group it tells what that start will do. Exit code 1 with a FAIL.

Examples:
  makegood doctor
  makegood doctor --strict
  makegood doctor -o json | jq '.checks[] | select(.level != \"pass\")'")]
pub struct Args {
    /// Exit with 1 for a WARN too
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    let config = session::load(globals)?;
    checks::show(&doctor::run(&config).await, args.output.output, args.strict)
}
