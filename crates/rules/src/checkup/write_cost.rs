//! What PostgreSQL's settings make of a write where the indexes are larger than its memory.
//!
//! Ids are random, so nearly every row touches a page of each index that no row touched since the last checkpoint, and
//! such a page goes into the log as a whole: at size that, and not the row, is what an event costs (docs/benchmarks.md).

use super::Check;
use crate::advice::run;

/// What the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it; units are in them")]
pub struct WriteCost {
    pub wal_compression: String,
    /// Those that this server can do.
    pub compressions: Vec<String>,
    pub max_wal_bytes: i64,
    pub checkpoint_seconds: i64,
    pub shared_buffers_bytes: i64,
    /// Of the inbox and of the host's tables that the mapping names.
    pub index_bytes: i64,
}

/// A checkpoint sooner than this makes the pages of one day go into the log many times, in seconds.
const CHECKPOINT: i64 = 900;
/// What there should be room for between two checkpoints, at most: more makes a recovery long.
const MOST_WAL: i64 = 16 << 30;
/// How much larger than memory indexes may be before each look-up waits for the disk.
const TIMES_MEMORY: i64 = 4;

fn bytes(count: i64) -> String {
    match count >> 30 {
        0 => format!("{} MiB", count >> 20),
        _ => format!("{:.1} GiB", count as f64 / f64::from(1 << 30)),
    }
}

/// Judges the settings, which matter only where the indexes do not fit into memory.
pub fn checks(cost: &WriteCost) -> Vec<Check> {
    vec![full_pages(cost), memory(cost)]
}

fn full_pages(cost: &WriteCost) -> Check {
    let name = "postgres.write_cost";
    let size = bytes(cost.index_bytes);
    if cost.index_bytes <= cost.shared_buffers_bytes {
        return Check::pass(name, format!("the indexes ({size}) fit into shared_buffers"));
    }
    let mut fixes = Vec::new();
    let mut set = |name: &str, value: &str| {
        fixes.push(run(format_args!("ALTER SYSTEM SET {name} = '{value}';")));
    };
    if cost.wal_compression == "off" {
        let can = |kind: &str| cost.compressions.iter().any(|known| known == kind);
        set("wal_compression", if can("lz4") { "lz4" } else { "on" });
    }
    let room = cost.index_bytes.min(MOST_WAL);
    if cost.max_wal_bytes < room {
        let gigabytes = (room >> 30).max(1) + 1;
        set("max_wal_size", &format!("{gigabytes}GB"));
    }
    if cost.checkpoint_seconds < CHECKPOINT {
        set("checkpoint_timeout", "15min");
    }
    if fixes.is_empty() {
        return Check::pass(name, format!("the server is set for indexes of {size}"));
    }
    fixes.push(run("SELECT pg_reload_conf();"));
    Check::warn(
        name,
        format!(
            "the indexes ({size}) are larger than shared_buffers: nearly every event puts whole pages into PostgreSQL's log"
        ),
        format!("as a superuser: {}; what that saves is in docs/benchmarks.md", fixes.join(", ")),
    )
}

fn memory(cost: &WriteCost) -> Check {
    let name = "postgres.shared_buffers";
    let (size, held) = (bytes(cost.index_bytes), bytes(cost.shared_buffers_bytes));
    if cost.index_bytes / TIMES_MEMORY <= cost.shared_buffers_bytes {
        return Check::pass(name, format!("shared_buffers is {held}, the indexes are {size}"));
    }
    Check::warn(
        name,
        format!("shared_buffers is {held}, and the indexes are {size}"),
        "set shared_buffers to a quarter of the machine's memory, and restart PostgreSQL when that suits",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::runnable;
    use crate::checkup::Level;

    fn large() -> WriteCost {
        WriteCost {
            wal_compression: "off".to_owned(),
            compressions: vec!["pglz".to_owned(), "lz4".to_owned()],
            max_wal_bytes: 1 << 30,
            checkpoint_seconds: 300,
            shared_buffers_bytes: 128 << 20,
            index_bytes: 5 << 30,
        }
    }

    #[test]
    fn small_tables_want_nothing_and_large_ones_what_saves_most() {
        let levels = |cost: &WriteCost| checks(cost).iter().map(|c| c.level).collect::<Vec<_>>();
        let small = WriteCost { index_bytes: 100 << 20, ..large() };
        assert_eq!(levels(&small), [Level::Pass, Level::Pass]);
        assert_eq!(levels(&large()), [Level::Warn, Level::Warn]);
        let found = checks(&large());
        assert_eq!(
            runnable(&found[0].fix),
            [
                "ALTER SYSTEM SET wal_compression = 'lz4';",
                "ALTER SYSTEM SET max_wal_size = '6GB';",
                "ALTER SYSTEM SET checkpoint_timeout = '15min';",
                "SELECT pg_reload_conf();"
            ]
        );
        let done = WriteCost {
            wal_compression: "lz4".to_owned(),
            max_wal_bytes: 6 << 30,
            checkpoint_seconds: 900,
            shared_buffers_bytes: 2 << 30,
            ..large()
        };
        assert_eq!(levels(&done), [Level::Pass, Level::Pass]);
        // Before PostgreSQL 15 it is a matter of on and off.
        let old = WriteCost { compressions: Vec::new(), ..large() };
        assert!(checks(&old)[0].fix.contains("wal_compression = 'on'"));
        // A log without end would make a recovery without end.
        let huge = WriteCost { index_bytes: 900 << 30, max_wal_bytes: 17 << 30, ..large() };
        assert!(!checks(&huge)[0].fix.contains("max_wal_size"));
    }
}
