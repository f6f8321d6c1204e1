//! Where the outbox is measured: private servers, the host's tables, makegood's schema, two topics.

use tokio::task::block_in_place;
use tokio_postgres::Client;

use super::tables;
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

/// The servers, and a connection of the bench's own.
pub struct BenchServers {
    pub postgres: PrivatePostgres,
    kafka: PrivateKafka,
    pub client: Client,
}

impl BenchServers {
    /// Starts everything, fsync on.
    pub async fn prepare(partitions: usize) -> Result<BenchServers, Problem> {
        let postgres = block_in_place(|| PrivatePostgres::start(true))?;
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

    /// How to reach Kafka.
    pub fn kafka(&self) -> Kafka {
        Kafka { bootstrap_servers: self.kafka.bootstrap(), ..Config::default().kafka }
    }

    /// A daemon's configuration: the defaults, but that events are believed, for there are no payments, reading `topic` in `group`.
    pub fn config(&self, topic: &str, group: &str) -> String {
        format!(
            "[postgres]\nurl = \"{}\"\n[kafka]\nbootstrap_servers = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [[inbox]]\nname = \"purchase-confirmed\"\ntopic = \"{topic}\"\ngroup = \"{group}\"\n\
             event_type = \"PURCHASE_CONFIRMED\"\nverify_payment = false\n",
            self.postgres.url("postgres"),
            self.kafka.bootstrap()
        )
    }

    /// How many records the topic has ever had.
    pub fn records_in_topic(&self) -> Result<i64, Problem> {
        block_in_place(|| {
            let probe = Probe::new(&self.kafka(), TOPIC, "bench")?;
            let ends = probe.partitions()?.into_iter().map(|p| Ok(probe.watermarks(p)?.high));
            ends.sum()
        })
    }
}
