//! Where a round takes place: the servers that its faults need, a database and a topic, proxies before both, and daemons
//! that know the proxies alone.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
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
use super::faults::{Need, by_file};
use super::ledger::Ledger;
use super::load::Load;
use crate::demo::shop::{connect, failed, make_database};
use crate::servers::host::{PrivateFolder, free_port};
use crate::servers::kafka::PrivateKafka;
use crate::servers::pgbouncer::PgBouncer;
use crate::servers::postgres::PrivatePostgres;
use crate::servers::proxy::Proxy;
use crate::servers::small_disk::SmallDisk;
use rules::problem::{Code, Problem};
use store::migrate;

/// The payments' and purchases' database.
pub const DATABASE: &str = "shop";
/// The topic.
pub const TOPIC: &str = "purchase-confirmed";
/// The group.
pub const GROUP: &str = "purchase-creation-workers";
const PARTITIONS: i32 = 4;
const SETTINGS: [&str; 1] = ["max_prepared_transactions=5"];

/// Everything a round has. Each part that faults change has a lock, so that one fault at a time does.
pub struct Environment {
    /// The daemons; the first one is up whenever no fault has taken it down.
    pub daemons: Mutex<Vec<Daemon>>,
    /// PostgreSQL.
    pub postgres: Mutex<PrivatePostgres>,
    /// The disk it lies on, if that is small.
    pub postgres_disk: Option<SmallDisk>,
    /// Its standby, until that is promoted.
    pub standby: Mutex<Option<PrivatePostgres>>,
    /// A server with nothing in it, until it takes over.
    pub second: Mutex<Option<PrivatePostgres>>,
    /// Between the proxy and PostgreSQL, if anything is.
    pub pooler: Mutex<Option<PgBouncer>>,
    /// Before PostgreSQL.
    pub postgres_proxy: Proxy,
    /// The brokers beside the first one.
    pub brokers: Mutex<Vec<PrivateKafka>>,
    /// Kafka, or its first broker.
    pub kafka: Mutex<PrivateKafka>,
    /// The disk it lies on, if that is small.
    pub kafka_disk: Option<SmallDisk>,
    /// Before Kafka, where it is one broker.
    pub kafka_proxy: Proxy,
    /// The book.
    pub ledger: Arc<Ledger>,
    /// The load.
    pub load: Arc<Load>,
    /// Where the evidence goes.
    pub folder: PathBuf,
    /// A file for each server's clock.
    pub clocks: PathBuf,
    /// Where everything random comes from.
    pub seed: u64,
    /// A file for each step of the daemons that is to fail.
    pub failpoints: PathBuf,
    failpoint: AtomicU64,
    before: Vec<OsString>,
    logs: std::sync::Mutex<Vec<(String, PathBuf)>>,
    config: String,
    secret: String,
    bootstrap: String,
    _clocks: PrivateFolder,
}

