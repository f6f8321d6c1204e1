//! One test's own database, topic and group on the shared servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lab::servers::host::PrivateFolder;
use makegood::config;
use makegood::kafka::probe::Probe;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rules::problem::Problem;
use rules::record::Record;
use tokio_postgres::Client;
use uuid::Uuid;

use super::daemon::Daemon;
use super::events::Payment;
use super::eventually;
use super::world::{TEMPLATE, World, connect, world};

/// A test's own corner of the servers.
pub struct Rig {
    pub world: &'static World,
    pub database: String,
    pub topic: String,
    pub group: String,
    /// A connection for the test's own questions.
    pub client: Client,
    pub(super) producer: FutureProducer,
    folder: PrivateFolder,
    daemons: AtomicUsize,
}

impl Rig {
    /// A new database with the host's tables and makegood's schema, and a new topic.
    pub async fn new(partitions: i32) -> Rig {
        let world = world().await;
        let name = format!("t{}", &Uuid::new_v4().simple().to_string()[..12]);
        let admin = connect(&world.postgres.url("postgres")).await;
        // Cloning wants the template for itself, and other tests clone it too.
        eventually("a clone of the template database", || async {
            admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await.ok()
        })
        .await;
        let rig = Rig {
            world,
            client: connect(&world.postgres.url(&name)).await,
            topic: format!("purchase-confirmed-{name}"),
            group: format!("workers-{name}"),
            producer: ClientConfig::new()
                .set("bootstrap.servers", world.kafka.bootstrap())
                .set("partitioner", "murmur2_random")
                .set("message.max.bytes", "20000000")
                .set("linger.ms", "5")
                .create()
                .unwrap(),
            folder: PrivateFolder::new("test", None).unwrap(),
            daemons: AtomicUsize::new(0),
            database: name,
        };
        rig.create_topic(partitions).await;
        rig
    }

    /// The database's connection string.
    pub fn url(&self) -> String {
        self.world.postgres.url(&self.database)
    }

