//! `makegood migrate`: its own schema, and nothing else of the database.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::print::{self, Format, Output};
use super::{Globals, logging, session};
use crate::pure::problem::Problem;
use crate::store::{connect, migrate};

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Apply the migrations that the database lacks.
    #[command(after_help = "\
It only ever touches the schema makegood. Examples:
  makegood migrate up
  PGOPTIONS='-c role=makegood_owner' makegood migrate up")]
    Up,
    /// Show which migrations the database has.
    #[command(after_help = "Example:\n  makegood migrate status -o json")]
    Status(Output),
    /// Print the SQL of all migrations, for those who run it by hand.
    #[command(after_help = "Example:\n  makegood migrate sql | less")]
    Sql,
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    match action {
        Action::Sql => print::data(&migrate::sql())?,
        Action::Up => up(globals).await?,
        Action::Status(output) => status(globals, output.output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn up(globals: &Globals) -> Result<(), Problem> {
    let mut client = connect(globals).await?;
    let applied = migrate::up(&mut client).await?;
    if applied.is_empty() {
        eprintln!("the schema makegood is up to date");
    }
    print::data(&applied.iter().map(|name| format!("applied {name}\n")).collect::<String>())
}

async fn status(globals: &Globals, format: Format) -> Result<(), Problem> {
    let steps = migrate::status(&mut connect(globals).await?).await?;
    let objects = steps.iter().map(|s| json!({"migration": s.name, "applied": s.applied}));
    match format {
        Format::Table => print::table(
            &["MIGRATION", "APPLIED"],
            steps
                .iter()
                .map(|s| vec![s.name.clone(), if s.applied { "yes" } else { "no" }.to_owned()]),
        ),
        Format::Json => print::json("migrations", objects.collect()),
        Format::Jsonl => print::lines(objects),
    }
}

async fn connect(globals: &Globals) -> Result<tokio_postgres::Client, Problem> {
    connect::connect(&session::load(globals)?.postgres, "makegood-migrate").await
}
