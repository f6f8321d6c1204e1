//! The real daemon as a child process, from its start until it has taken everything in.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_postgres::Client;

use super::servers::BenchServers;
use super::usage;
use super::{postgres, system};
use crate::daemon::command_line;
use crate::servers::host::PrivateFolder;
use crate::servers::process::{Launch, Server};
use rules::outcome::Counter;
use rules::problem::Problem;

/// How long a drain may take.
const STOP: Duration = Duration::from_secs(30);
/// After how long without a record taken in the daemon's last word is told: a machine may be busy, or something stuck.
const STILL: Duration = Duration::from_secs(20);
/// How long PostgreSQL's memory is not looked at again.
const MEMORY_LOOK: Duration = Duration::from_millis(500);

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
    folder: PrivateFolder,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// From the begin of the first batch's transaction to the last batch's commit.
    pub applying: Duration,
    /// From the start of the process until everything was seen committed.
    pub from_start: Duration,
    /// Records a second, from the first ones that were seen taken in to the last.
    pub seen_per_second: f64,
    pub used: Used,
}

/// What a process took from its start to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// The most memory it held, in KiB.
    pub peak_memory: Option<u64>,
    /// Processor seconds.
    pub cpu: Option<f64>,
    /// The most that PostgreSQL and all its processes were seen to hold, in KiB.
    pub postgres_memory: Option<u64>,
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
        Ok(Daemon { server: Server::start(launch)?, began, folder })
    }

    /// Waits until the group has taken in `target` records since its first step, then stops the
    /// daemon. `slowest` is what it must give at least, in records per second.
    pub fn finish(
        self,
        servers: &BenchServers,
        group: &str,
        target: usize,
        slowest: usize,
    ) -> Result<Pace, Problem> {
        let (runtime, client, began) = (Handle::current(), &servers.client, self.began);
        // Prepared, so that asking takes next to nothing from what is measured.
        let question = runtime.block_on(client.prepare(&taken_in())).map_err(|e| postgres(&e))?;
        let count = || -> Option<i64> {
            Some(runtime.block_on(client.query_one(&question, &[&group])).ok()?.get(0))
        };
        let before = count().unwrap_or_default();
        let log = self.folder.path().join("log");
        let mut said = Instant::now();
        let mut first = None;
        let mut last = (Instant::now(), before);
        let patience = Duration::from_secs(60 + (target / slowest) as u64);
        let used = self.finish_when(servers, patience, || {
            let Some(now) = count() else { return false };
            if now > last.1 {
                said = Instant::now();
            } else if said.elapsed() > STILL {
                said = Instant::now();
                eprintln!("{now} of {target} are taken in and nothing moves: {}", last_line(&log));
            }
            last = (Instant::now(), now);
            if first.is_none() && now > before {
                first = Some(last);
            }
            now >= target as i64
        })?;
        let seen_per_second = first.map_or(f64::NAN, |(at, count)| {
            (last.1 - count) as f64 / last.0.duration_since(at).as_secs_f64()
        });
        let from_start = last.0 - began;
        let applying = runtime.block_on(applying(client, group, began.elapsed()))?;
        Ok(Pace { applying, from_start, seen_per_second, used })
    }

    /// Waits until `done`, at most `patience`, then stops the daemon.
    pub fn finish_when(
        mut self,
        servers: &BenchServers,
        patience: Duration,
        mut done: impl FnMut() -> bool,
    ) -> Result<Used, Problem> {
        let mut looked: Option<Instant> = None;
        let mut postgres_memory = None;
        self.server.wait_until(patience, || {
            // To look at each of PostgreSQL's processes takes a while, so it is not done at every turn.
            if looked.is_none_or(|at| at.elapsed() > MEMORY_LOOK) {
                looked = Some(Instant::now());
                let now = servers.processes().postgres.and_then(usage::family_memory);
                postgres_memory = postgres_memory.max(now);
            }
            done()
        })?;
        let used = Used { postgres_memory, ..self.used() };
        self.server.stop_with("TERM", STOP)?;
        Ok(used)
    }

    /// What it took until now.
    pub fn used(&self) -> Used {
        let pid = self.server.pid();
        Used { peak_memory: usage::peak_memory(pid), cpu: usage::cpu(pid), postgres_memory: None }
    }
}

/// What a daemon's log ends with.
fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().last().map_or_else(|| "the daemon says nothing".to_owned(), str::to_owned)
}

/// The time from the first batch's begin to the last batch's end, by the database's clock; `since` is how long ago the
/// daemon was started. Nothing where no event was new.
async fn applying(client: &Client, group: &str, since: Duration) -> Result<Duration, Problem> {
    let sql = "SELECT extract(epoch FROM max(written_at) - (SELECT min(applied_at) FROM makegood.inbox \
            WHERE applied_at >= clock_timestamp() - $2::float8 * interval '1 second'))::float8 \
        FROM makegood.positions WHERE consumer_group = $1";
    let row =
        client.query_one(sql, &[&group, &since.as_secs_f64()]).await.map_err(|e| postgres(&e))?;
    Ok(Duration::from_secs_f64(row.get::<_, Option<f64>>(0).unwrap_or_default().max(0.0)))
}