    /// A file or folder in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.world.kafka.bootstrap()).create().unwrap()
    }

    pub async fn create_topic(&self, partitions: i32) {
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1))
            .set("max.message.bytes", "20000000");
        for outcome in self.admin().create_topics([&topic], &AdminOptions::new()).await.unwrap() {
            outcome.unwrap();
        }
    }

    /// The configuration as the program gets it: TOML text. `route` is added to the `[[inbox]]`
    /// section, `more` to the end. Most tests send events and write no payments, so events are believed
    /// unless `route` says otherwise; `tests/servers/verifying.rs` is about that.
    pub fn config(&self, database_url: &str, route: &str, more: &str) -> String {
        let believes = match route.contains("verify_payment") {
            true => "",
            false => "verify_payment = false\n",
        };
        format!(
            "[postgres]\nurl = \"{database_url}\"\n[kafka]\nbootstrap_servers = \"{}\"\n\
             [kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"500\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n\
             [[inbox]]\nname = \"purchases\"\ntopic = \"{}\"\ngroup = \"{}\"\nevent_type = \"PURCHASE_CONFIRMED\"\n{believes}{route}\n{more}\n",
            self.world.kafka.bootstrap(),
            self.topic,
            self.group,
        )
    }

    /// Writes the configuration to a file and returns its path.
    pub fn config_file(&self, database_url: &str, route: &str, more: &str) -> PathBuf {
        let path = self.path(&format!("makegood-{}.toml", Uuid::new_v4().simple()));
        fs::write(&path, self.config(database_url, route, more)).unwrap();
        path
    }

    /// Starts a daemon with the usual configuration.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with("")
    }

    /// Starts a daemon with more settings for its route.
    pub fn daemon_with(&self, route: &str) -> Daemon {
        self.daemon_at(&self.url(), route)
    }

    /// Starts a daemon that reaches the database at another address, a proxy's for example.
    pub fn daemon_at(&self, database_url: &str, route: &str) -> Daemon {
        let number = self.daemons.fetch_add(1, Ordering::Relaxed);
        Daemon::start(
            &self.config_file(database_url, route, "[log]\nlevel = \"info,makegood=debug\"\n"),
            number,
        )
    }

    /// Starts a daemon with variables of its own in its environment.
    #[cfg(feature = "otel")]
    pub fn daemon_among(&self, variables: &[(&str, &str)]) -> Daemon {
        let number = self.daemons.fetch_add(1, Ordering::Relaxed);
        let log = "[log]\nlevel = \"info,makegood=debug\"\n";
        Daemon::start_with(&self.config_file(&self.url(), "", log), number, variables)
    }

    /// Sends a record by its key and returns partition and offset.
    pub async fn send(&self, record: &Record) -> (i32, i64) {
        self.send_to(None, record).await
    }

    /// Sends a record to a partition of the test's choice.
    pub async fn send_to(&self, partition: Option<i32>, record: &Record) -> (i32, i64) {
        let sent = self.enqueue(partition, record).await.unwrap().map_err(|(e, _)| e).unwrap();
        (sent.partition, sent.offset)
    }

    /// Hands a record to the producer, in order; the broker's answer comes later.
    fn enqueue(&self, partition: Option<i32>, record: &Record) -> DeliveryFuture {
        let mut headers = OwnedHeaders::new();
        for header in &record.headers {
            let key =
                std::str::from_utf8(&header.name).expect("rdkafka sends only UTF-8 header names");
            headers = headers.insert(Header { key, value: header.value.as_deref() });
        }
        let mut message: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(&self.topic).headers(headers);
        message.partition = partition;
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.timestamp = record.timestamp_ms;
        self.producer.send_result(message).map_err(|(e, _)| e).unwrap()
    }

    /// Sends the events of payments, in order.
    pub async fn pay(&self, payments: &[Payment]) {
        self.pay_to(None, payments).await;
    }

    /// Sends the events of payments to a partition of the test's choice, in order.
    pub async fn pay_to(&self, partition: Option<i32>, payments: &[Payment]) {
        let records: Vec<Record> = payments.iter().map(Payment::record).collect();
        self.send_all(partition, &records).await;
    }

    /// Sends records in order, without waiting for the broker's answer to each.
    pub async fn send_all(&self, partition: Option<i32>, records: &[Record]) {
        for chunk in records.chunks(1000) {
            let sent: Vec<_> = chunk.iter().map(|one| self.enqueue(partition, one)).collect();
            for one in sent {
                one.await.unwrap().map_err(|(e, _)| e).unwrap();
            }
        }
    }

    /// Waits until everything in the topic is behind makegood's position.
    pub async fn caught_up(&self) {
        // Asked once: each question to Kafka is a client of its own.
        let (ends, id) = (self.log_ends(), self.probe().topic_id().unwrap());
        eventually("everything in the topic to be taken in", || async {
            let positions = self.positions_of(id).await;
            ends.iter()
                .all(|(p, end)| *end == 0 || positions.get(p).is_some_and(|at| at >= end))
                .then_some(())
        })
        .await;
    }

    /// The end of each partition's log. A partition that was just made may have no leader yet.
    pub fn log_ends(&self) -> BTreeMap<i32, i64> {
        let probe = self.probe();
        let ends = || {
            let partitions = probe.partitions()?.into_iter();
            partitions.map(|p| Ok((p, probe.watermarks(p)?.high.0))).collect::<Result<_, Problem>>()
        };
        let mut tries = 0..20;
        loop {
            match ends() {
                Ok(ends) => return ends,
                Err(_) if tries.next().is_some() => thread::sleep(Duration::from_millis(250)),
                Err(problem) => panic!("{problem}"),
            }
        }
    }

    /// The newest position of each partition under the topic's present id.
    pub async fn positions(&self) -> BTreeMap<i32, i64> {
        self.positions_of(self.probe().topic_id().unwrap()).await
    }

    async fn positions_of(&self, id: Uuid) -> BTreeMap<i32, i64> {
        let sql = "SELECT DISTINCT ON (partition) partition, next_offset FROM makegood.positions
                   WHERE consumer_group = $1 AND topic_id = $2 ORDER BY partition, step DESC";
        let rows = self.client.query(sql, &[&self.group, &id]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// What the group has committed in Kafka.
    pub fn committed(&self) -> BTreeMap<i32, i64> {
        let probe = self.probe();
        let committed = probe.committed(&probe.partitions().unwrap()).unwrap().heard().unwrap();
        committed.into_iter().map(|(partition, offset)| (partition, offset.0)).collect()
    }

    /// A look at the topic and group, without joining.
    pub fn probe(&self) -> Probe {
        Probe::new(&self.kafka(), &self.topic, &self.group).unwrap()
    }

    /// The brokers, as the configuration has them.
    pub fn kafka(&self) -> config::Kafka {
        let bootstrap_servers = self.world.kafka.bootstrap();
        config::Kafka {
            bootstrap_servers,
            properties: BTreeMap::new(),
            token_command: config::Program::default(),
            msk_region: None,
        }
    }

    /// Waits until somebody's statement waits for a lock; `name` is what its first line calls it.
    pub async fn waits_in(&self, name: &str) {
        let sql = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND strpos(query, $1) > 0";
        let first_line = format!("-- makegood: {name}\n");
        eventually(&format!("{name} to wait for a lock"), || async {
            let row = self.client.query_one(sql, &[&first_line]).await.unwrap();
            (row.get::<_, i64>(0) > 0).then_some(())
        })
        .await;
    }

    /// One number from the database.
    pub async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}