impl Environment {
    /// Starts everything but the daemons, with what the faults need.
    pub async fn prepare(folder: &Path, seed: u64, needs: &[Need]) -> Result<Environment, Problem> {
        let ledger = Arc::new(Ledger::create(&folder.join("ledger.jsonl"))?);
        let clocks = clock_folder()?;
        let (postgres, postgres_disk) = start_postgres(needs, clocks.path())?;
        let url = postgres.url(DATABASE);
        make_database(&postgres.url("postgres"), DATABASE, &url).await?;
        // The first daemon does it where that may fail.
        if !needs.contains(&Need::Failpoints) {
            migrate::up(&mut connect(&url).await?, migrate::BOTH).await?;
        }
        let secret = url.split(['/', ':', '@']).nth(4).unwrap_or_default().to_owned();
        let role = format!("CREATE ROLE makegood LOGIN SUPERUSER PASSWORD '{secret}'");
        connect(&url).await?.batch_execute(&role).await.map_err(|e| failed(e, "making a role"))?;
        let own_url = url.replacen("://postgres:", "://makegood:", 1);
        let has = |need| needs.contains(&need);
        let beside = has(Need::Standby) || has(Need::StandbyFirst);
        let standby = beside.then(|| block_in_place(|| postgres.standby(&SETTINGS)));
        let second = has(Need::SecondPostgres)
            .then(|| block_in_place(|| PrivatePostgres::start_with(false, &SETTINGS)));
        let pooler = has(Need::Pooler).then(|| block_in_place(|| PgBouncer::start(&own_url)));
        let pooler = pooler.transpose()?;
        let behind = pooler.as_ref().map_or(postgres.port(), PgBouncer::port);
        let postgres_proxy = Proxy::start(behind).await?;

        let proxied = free_port()?;
        let kafka_proxy = Proxy::plain(proxied).await?;
        let advertised = kafka_proxy.port();
        let (kafka, kafka_disk) = start_kafka(needs, clocks.path(), proxied, advertised)?;
        let mut bootstrap = kafka.bootstrap();
        let mut brokers = Vec::new();
        if has(Need::ThreeBrokers) {
            for id in [2, 3] {
                let broker = block_in_place(|| kafka.join_as(id, |usual| three_copies(&usual)))?;
                bootstrap.push_str(&format!(",{}", broker.bootstrap()));
                brokers.push(broker);
            }
        }
        let copies = if brokers.is_empty() { 1 } else { 3 };
        if has(Need::UncleanElections) {
            create_unclean_topic(&bootstrap).await?;
        } else {
            create_topic(&bootstrap, PARTITIONS, copies).await?;
        }

        let topic = TOPIC.to_owned();
        let load = Load::new(Arc::clone(&ledger), url.clone(), bootstrap.clone(), topic, seed);
        let reached = match brokers.is_empty() {
            true => format!("127.0.0.1:{advertised}"),
            false => bootstrap.clone(),
        };
        let direct = pooler.as_ref().map(|_| own_url.as_str());
        let standby = standby.transpose()?;
        let mut daemons_url = postgres_proxy.url(&own_url);
        if let Some(standby) = standby.as_ref().filter(|_| has(Need::StandbyFirst)) {
            let first = format!("@127.0.0.1:{},127.0.0.1:", standby.port());
            daemons_url = daemons_url.replacen("@127.0.0.1:", &first, 1);
        }
        let config = config(&daemons_url, direct, &reached);
        let failpoints = clocks.path().join("failpoints");
        std::fs::create_dir_all(&failpoints)
            .map_err(|e| Problem::new(Code::System, format!("{}: {e}", failpoints.display())))?;
        let mut before = Vec::new();
        if has(Need::Failpoints) {
            let mut assigned = OsString::from(format!("{}=", failpoints::FOLDER_ENV));
            assigned.push(&failpoints);
            before.push(assigned);
        }
        ledger.note(json!({
            "act": "environment", "seed": seed, "database": url, "bootstrap": bootstrap, "topic": TOPIC,
            "group": GROUP, "canary": load.canary, "dirty": load.dirty, "secret": secret,
        }))?;
        Ok(Environment {
            daemons: Mutex::default(),
            postgres: Mutex::new(postgres),
            postgres_disk,
            standby: Mutex::new(standby),
            second: Mutex::new(second.transpose()?),
            pooler: Mutex::new(pooler),
            postgres_proxy,
            brokers: Mutex::new(brokers),
            kafka: Mutex::new(kafka),
            kafka_disk,
            kafka_proxy,
            ledger,
            load: Arc::new(load),
            folder: folder.to_owned(),
            clocks: clocks.path().to_owned(),
            seed,
            failpoints,
            failpoint: AtomicU64::new(0),
            before,
            logs: std::sync::Mutex::default(),
            config,
            secret,
            bootstrap,
            _clocks: clocks,
        })
    }

    /// Makes and starts one more daemon, with these arguments before its program.
    pub fn daemon(&self, name: &str, before: &[OsString]) -> Result<Daemon, Problem> {
        // Logs outlive their daemons, for the end of the round.
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.folder.join(format!("daemon-{}-{name}.log", logs.len()));
        logs.push((name.to_owned(), log.clone()));
        drop(logs);
        let before = [before, &self.before].concat();
        let mut daemon = Daemon::new(name, &self.config, log, &before, &self.ledger)?;
        daemon.start()?;
        Ok(daemon)
    }

