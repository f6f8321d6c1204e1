//! The tables of the configuration, each key in one line.

mod broker;
mod database;
mod job;
mod page;
mod route;

use std::time::Duration;

use secrecy::SecretString;

pub use broker::Kafka;
pub use database::{Database, Pooler};
pub use job::{MaxBackfill, Reconcile};
pub use page::Http;
pub use route::{Batch, Inbox, Start};

use super::declare::section;
use super::kinds::{Program, count, level, maybe, one_of, program, truth, webhook, within};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(365 * 24);

section! {
    /// The way from PostgreSQL to Kafka.
    pub struct Outbox(Clone, Debug, PartialEq, Eq) {
        /// Whether this daemon brings to Kafka what payments published with makegood.publish. Of several daemons
        /// one does at a time.
        enabled: bool = true, truth();
        /// Where the outbox lives, if not beside the purchases: a name from [databases].
        database: Option<String> = "", maybe();
        /// How many relays share the work, by the key. One is enough for tens of thousands of events a second. All daemons of
        /// one outbox need the same number.
        shards: i16 = 1, count(8);
    }
}

section! {
    /// The watch over the routes.
    pub struct Watchdog(Clone, Debug, PartialEq, Eq) {
        /// When records wait and nothing moves, the reason is said within this time. If none from outside is found
        /// (the database, a lock, a hold, the broker, a producer's open transaction), the route is read anew,
        /// through a new Kafka client if need be, within twice as long; after ten times as long the daemon ends
        /// with exit code 75, for its supervisor to start another.
        patience: Duration = "30s", within(SECOND, HOUR);
    }
}

section! {
    /// How long finished rows are kept.
    pub struct Retention(Clone, Debug, PartialEq, Eq) {
        /// Inbox rows; their tables are emptied within one and a half times this, and not before Kafka has removed the
        /// rows' records. So it must be longer than the topics keep events, and than published events are kept.
        inbox: Duration = "30d", within(SECOND, 100 * YEAR);
        /// Published events, so that they can be looked up (makegood outbox show); their tables are emptied
        /// within one and a half times this.
        outbox: Duration = "7d", within(SECOND, 100 * YEAR);
    }
}

section! {
    /// What happens at start when makegood's schema is older than the program.
    pub struct Migrate(Clone, Debug, PartialEq, Eq) {
        /// "auto" brings it up to date, "check" refuses to start.
        mode: MigrateMode = "auto", one_of(&[("auto", MigrateMode::Auto), ("check", MigrateMode::Check)]);
    }
}

/// See [`Migrate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrateMode {
    /// Migrate at start.
    #[default]
    Auto,
    /// Refuse to start.
    Check,
}

section! {
    /// Who is told when the verdict of `makegood status` turns bad, and when it is well again: a URL that gets a
    /// POST, or a program with its arguments that gets the same JSON on its standard input; one of the two. It
    /// works without the database and without Kafka. Nobody is told that makegood itself does not run.
    pub struct Alert(Clone, Debug) {
        /// The URL, which may be a secret: MAKEGOOD_ALERT_WEBHOOK_FILE names a file with it.
        webhook: Option<SecretString> = "", webhook();
        /// The program.
        command: Program = [], program();
        /// How long it has to be bad, and then well, before anybody is told.
        after: Duration = "1m", within(SECOND, 30 * DAY);
        /// How often it is said again while it stays bad.
        repeat: Duration = "1h", within(SECOND, 30 * DAY);
    }
}

section! {
    /// The log on standard error.
    pub struct Log(Clone, Debug, PartialEq, Eq) {
        /// off, error, warn, info, debug, trace, or a filter such as "info,makegood_store=debug". --log-level and
        /// RUST_LOG win over it. Read again on SIGHUP.
        level: String = "info", level();
        /// "text", "json", or "auto": text on a terminal, JSON otherwise.
        format: LogFormat = "auto", one_of(&[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)]);
    }
}

/// See [`Log`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}
