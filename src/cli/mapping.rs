//! `makegood mapping`: the SQL between events and your tables, checked, tried and written out.

pub mod draft;
mod try_out;

use std::process::ExitCode;

use clap::Subcommand;
use tokio::sync::mpsc;

use super::print::Output;
use super::session::{self, Session};
use super::{Globals, checks, logging};
use crate::doctor::{self, Round, RouteDatabases};
use rules::problem::Problem;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Check the mapping's contract against your tables.
    #[command(after_help = "\
It changes nothing. Exit code 1 with a FAIL.

Examples:
  makegood mapping check
  makegood mapping check --route purchase-confirmed -o json")]
    Check {
        /// The route; all of them if none is named
        #[arg(long, value_name = "NAME")]
        route: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Try the mapping on events, show the rows it would write, and roll everything back.
    Try(try_out::Args),
    /// Write a mapping for a table of yours into a folder, with marks where a person must say something.
    New(draft::Args),
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    match action {
        Action::Check { route, output } => check(globals, route.as_deref(), output).await,
        Action::Try(args) => try_out::run(globals, &args).await,
        Action::New(args) => draft::run(globals, &args).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn check(
    globals: &Globals,
    route: Option<&str>,
    output: Output,
) -> Result<ExitCode, Problem> {
    let config = session::load(globals)?;
    let store = session::unchecked(&config.postgres).await?;
    let session = Session { config, store };
    let only = route.map(|name| session.route(Some(name))).transpose()?;
    let (told, heard) = mpsc::unbounded_channel();
    let session = &session;
    let looking = async move {
        let round = Round::new(told);
        let routes = session.config.inbox.iter().enumerate();
        for (number, route) in
            routes.filter(|(_, route)| only.is_none_or(|only| only.name == route.name))
        {
            if let Some(places) =
                RouteDatabases::reached(&session.config, number, route, &round).await
            {
                doctor::mapping::check(route, &places, &round).await;
            }
        }
    };
    tokio::join!(looking, checks::show(heard, output.output, false)).1
}
