//! Starts, supervises and stops the loops.

use crate::config::Config;
use crate::pure::problem::{Code, Problem};

/// Placeholder until the daemon is merged: refuses to run.
#[allow(clippy::unused_async)]
pub async fn run(_config: Config) -> Result<(), Problem> {
    Err(Problem::new(Code::System, "this build has no daemon yet"))
}
