//! Where the outbox is measured: private servers, the host's tables, makegood's schema, two topics.

use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::tables;
use super::usage::{Cost, Counters, Processes};
use crate::servers::kafka::PrivateKafka;
use crate::servers::postgres::PrivatePostgres;
use config::{Config, Kafka};
use kafka::probe::Probe;
use rules::problem::Problem;
use store::migrate;

/// The topic that is written.
pub const TOPIC: &str = "purchase-confirmed";
/// A topic that stays empty.
pub const IDLE_TOPIC: &str = "idle";

/// For an inbox: events are believed, where the bench makes no payments.
pub const BELIEVE: &str = "verify_payment = false\n";

/// A job of the reconciler whose grace outlasts the bench: its own work has a bench of its own.
pub const PATIENT_JOB: &str =
    "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchase-confirmed\"\ngrace = \"1d\"\n";

/// The servers, and a connection of the bench's own.
pub struct BenchServers {
    pub postgres: PrivatePostgres,
    kafka: PrivateKafka,
    pub client: Client,
}

impl BenchServers {
    /// Starts everything, fsync on.
    pub async fn prepare(partitions: usize) -> Result<BenchServers, Problem> {
        BenchServers::prepare_with(partitions, &[]).await
    }

    /// The same with further settings of PostgreSQL, `name=value`.
    pub async fn prepare_with(
        partitions: usize,
        settings: &[&str],
    ) -> Result<BenchServers, Problem> {
        let postgres = block_in_place(|| PrivatePostgres::start_with(true, settings))?;
        let kafka = block_in_place(PrivateKafka::start)?;
        let mut client = tables::connect(&postgres.url("postgres")).await?;
        tables::create(&client).await?;
        migrate::up(&mut client, migrate::BOTH).await?;
        let partitions = partitions.to_string();
        block_in_place(|| {
            kafka.topics(&["--create", "--topic", TOPIC, "--partitions", &partitions])?;
            kafka.topics(&["--create", "--topic", IDLE_TOPIC])
        })?;
        Ok(BenchServers { postgres, kafka, client })
    }

    /// Makes one more topic. Blocks.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<(), Problem> {
        let partitions = partitions.to_string();
        let args = ["--create", "--topic", name, "--partitions", &partitions];
        self.kafka.topics(&args).map(drop)
    }

    /// How to reach Kafka.
    pub fn kafka(&self) -> Kafka {
        Kafka { bootstrap_servers: self.kafka.bootstrap(), ..Config::default().kafka }
    }

    /// One more connection of the bench's own.
    pub async fn connect(&self) -> Result<Client, Problem> {
        tables::connect(&self.postgres.url("postgres")).await
    }

    /// Whom to watch.
    pub fn processes(&self) -> Processes {
        Processes { postgres: self.postgres.pid(), broker: self.kafka.pid() }
    }

    /// What the servers have spent so far.
    pub async fn counters(&self) -> Result<Counters, Problem> {
        Counters::now(&self.client, self.processes()).await
    }

    /// What they spent since then; the daemon's part is given.
    pub async fn cost(&self, since: &Counters, daemon_cpu: Option<f64>) -> Result<Cost, Problem> {
        Ok(since.until(&self.counters().await?, daemon_cpu))
    }

    /// A daemon's configuration: the defaults, reading `topic` in `group`, with more lines for the inbox.
    pub fn config(&self, topic: &str, group: &str, more: &str) -> String {
        format!(
            "[postgres]\nurl = \"{}\"\n[kafka]\nbootstrap_servers = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [[inbox]]\nname = \"purchase-confirmed\"\ntopic = \"{topic}\"\ngroup = \"{group}\"\n\
             event_type = \"PURCHASE_CONFIRMED\"\n{more}",
            self.postgres.url("postgres"),
            self.kafka.bootstrap()
        )
    }

    /// How many records the topic has ever had.
    pub fn records_in_topic(&self) -> Result<i64, Problem> {
        block_in_place(|| {
            let probe = Probe::new(&self.kafka(), TOPIC, "bench")?;
            let ends = probe.partitions()?.into_iter().map(|p| Ok(probe.watermarks(p)?.high.0));
            ends.sum()
        })
    }
}
