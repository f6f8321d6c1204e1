//! The worker: `makegood run`, as a child that can be killed and cannot outlive us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::servers::{GROUP, TOPIC};
use crate::daemon::command_line;
use crate::servers::host::{PrivateFolder, free_port};
use crate::servers::process::{Launch, Server};
use rules::problem::{Code, Problem};

/// How long the process may take to be gone after SIGKILL.
const STOP: Duration = Duration::from_secs(20);

/// A running `makegood run` with a configuration of its own.
#[derive(Debug)]
pub struct Worker {
    // Declared, and so dropped, before the folder it works in.
    server: Server,
    launch: Launch,
    folder: PrivateFolder,
    http: u16,
}

impl Worker {
    /// Writes `makegood.toml` into a private folder and starts the worker with it.
    pub fn start(database_url: &str, bootstrap_servers: &str) -> Result<Worker, Problem> {
        let folder = PrivateFolder::new("worker", None)?;
        let file = config_of(folder.path());
        let http = free_port()?;
        fs::write(&file, settings(database_url, bootstrap_servers, http)).map_err(|e| {
            Problem::new(Code::System, format!("cannot write {}: {e}", file.display()))
        })?;
        let launch = Launch {
            name: "the worker",
            command: command_line(&file)?,
            folder: folder.path().to_owned(),
            account: None,
            stop_signal: "TERM",
        };
        Ok(Worker { server: Server::start(launch.clone())?, launch, folder, http })
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        config_of(self.folder.path())
    }

    /// Where its status page is.
    pub fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.http)
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The end of its log.
    pub fn log_end(&self) -> String {
        self.server.log_end()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.server.ended()
    }

    /// Kills it as a crash would. Blocks until it is gone.
    pub fn kill(&mut self) -> Result<(), Problem> {
        self.server.stop_with("KILL", STOP)
    }

    /// Starts it again after its end, with the same configuration and log.
    pub fn start_again(&mut self) -> Result<(), Problem> {
        self.server = Server::start(self.launch.clone())?;
        Ok(())
    }
}

fn config_of(folder: &Path) -> PathBuf {
    folder.join("makegood.toml")
}

/// Everything else is the default: topic, group, mapping.
fn settings(database_url: &str, bootstrap_servers: &str, http: u16) -> String {
    format!(
        "# Written by `bin/demo`, and gone with it.\n\
         [postgres]\n\
         url = \"{database_url}\"\n\
         [kafka]\n\
         bootstrap_servers = \"{bootstrap_servers}\"\n\
         [kafka.properties]\n\
         # So that the group misses a killed worker soon.\n\
         \"session.timeout.ms\" = \"6000\"\n\
         \"heartbeat.interval.ms\" = \"1000\"\n\
         [http]\n\
         listen = \"127.0.0.1:{http}\"\n\
         [[inbox]]\n\
         name = \"{TOPIC}\"\n\
         topic = \"{TOPIC}\"\n\
         group = \"{GROUP}\"\n\
         event_type = \"PURCHASE_CONFIRMED\"\n\
         # What else the shop says in this topic; a type that nobody named would be a finding.\n\
         other_types = [\"PAYMENT_FAILED\", \"RECEIPT_SENT\"]\n\
         [log]\n\
         format = \"text\"\n"
    )
}
