//! The real daemon as a child process, from its start until it has taken everything in.

use std::fs;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_postgres::Client;

use super::machine;
use super::{postgres, system};
use crate::daemon::command_line;
use crate::servers::host::PrivateFolder;
use crate::servers::process::{Launch, Server};
use rules::outcome::Counter;
use rules::problem::Problem;

/// How long a drain may take.
const STOP: Duration = Duration::from_secs(30);
/// How many records a group has taken in, whatever became of them.
fn taken_in() -> String {
    // An id that was used before is counted besides.
    let counters = Counter::ALL.into_iter().filter(|counter| *counter != Counter::IdReused);
    let sum = counters.map(Counter::as_str).collect::<Vec<_>>().join(" + ");
    format!(
        "SELECT coalesce(sum({sum}), 0)::bigint FROM makegood.consumer_positions WHERE consumer_group = $1"
    )
}

/// A running `makegood run`; stopped when dropped, and with us.
pub struct Daemon {
    // Declared, and so dropped, before the folder it works in.
    server: Server,
    began: Instant,
    _folder: PrivateFolder,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// From the begin of the first batch's transaction to the last batch's commit.
    pub applying: Duration,
    /// From the start of the process until everything was seen committed.
    pub from_start: Duration,
    /// The most memory the process held, in KiB.
    pub peak_memory: Option<u64>,
}

impl Daemon {
    /// Starts a daemon with this configuration, TOML text.
    pub fn start(config: &str) -> Result<Daemon, Problem> {
        let folder = PrivateFolder::new("bench", None)?;
        let file = folder.path().join("makegood.toml");
        fs::write(&file, config)
            .map_err(|e| system(format!("cannot write {}: {e}", file.display())))?;
        let launch = Launch {
            name: "makegood",
            command: command_line(&file)?,
            folder: folder.path().to_owned(),
            account: None,
            stop_signal: "TERM",
        };
        let began = Instant::now();
        Ok(Daemon { server: Server::start(launch)?, began, _folder: folder })
    }

    /// Waits until the group has taken in `target` records since its first step, then stops the
    /// daemon. `slowest` is what it must give at least, in records per second.
    pub fn finish(
        mut self,
        client: &Client,
        group: &str,
        target: usize,
        slowest: usize,
    ) -> Result<Pace, Problem> {
        let runtime = Handle::current();
        // Prepared, so that asking takes next to nothing from what is measured.
        let question = runtime.block_on(client.prepare(&taken_in())).map_err(|e| postgres(&e))?;
        let patience = Duration::from_secs(60 + (target / slowest) as u64);
        let done = || {
            let taken = runtime.block_on(client.query_one(&question, &[&group]));
            taken.is_ok_and(|taken| taken.get::<_, i64>(0) >= target as i64)
        };
        self.server.wait_until(patience, done)?;
        let from_start = self.began.elapsed();
        let peak_memory = self.stop()?;
        let applying = runtime.block_on(applying(client, group))?;
        Ok(Pace { applying, from_start, peak_memory })
    }

    /// Waits until `done`, at most `patience`, then stops the daemon; returns the most memory it held, in KiB.
    pub fn finish_when(
        mut self,
        patience: Duration,
        done: impl FnMut() -> bool,
    ) -> Result<Option<u64>, Problem> {
        self.server.wait_until(patience, done)?;
        self.stop()
    }

    fn stop(&mut self) -> Result<Option<u64>, Problem> {
        let peak_memory = machine::peak_memory(self.server.pid());
        self.server.stop_with("TERM", STOP)?;
        Ok(peak_memory)
    }
}

/// The time from the first batch's begin to the last batch's end, by the database's clock.
async fn applying(client: &Client, group: &str) -> Result<Duration, Problem> {
    let sql = "SELECT extract(epoch FROM max(written_at) - (SELECT min(applied_at) FROM makegood.inbox))::float8 \
        FROM makegood.positions WHERE consumer_group = $1";
    let row = client.query_one(sql, &[&group]).await.map_err(|e| postgres(&e))?;
    Ok(Duration::from_secs_f64(row.get::<_, Option<f64>>(0).unwrap_or_default().max(0.0)))
}
