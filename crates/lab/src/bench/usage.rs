//! What a measurement costs: processor time and memory of the daemon, of PostgreSQL and of the broker, and bytes of
//! PostgreSQL's log. Only Linux tells of processes; elsewhere those figures are absent.

use std::fs;

use serde::Serialize;
use tokio_postgres::Client;

use super::postgres;
use rules::problem::Problem;

/// Linux counts a process' time in hundredths of a second, whatever the kernel's own tick is (`sysconf(_SC_CLK_TCK)`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Whom to look at, by process id; `postgres` is the postmaster, with all that it started.
#[derive(Clone, Copy, Default)]
pub struct Processes {
    pub postgres: Option<u32>,
    pub broker: Option<u32>,
}

/// Counters at one moment; two of them make a [`Cost`].
pub struct Counters {
    postgres: Option<f64>,
    broker: Option<f64>,
    wal: i64,
}

/// What was spent between two moments.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// Processor seconds.
    pub daemon_cpu: Option<f64>,
    pub postgres_cpu: Option<f64>,
    pub broker_cpu: Option<f64>,
    /// Bytes that PostgreSQL wrote to its log.
    pub wal_bytes: i64,
}

impl Counters {
    /// Reads them now.
    pub async fn now(client: &Client, processes: Processes) -> Result<Counters, Problem> {
        let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";
        let wal = client.query_one(sql, &[]).await.map_err(|e| postgres(&e))?.get(0);
        let postgres = processes.postgres.and_then(family_cpu);
        Ok(Counters { postgres, broker: processes.broker.and_then(cpu), wal })
    }

    /// What was spent since then; the daemon tells its own part.
    pub fn until(&self, then: &Counters, daemon_cpu: Option<f64>) -> Cost {
        let spent = |from: Option<f64>, to: Option<f64>| Some((to? - from?).max(0.0));
        Cost {
            daemon_cpu,
            postgres_cpu: spent(self.postgres, then.postgres),
            broker_cpu: spent(self.broker, then.broker),
            wal_bytes: then.wal - self.wal,
        }
    }
}

/// The processor seconds that a process has used so far, without its children's.
pub fn cpu(pid: u32) -> Option<f64> {
    let stat = Stat::of(pid)?;
    Some(stat.own as f64 / TICKS_PER_SECOND)
}

/// The same with all its children, those that have ended included.
fn family_cpu(pid: u32) -> Option<f64> {
    let parent = Stat::of(pid)?;
    let children = children(pid).filter_map(Stat::of).map(|child| child.own + child.ended);
    let ticks: u64 = parent.own + parent.ended + children.sum::<u64>();
    Some(ticks as f64 / TICKS_PER_SECOND)
}

/// What a process and its children hold now, in KiB: memory of their own, and what they share, once.
pub fn family_memory(pid: u32) -> Option<u64> {
    let family: Vec<u32> = std::iter::once(pid).chain(children(pid)).collect();
    let own: u64 = family.iter().filter_map(|pid| status(*pid, "RssAnon:")).sum();
    let shared = family.iter().filter_map(|pid| status(*pid, "RssShmem:")).max()?;
    Some(own + shared)
}

/// The most memory a process has held so far, in KiB.
pub fn peak_memory(pid: u32) -> Option<u64> {
    status(pid, "VmHWM:")
}

/// A line of `/proc/PID/status` that is given in KiB.
fn status(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn children(pid: u32) -> impl Iterator<Item = u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>().into_iter()
}

/// A process' time in ticks: its own, and that of the children that ended and were waited for.
struct Stat {
    own: u64,
    ended: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name is in parentheses and may hold any character; utime is the twelfth field after it.
        let (_, rest) = text.rsplit_once(')')?;
        let ticks: Vec<u64> =
            rest.split_whitespace().skip(11).take(4).filter_map(|t| t.parse().ok()).collect();
        match ticks[..] {
            [user, system, ended_user, ended_system] => {
                Some(Stat { own: user + system, ended: ended_user + ended_system })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_tells_what_it_costs() {
        let own = std::process::id();
        assert!(cpu(own).is_some() && family_cpu(own) >= cpu(own));
        assert!(family_memory(own) > Some(0) && peak_memory(own) > Some(0));
        assert_eq!((cpu(0), peak_memory(0)), (None, None));
    }
}
