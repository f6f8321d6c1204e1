//! `makegood mapping`: the SQL between events and your tables, checked, tried and written out.

mod try_out;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use tokio::sync::mpsc;

use super::print::{self, Output};
use super::session::{self, Session};
use super::{Globals, checks, logging};
use crate::doctor::{self, Places, Round};
use crate::store::mapping::FILES;
use rules::problem::{Code, Problem};

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
    /// Write the shipped mapping into a folder, to be changed.
    #[command(after_help = "\
Examples:
  makegood mapping new sql/purchases
  makegood mapping new /etc/makegood/purchases")]
    New {
        /// The folder; it must not have any of the files yet
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    match action {
        Action::Check { route, output } => check(globals, route.as_deref(), output).await,
        Action::Try(args) => try_out::run(globals, &args).await,
        Action::New { folder } => write(&folder).map(|()| ExitCode::SUCCESS),
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
            if let Some(places) = Places::reached(&session.config, number, route, &round).await {
                doctor::mapping::check(route, &places, &round).await;
            }
        }
    };
    tokio::join!(looking, checks::show(heard, output.output, false)).1
}

fn write(folder: &Path) -> Result<(), Problem> {
    let failed = |what: &Path, e: std::io::Error| {
        Problem::new(Code::System, format!("cannot write {}: {e}", what.display()))
    };
    if let Some((name, _)) = FILES.iter().find(|(name, _)| folder.join(name).exists()) {
        let cause =
            format!("{} is there already; nothing was written", folder.join(name).display());
        return Err(Problem::new(Code::Usage, cause).hint("name a new folder"));
    }
    fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    for (name, text) in FILES {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|e| failed(&file, e))?;
        print::data(&format!("{}\n", file.display()))?;
    }
    say!(
        "set mapping = \"{}\" in the route's [[inbox]] section; README.md there says how to go on",
        folder.display()
    );
    Ok(())
}
