//! The daemon as a child process: which program it is, and what it is told.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rules::problem::{Code, Problem};

/// Variables that it would listen to before its file.
const HEARD: [&str; 5] = ["MAKEGOOD_", "PG", "KAFKA_", "DATABASE_URL", "RUST_LOG"];

/// The `makegood` that lies beside this program.
pub fn program() -> Result<PathBuf, Problem> {
    let own = std::env::current_exe().map_err(|e| {
        Problem::new(Code::System, format!("cannot tell which program this is: {e}"))
    })?;
    let beside = own.with_file_name("makegood");
    match beside.is_file() {
        true => Ok(beside),
        false => Err(Problem::new(
            Code::System,
            format!("there is no makegood beside {}", own.display()),
        )
        .advice("bin/demo and bin/bench build both; so does: cargo build --workspace")),
    }
}

/// `makegood run` with this configuration file. It is started by way of `env`, which takes away what would win over
/// the file, and then becomes the daemon.
pub fn command_line(config: &Path) -> Result<Vec<OsString>, Problem> {
    let mut command: Vec<OsString> = vec!["env".into()];
    for name in heard_here() {
        command.extend(["-u".into(), name]);
    }
    command.extend([program()?.into(), "run".into(), "--config".into(), config.into()]);
    Ok(command)
}

/// The names of the variables set here that win over a configuration file.
pub fn heard_here() -> Vec<OsString> {
    let heard = |name: &OsString| {
        let name = name.to_string_lossy();
        HEARD.iter().any(|start| name.starts_with(start))
    };
    std::env::vars_os().map(|(name, _)| name).filter(heard).collect()
}
