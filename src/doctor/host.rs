//! This machine: what the process may open, and the database's disk where it is here too.

use std::fs;

use super::Check;
use crate::config::Config;
use crate::store::server_info::ServerInfo;

/// What a daemon opens besides its database connections: brokers, the log, the HTTP side.
const OTHER_FILES: u64 = 256;

/// The limit on open files, which sockets count for.
pub(super) fn files(config: &Config) -> Check {
    let name = "host.files";
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
    let needed = u64::try_from(config.pool_size()).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    match soft.as_deref().map(|soft| (soft, soft.parse::<u64>())) {
        Some((soft, Ok(limit))) if limit < needed => Check::warn(
            name,
            format!(
                "{soft} files may be open here, connections included; a daemon may need {needed}"
            ),
            "LimitNOFILE=65536 in the unit, or ulimit -n 65536",
        ),
        Some((soft, _)) => Check::pass(name, format!("{soft} files may be open here")),
        None => Check::pass(name, "no limit on open files is known here"),
    }
}

/// The free space of the database's disk; `None` where it cannot be known from here.
pub(super) fn disk(vitals: &ServerInfo) -> Option<Check> {
    let folder = vitals.data_directory.as_ref().filter(|_| vitals.server.is_local)?;
    let found = rustix::fs::statvfs(folder.as_str()).ok()?;
    let size = found.f_blocks.saturating_mul(found.f_frsize);
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let says = format!(
        "{} free of {} on the database's disk; the database has {}",
        gigabytes(free),
        gigabytes(size),
        gigabytes(u64::try_from(vitals.bytes).unwrap_or(0))
    );
    Some(if free < size / 10 {
        Check::warn("postgres.disk", says, "free or add space; with none left everything holds")
    } else {
        Check::pass("postgres.disk", says)
    })
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
