//! Where a round takes place: the servers that its faults need, a database and a topic, proxies before both, and daemons
//! that know the proxies alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::daemon::Daemon;
use super::ledger::Ledger;
use super::load::Load;
use crate::demo::shop::{connect, make_database};
use crate::servers::footing::free_port;
use crate::servers::kafka::PrivateKafka;
use crate::servers::postgres::PrivatePostgres;
use crate::servers::proxy::Proxy;
use rules::problem::{Code, Problem};
use store::migrate;

/// The payments' and purchases' database.
pub const DATABASE: &str = "shop";
/// The topic.
pub const TOPIC: &str = "purchase-confirmed";
/// The group.
pub const GROUP: &str = "purchase-creation-workers";
const PARTITIONS: i32 = 4;

/// Everything a round has. Each part that faults change has a lock, so that one fault at a time does.
pub struct Ground {
    /// The daemons; the first one is up whenever no fault has taken it down.
    pub daemons: Mutex<Vec<Daemon>>,
    /// PostgreSQL.
    pub postgres: Mutex<PrivatePostgres>,
    /// Before PostgreSQL.
    pub postgres_proxy: Proxy,
    /// Kafka.
    pub kafka: Mutex<PrivateKafka>,
    /// Before Kafka.
    pub kafka_proxy: Proxy,
    /// The book.
    pub ledger: Arc<Ledger>,
    /// The load.
    pub load: Arc<Load>,
    /// Where the evidence goes.
    pub folder: PathBuf,
    logs: std::sync::Mutex<Vec<(String, PathBuf)>>,
    config: String,
    url: String,
    bootstrap: String,
}

impl Ground {
    /// Starts everything but the daemons.
    pub async fn prepare(folder: &Path, seed: u64) -> Result<Ground, Problem> {
        let ledger = Arc::new(Ledger::create(&folder.join("ledger.jsonl"))?);
        let postgres = block_in_place(|| {
            PrivatePostgres::start_with(false, &["max_prepared_transactions=5"])
        })?;
        let url = postgres.url(DATABASE);
        make_database(&postgres.url("postgres"), DATABASE, &url).await?;
        migrate::up(&mut connect(&url).await?, migrate::BOTH).await?;
        let postgres_proxy = Proxy::start(postgres.port()).await?;

        let proxied = free_port()?;
        let kafka_proxy = Proxy::plain(proxied).await?;
        let advertised = kafka_proxy.port();
        let kafka = block_in_place(|| {
            PrivateKafka::start_with(|_, usual| beside_proxy(&usual, proxied, advertised), &[])
        })?;
        let bootstrap = kafka.bootstrap();
        create_topic(&bootstrap, PARTITIONS, 1).await?;

        let load =
            Load::new(Arc::clone(&ledger), url.clone(), bootstrap.clone(), TOPIC.to_owned(), seed);
        let config = config(&postgres_proxy.url(&url), &format!("127.0.0.1:{advertised}"));
        ledger.note(json!({
            "act": "ground", "seed": seed, "database": url, "bootstrap": bootstrap, "topic": TOPIC,
            "group": GROUP, "canary": load.canary, "dirty": load.dirty,
            "secret": url.split(['/', ':', '@']).nth(4),
        }))?;
        Ok(Ground {
            daemons: Mutex::default(),
            postgres: Mutex::new(postgres),
            postgres_proxy,
            kafka: Mutex::new(kafka),
            kafka_proxy,
            ledger,
            load: Arc::new(load),
            folder: folder.to_owned(),
            logs: std::sync::Mutex::default(),
            config,
            url,
            bootstrap,
        })
    }

    /// Makes and starts one more daemon, with these arguments before its program.
    pub fn daemon(&self, name: &str, before: &[OsString]) -> Result<Daemon, Problem> {
        // Logs outlive their daemons, for the end of the round.
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.folder.join(format!("daemon-{}-{name}.log", logs.len()));
        logs.push((name.to_owned(), log.clone()));
        drop(logs);
        let mut daemon = Daemon::new(name, &self.config, log, before, &self.ledger)?;
        daemon.start()?;
        Ok(daemon)
    }

    /// The names and logs of all daemons there ever were.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A connection to the database, past the proxy.
    pub async fn client(&self) -> Result<Client, Problem> {
        connect(&self.load.database_url()).await
    }

    /// The same, for what must be undone: tried for a minute, for another fault may keep it away.
    pub async fn patient_client(&self) -> Result<Client, Problem> {
        let mut tries = 0;
        loop {
            match self.client().await {
                Err(_) if tries < 300 => tries += 1,
                outcome => return outcome,
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The database's connection string, past the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kafka, past the proxy.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A client that changes topics, past the proxy.
    pub fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Problem> {
        admin(&self.bootstrap)
    }
}

/// Creates the topic.
pub async fn create_topic(bootstrap: &str, partitions: i32, copies: i32) -> Result<(), Problem> {
    let topic = NewTopic::new(TOPIC, partitions, TopicReplication::Fixed(copies))
        .set("max.message.bytes", "4000000");
    let made = admin(bootstrap)?.create_topics([&topic], &AdminOptions::new()).await;
    match made {
        Ok(outcomes) => match outcomes.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some((name, e)) => Err(kafka(format!("cannot create the topic {name}: {e}"))),
        },
        Err(e) => Err(kafka(format!("cannot create the topic: {e}"))),
    }
}

fn admin(bootstrap: &str) -> Result<AdminClient<DefaultClientContext>, Problem> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|e| kafka(format!("cannot make a Kafka client: {e}")))
}

fn kafka(cause: String) -> Problem {
    Problem::new(Code::Kafka, cause)
}

/// A broker's properties with one more listener, which clients are told to reach by way of the proxy.
fn beside_proxy(usual: &str, port: u16, advertised: u16) -> String {
    let mut text = String::new();
    for line in usual.lines() {
        let more = match line.split_once('=') {
            Some(("listeners", _)) => format!(",PROXIED://127.0.0.1:{port}"),
            Some(("advertised.listeners", _)) => format!(",PROXIED://127.0.0.1:{advertised}"),
            Some(("listener.security.protocol.map", _)) => ",PROXIED:PLAINTEXT".to_owned(),
            _ => String::new(),
        };
        text.push_str(&format!("{line}{more}\n"));
    }
    text
}

/// The defaults, but for quick groups and a reconciler that comes by soon.
fn config(database_url: &str, bootstrap: &str) -> String {
    format!(
        "[postgres]\nurl = \"{database_url}\"\n[kafka]\nbootstrap_servers = \"{bootstrap}\"\n\
         [kafka.properties]\n\"session.timeout.ms\" = \"3000\"\n\"heartbeat.interval.ms\" = \"500\"\n\
         [[inbox]]\nname = \"purchase-confirmed\"\ntopic = \"{TOPIC}\"\ngroup = \"{GROUP}\"\n\
         event_type = \"PURCHASE_CONFIRMED\"\nother_types = [\"PAYMENT_FAILED\"]\n\
         [[reconcile]]\nname = \"purchases\"\ninbox = \"purchase-confirmed\"\nevery = \"5s\"\ngrace = \"3s\"\n\
         max_backfill = {{ rows = 100000, share = \"100%\", share_from = 1000 }}\n\
         [log]\nlevel = \"info\"\n"
    )
}
