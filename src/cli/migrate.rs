//! `makegood migrate`: its own schema, and nothing else of the database.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::print::{self, Format, Output};
use super::{Globals, logging, progress, session};
use crate::store::{connect, migrate};
use rules::problem::Problem;

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
    /// Print the migrations as a script, for those who run it by hand.
    #[command(after_help = "\
The script is one transaction and notes what it did, so that the daemon takes
the schema for one that `migrate up` made.

Examples:
  makegood migrate sql | psql -v ON_ERROR_STOP=1 shop
  makegood migrate sql --missing | less")]
    Sql {
        /// Only what the database lacks, for an upgrade
        #[arg(long)]
        missing: bool,
    },
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    match action {
        Action::Sql { missing } => sql(globals, missing).await?,
        Action::Up => up(globals).await?,
        Action::Status(output) => status(globals, output.output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One script a database, each under the name of the database it belongs into.
async fn sql(globals: &Globals, missing: bool) -> Result<(), Problem> {
    let config = session::load(globals)?;
    let places = migrate::places(&config);
    let named = places.len() > 1;
    let mut scripts = Vec::with_capacity(places.len());
    for (postgres, sets) in places {
        let script = match missing {
            true => migrate::missing_sql(&session::unchecked(postgres).await?, sets).await?,
            false => migrate::sql(sets),
        };
        let head =
            if named { format!("-- for {}\n", connect::place(postgres)) } else { String::new() };
        if !script.is_empty() {
            scripts.push(head + &script);
        }
    }
    if scripts.is_empty() {
        say!("the schema makegood is up to date");
    }
    print::data(&scripts.join("\n"))
}

async fn up(globals: &Globals) -> Result<(), Problem> {
    let config = session::load(globals)?;
    let mut applied = Vec::new();
    for (postgres, sets) in migrate::places(&config) {
        progress::step(format!("migrating {}", connect::place(postgres)));
        let mut client = connect::connect(postgres, "makegood-migrate").await?;
        applied.extend(migrate::up(&mut client, sets).await?);
    }
    if applied.is_empty() {
        say!("the schema makegood is up to date");
    }
    print::data(&applied.iter().map(|name| format!("applied {name}\n")).collect::<String>())
}

async fn status(globals: &Globals, format: Format) -> Result<(), Problem> {
    let config = session::load(globals)?;
    let mut steps = Vec::new();
    for (postgres, sets) in migrate::places(&config) {
        let store = session::unchecked(postgres).await?;
        steps.extend(migrate::status(&store, sets).await?);
    }
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
