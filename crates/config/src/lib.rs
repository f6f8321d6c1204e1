//! Configuration: flag, then environment, then file, then default.
//!
//! [`load()`] reads all of them and gives back a [`Config`] in which nothing is left to interpret,
//! with the origin of every value. `Debug` of these types never shows a secret.

mod again;
mod alert;
mod assemble;
mod checks;
mod defaults;
mod env;
pub mod exposed;
mod file;
mod http;
mod keys;
mod layers;
mod libpq;
mod load;
mod mistake;
mod postgres;
mod reader;
pub mod redact;
mod units;
mod url;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use again::Again;
pub use layers::Origin;
pub use load::{Loaded, Overrides, load};
pub use postgres::{Pooler, Postgres, RootCert, SslMode};
pub use reader::Setting;
pub use units::{duration, show_duration};

use rules::field_path::Place;
use rules::framing::Framing;

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

/// The brokers and how to speak to them.
#[derive(Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// librdkafka properties, passed on as they are; may hold secrets.
    pub properties: BTreeMap<String, String>,
    /// A program and its arguments that prints a token for SASL OAUTHBEARER; empty for none.
    pub token_command: Vec<String>,
    /// The region of an Amazon MSK cluster that takes logins by IAM; `None` for any other.
    pub msk_region: Option<String>,
}

/// The HTTP side.
#[derive(Clone, Debug)]
pub struct Http {
    /// The address to listen on; `None` answers nothing.
    pub listen: Option<SocketAddr>,
    /// Whether the status page looks payments up.
    pub explain: bool,
    /// What everybody has to know who asks for more than a probe.
    pub token: Option<SecretString>,
    /// Whether other machines may ask without a token.
    pub open: bool,
    /// The names under which the daemon may be asked, beside localhost and addresses.
    pub hosts: Vec<String>,
}

impl Http {
    /// Whether other machines can reach it.
    pub fn is_reachable(&self) -> bool {
        self.listen.is_some_and(|listen| !listen.ip().to_canonical().is_loopback())
    }
}

/// One route: the records of a topic, applied by a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    /// The route's name, unique, of `a-z`, `0-9` and `-`.
    pub name: String,
    /// The topic to read.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// The event type to apply; `None` takes every record.
    pub event_type: Option<String>,
    /// Types that are none of the route's business; a lone `*` stands for all. Others that it ignores are told of.
    pub other_types: Vec<String>,
    /// The folder of the mapping's SQL, which must exist; `None` for the compiled-in mapping.
    pub mapping: Option<PathBuf>,
    /// Where a partition without any position starts.
    pub start: Start,
    /// Whether a start that leaves out paid events is allowed.
    pub allow_skip: bool,
    /// What is taken off a record's value before it is read, in this order.
    pub envelopes: Vec<Framing>,
    /// Where the event id is looked for.
    pub id_from: Vec<Place>,
    /// Where the event type is looked for.
    pub type_from: Vec<Place>,
    /// The largest record applied, in bytes; a larger one is quarantined.
    pub max_record: usize,
    /// How many refused records may wait for a verdict before the route slows down, at least 1.
    pub suspects: usize,
    /// Whether a purchase is made only for a payment that is there, succeeded and says the same.
    pub verify_payment: bool,
    /// How many bytes on the database's disk the quarantine may take; what is put away beyond that is only noted as a gap.
    pub max_quarantine: u64,
    /// How many partitions are applied at the same time.
    pub lanes: usize,
    /// When a batch is full.
    pub batch: Batch,
}

/// The limits of one batch, whichever is reached first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// At most so many records.
    pub rows: usize,
    /// At most so many bytes of records.
    pub bytes: usize,
    /// Wait at most so long for more records.
    pub linger: Duration,
}

/// Where a partition starts that has a position neither in PostgreSQL nor in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its first record.
    Earliest,
    /// After its last record; only with [`Inbox::allow_skip`].
    Latest,
    /// At the first record of this time or later.
    At(jiff::Timestamp),
}

/// One reconcile job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// The job's name, unique, of `a-z`, `0-9` and `-`.
    pub name: String,
    /// The route whose mapping it uses.
    pub inbox: String,
    /// The key in [`Config::databases`] where the payments are; `None` is [`Config::postgres`].
    pub source: Option<String>,
    /// The time between two runs.
    pub every: Duration,
    /// How old a payment must be before it counts as missing its purchase.
    pub grace: Duration,
    /// The time between two runs that look at all payments again, for those that were late.
    pub sweep: Duration,
    /// How many payments are looked at in one statement.
    pub window: u64,
    /// What a run may add without anybody's approval.
    pub max_backfill: MaxBackfill,
}

/// The brake on a reconcile run: what is above waits for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxBackfill {
    /// At most so many purchases a run.
    pub rows: u64,
    /// At most this share of the payments looked at, in percent, 0 to 100.
    pub share: u8,
    /// The share counts only from so many payments on.
    pub share_from: u64,
}

/// The outbox and its relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// Whether this process relays it.
    pub enabled: bool,
    /// The key in [`Config::databases`] where it lives; `None` is [`Config::postgres`].
    pub database: Option<String>,
    /// How many relays share the work, by the hash of the key; several daemons may run them. 1 to 8.
    pub shards: i16,
}

/// The watch over the routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// A stall is said within this time, and mended within twice as long.
    pub patience: Duration,
}

/// How long finished rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Inbox rows.
    pub inbox: Duration,
    /// Published outbox rows.
    pub outbox: Duration,
}

/// What happens at start when makegood's schema is older than the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrate {
    /// Bring it up to date, or refuse to start.
    pub mode: MigrateMode,
}

/// See [`Migrate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrateMode {
    /// Migrate at start.
    Auto,
    /// Refuse to start.
    Check,
}

/// Who is told when the verdict turns bad, and when it is well again.
#[derive(Clone, Debug)]
pub struct Alert {
    /// How; `None` tells nobody.
    pub through: Option<Through>,
    /// How long it has to be bad before anybody is told, and well before anybody is told that.
    pub after: Duration,
    /// The time between two words about the same trouble.
    pub repeat: Duration,
}

/// How somebody is told.
#[derive(Clone, Debug)]
pub enum Through {
    /// A POST to this URL, which may be a secret.
    Webhook(SecretString),
    /// A program with its arguments.
    Command(Vec<String>),
}

/// The log on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level or a filter such as `info,makegood_store=debug`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// See [`Log`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Debug for Kafka {
    /// Property values are left out: any of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

impl Config {
    /// How many connections the daemon's pool beside the purchases may open: a lane has one transaction at a
    /// time; a route's claim, heartbeat and replays, and its jobs, come on top.
    pub fn pool_size(&self) -> usize {
        let lanes: usize = self.inbox.iter().map(|route| route.lanes.max(1)).sum();
        lanes + self.inbox.len() * 3 + self.reconcile.len() * 3
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
