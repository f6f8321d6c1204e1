//! Configuration: flag, then environment, then file, then default.
//!
//! [`load()`] reads all of them and gives back a [`Config`] in which nothing is left to interpret,
//! with the origin of every value. `Debug` of these types never shows a secret.

mod again;
mod assemble;
mod checks;
mod declare;
mod describe;
mod env;
pub mod exposed;
mod file;
mod kinds;
mod layers;
mod libpq;
mod load;
mod mistake;
mod postgres;
mod reader;
pub mod redact;
mod sections;
mod units;
mod url;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use secrecy::SecretString;

pub use again::Again;
pub use describe::{reference, shipped};
pub use kinds::Program;
pub use layers::Origin;
pub use load::{Loaded, Overrides, load};
pub use postgres::{Postgres, RootCert, SslMode};
pub use reader::Setting;
pub use sections::{
    Alert, Batch, Http, Inbox, Kafka, Log, LogFormat, MaxBackfill, Migrate, MigrateMode, Outbox,
    Pooler, Reconcile, Retention, Start, Watchdog,
};
pub use units::{duration, show_duration};

use assemble::{ConfigTable, Folders};

/// Everything makegood can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database with the purchases, and with makegood's own schema.
    pub postgres: Postgres,
    /// The brokers.
    pub kafka: Kafka,
    /// The status page, the health checks and the metrics.
    pub http: Http,
    /// The routes from a topic to a mapping.
    pub inbox: Vec<Inbox>,
    /// The jobs that look for payments without a purchase.
    pub reconcile: Vec<Reconcile>,
    /// The way from PostgreSQL to Kafka.
    pub outbox: Outbox,
    /// The watch over the routes.
    pub watchdog: Watchdog,
    /// How long finished rows are kept.
    pub retention: Retention,
    /// What happens when makegood's schema is older than the program.
    pub migrate: Migrate,
    /// Further databases by name, for payments that do not live beside the purchases.
    pub databases: BTreeMap<String, Postgres>,
    /// Who is told when the verdict turns bad.
    pub alert: Alert,
    /// The log on standard error.
    pub log: Log,
}

/// Every table there is, in the order they are shown; the keys stand with the structs.
static TABLES: LazyLock<Vec<ConfigTable>> = LazyLock::new(|| {
    vec![
        ConfigTable::of::<sections::Database>("postgres"),
        ConfigTable::of::<Kafka>("kafka"),
        ConfigTable::of::<Http>("http"),
        ConfigTable::of::<Inbox>("inbox[]"),
        ConfigTable::of::<Reconcile>("reconcile[]"),
        ConfigTable::of::<Outbox>("outbox"),
        ConfigTable::of::<Watchdog>("watchdog"),
        ConfigTable::of::<Retention>("retention"),
        ConfigTable::of::<Migrate>("migrate"),
        ConfigTable::of::<sections::Database>("databases.*"),
        ConfigTable::of::<Alert>("alert"),
        ConfigTable::of::<Log>("log"),
    ]
});

/// Every key there is.
fn keys() -> impl Iterator<Item = &'static declare::Key> {
    TABLES.iter().flat_map(|table| &table.keys)
}

/// How somebody is told.
#[derive(Clone, Debug)]
pub enum Through {
    /// A POST to this URL, which may be a secret.
    Webhook(SecretString),
    /// A program with its arguments.
    Command(Program),
}

impl Alert {
    /// How; `None` tells nobody.
    pub fn through(&self) -> Option<Through> {
        let command = Some(&self.command).filter(|words| !words.is_empty());
        let webhook = self.webhook.clone().map(Through::Webhook);
        webhook.or_else(|| command.map(|words| Through::Command(words.clone())))
    }
}

impl Default for Config {
    /// What holds when nobody says anything.
    fn default() -> Self {
        let nowhere = Folders { cwd: Path::new(""), file: None };
        assemble::config(&mut reader::ConfigReader::default(), &nowhere)
    }
}

impl Config {
    /// How many connections the daemon's pool beside the purchases may open: a lane has one transaction at a
    /// time; a route's claim, heartbeat and replays, and its jobs, come on top.
    pub fn pool_size(&self) -> usize {
        let lanes: usize = self.inbox.iter().map(|route| route.lanes.max(1)).sum();
        // The last one ends the inbox's turns.
        lanes + self.inbox.len() * 3 + self.reconcile.len() * 3 + 1
    }

    /// The database that a route's payments are in, if one of its jobs names another one than that with the
    /// purchases.
    pub fn source_of(&self, route: &str) -> Option<&Postgres> {
        let jobs = self.reconcile.iter().filter(|job| job.inbox == route);
        let name = jobs.filter_map(|job| job.source.as_ref()).next()?;
        self.databases.get(name)
    }

    /// The database with the outbox.
    pub fn outbox_database(&self) -> &Postgres {
        let other = self.outbox.database.as_ref().and_then(|name| self.databases.get(name));
        other.unwrap_or(&self.postgres)
    }
}

#[cfg(test)]
mod tests;
