//! `makegood doctor`: everything that makegood rests on, on one screen.

use std::process::ExitCode;

use tokio::sync::mpsc;

use super::print::{Format, Output};
use super::{Globals, checks, logging, progress, session};
use crate::doctor::{self, Round};
use rules::problem::Problem;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
PASS is as it should be, WARN works and may not one day, FAIL is in the way;
each with its fix. UNSEEN could not be looked at for a reason that a FAIL names.
It changes nothing: the mapping is tried in transactions that are rolled back,
and the group is not joined. Before the first start in a group it tells what
that start will do. It ends within 30 s, whatever is locked or silent. Exit code
1 with a FAIL or with what is unseen.

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

impl Args {
    /// As nobody asked for anything else.
    pub fn plain() -> Args {
        Args { strict: false, output: Output { output: Format::Table } }
    }
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    let config = session::load(globals)?;
    progress::step("checking PostgreSQL, Kafka and the mapping");
    let (told, heard) = mpsc::unbounded_channel();
    let looking = async move {
        let round = Round::new(told);
        doctor::run(&config, &round).await;
    };
    tokio::join!(looking, checks::show(heard, args.output.output, args.strict)).1
}
