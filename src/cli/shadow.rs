//! `makegood run --shadow`: beside another worker, comparing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Globals, logging, print};
use crate::config;
use crate::daemon::{self, Telling};
use rules::problem::Problem;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Compare what another worker does with what makegood would do, and write nothing
    #[arg(long, conflicts_with = "confirm")]
    shadow: bool,
    /// With --shadow: write each report into this file as JSON
    #[arg(long, value_name = "FILE", requires = "shadow")]
    report: Option<PathBuf>,
    /// With --shadow: the time between two reports
    #[arg(long, value_name = "TIME", default_value = "1d", requires = "shadow", value_parser = config::duration)]
    report_every: Duration,
}

impl Args {
    pub fn is_wanted(&self) -> bool {
        self.shadow
    }
}

/// Until it is stopped; the last report goes to standard output.
pub async fn run(globals: &Globals, args: Args) -> Result<ExitCode, Problem> {
    let loaded = super::config::load_here(&globals.overrides())?;
    let (_feed, level, _flush) = logging::start_daemon(globals, &loaded.config.log)?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    let telling =
        Telling { every: args.report_every.max(Duration::from_secs(1)), file: args.report };
    let reports = tokio::select! {
        ended = daemon::shadow(loaded.config, telling) => ended?,
        never = logging::follow(globals, &level) => match never {},
    };
    print::data(&reports.text())?;
    Ok(ExitCode::SUCCESS)
}
