//! `makegood offsets`: where each partition is, and how a person moves it.

mod execute;
mod forgone;
mod plan;
mod reset;
mod show;
mod survey;

use std::process::ExitCode;

use clap::Subcommand;

use super::Globals;
use super::session::Session;
use rules::problem::Problem;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show where each partition is, in PostgreSQL and in Kafka, who owns it, and what was never read.
    #[command(after_help = "\
CURRENT-OFFSET is what Kafka's tools show. POSITION is what counts: makegood
goes on from there. LAG is counted from it, or from where a first start would
begin.

Examples:
  makegood offsets show
  makegood offsets show --route purchase-confirmed -o json")]
    Show(show::Args),
    /// Move positions, in PostgreSQL and Kafka together. Only says what it would do, unless told to --execute.
    #[command(after_help = "\
Every worker of the group must be stopped first. Going back is safe: what was
applied is known and is not applied twice. Going forward gives up the payments
in between to the reconciler: the plan counts them, and --execute wants the
group's name as well. What is skipped is on record until a sweep has covered it.

Examples:
  makegood offsets reset --to-earliest
  makegood offsets reset --topic purchase-confirmed:0,2 --to-offset 1200 \\
    --execute
  makegood offsets reset --by-duration PT2H --execute \\
    --reason 'purchases of this morning were deleted'
  makegood offsets reset --to-latest --execute \\
    --confirm purchase-creation-workers")]
    Reset(Box<reset::Args>),
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    match action {
        Action::Show(args) => show::run(&session, &args).await?,
        Action::Reset(args) => reset::run(&session, &args).await?,
    }
    Ok(ExitCode::SUCCESS)
}