    /// The number of the next step that is to fail, from 0.
    pub fn next_failpoint(&self) -> u64 {
        self.failpoint.fetch_add(1, Ordering::Relaxed)
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

    /// The password, which nothing may show.
    pub fn secret(&self) -> &str {
        &self.secret
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

/// Creates the topic on two brokers, one of which may lead it alone, whatever it lacks.
async fn create_unclean_topic(bootstrap: &str) -> Result<(), Problem> {
    let copies: [&[i32]; PARTITIONS as usize] = [&[2, 3], &[3, 2], &[2, 3], &[3, 2]];
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Variable(&copies))
        .set("max.message.bytes", "4000000")
        .set("min.insync.replicas", "1")
        .set("unclean.leader.election.enable", "true");
    create(bootstrap, &topic).await
}

/// Creates the topic.
pub async fn create_topic(bootstrap: &str, partitions: i32, copies: i32) -> Result<(), Problem> {
    let topic = NewTopic::new(TOPIC, partitions, TopicReplication::Fixed(copies))
        .set("max.message.bytes", "4000000");
    create(bootstrap, &topic).await
}

async fn create(bootstrap: &str, topic: &NewTopic<'_>) -> Result<(), Problem> {
    let made = admin(bootstrap)?.create_topics([topic], &AdminOptions::new()).await;
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

/// What one broker has once, three have each.
fn three_copies(usual: &str) -> String {
    usual
        .replace("replication.factor=1", "replication.factor=3")
        .replace("min.insync.replicas=1", "min.insync.replicas=2")
        .replace("min.isr=1", "min.isr=2")
}

fn clock_folder() -> Result<PrivateFolder, Problem> {
    let folder = PrivateFolder::new("clocks", None)?;
    // PostgreSQL reads its clock as another user.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .map_err(|e| Problem::new(Code::System, format!("{}: {e}", folder.path().display())))?;
    Ok(folder)
}

/// What goes before a server's program so that its clock can be set, where that is needed.
fn clock(needs: &[Need], need: Need, file: &Path) -> Result<Vec<OsString>, Problem> {
    if !needs.contains(&need) {
        return Ok(Vec::new());
    }
    let variables = by_file(file)?;
    Ok(std::iter::once("env".into()).chain(variables).collect())
}

fn start_postgres(
    needs: &[Need],
    clocks: &Path,
) -> Result<(PrivatePostgres, Option<SmallDisk>), Problem> {
    let before = clock(needs, Need::PostgresClock, &clocks.join("postgres"))?;
    let durable = needs.contains(&Need::FailingDisk);
    let small = needs.contains(&Need::SmallPostgres);
    let mut settings = SETTINGS.to_vec();
    if small {
        settings.extend(["max_wal_size=64MB", "min_wal_size=32MB"]);
    }
    let mut disk = None;
    let postgres = block_in_place(|| {
        PrivatePostgres::start_on(durable, &settings, &before, |folder, owner| {
            if small {
                disk = Some(SmallDisk::mount(&folder.join("data"), 260, owner)?);
            }
            Ok(())
        })
    })?;
    Ok((postgres, disk))
}

fn start_kafka(
    needs: &[Need],
    clocks: &Path,
    proxied: u16,
    advertised: u16,
) -> Result<(PrivateKafka, Option<SmallDisk>), Problem> {
    let before = clock(needs, Need::KafkaClock, &clocks.join("kafka"))?;
    let mut disk = None;
    let kafka = block_in_place(|| {
        let change = |folder: &Path, usual: String| {
            if needs.contains(&Need::SmallKafka) {
                disk = Some(SmallDisk::mount(&folder.join("data"), 200, None));
            }
            match needs.contains(&Need::ThreeBrokers) {
                true => three_copies(&usual),
                false => beside_proxy(&usual, proxied, advertised),
            }
        };
        PrivateKafka::start_by_way_of(&before, change, &[])
    })?;
    Ok((kafka, disk.transpose()?))
}

/// The defaults, but for quick groups and a reconciler that comes by soon.
fn config(database_url: &str, direct_url: Option<&str>, bootstrap: &str) -> String {
    let pooler = direct_url
        .map_or(String::new(), |url| format!("pooler = \"transaction\"\ndirect_url = \"{url}\"\n"));
    format!(
        "[postgres]\nurl = \"{database_url}\"\n{pooler}[kafka]\nbootstrap_servers = \"{bootstrap}\"\n\
         [kafka.properties]\n\"session.timeout.ms\" = \"3000\"\n\"heartbeat.interval.ms\" = \"500\"\n\
         [[inbox]]\nname = \"purchase-confirmed\"\ntopic = \"{TOPIC}\"\ngroup = \"{GROUP}\"\n\
         event_type = \"PURCHASE_CONFIRMED\"\nother_types = [\"PAYMENT_FAILED\"]\n\
         [[reconcile]]\nname = \"purchases\"\ninbox = \"purchase-confirmed\"\nevery = \"5s\"\ngrace = \"3s\"\n\
         max_backfill = {{ rows = 100000, share = \"100%\", share_from = 1000 }}\n\
         [log]\nlevel = \"info\"\n"
    )
}
