//! A rig with a broker of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::servers::kafka::PrivateKafka;
use makegood::config;
use makegood::kafka::probe::Probe;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use uuid::Uuid;

use super::daemon::{Daemon, command};
use super::events::{Payment, payments};
use super::rig::Rig;
use super::{eventually, ledger};
use rules::ids::Offset;

/// A broker of the test's own, for this one is hurt in a way that others would feel.
pub struct Alone {
    pub rig: Rig,
    pub kafka: PrivateKafka,
    pub admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Alone {
    pub async fn new() -> Alone {
        let alone = Alone::bare().await;
        alone.create_topic().await;
        alone
    }

    /// Without the topic.
    pub async fn bare() -> Alone {
        let rig = Rig::new(1).await;
        let kafka = tokio::task::spawn_blocking(PrivateKafka::start).await.unwrap().unwrap();
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", kafka.bootstrap());
        let (admin, producer) = (client.create().unwrap(), client.create().unwrap());
        Alone { rig, kafka, admin, producer }
    }

    /// The topic, of two partitions; returns when they can be written.
    pub async fn create_topic(&self) {
        let topic = NewTopic::new(&self.rig.topic, 2, TopicReplication::Fixed(1));
        eventually("the topic to be made", || async {
            let made = self.admin.create_topics([&topic], &AdminOptions::new()).await.ok()?;
            made[0].is_ok().then_some(())
        })
        .await;
        eventually("the topic's partitions to have leaders", || async {
            let probe = self.probe();
            (0..2).all(|p| probe.watermarks(p).is_ok()).then_some(())
        })
        .await;
    }

    pub fn daemon(&self) -> Daemon {
        Daemon::start(&self.config(""), 0)
    }

    /// A configuration file with sections more.
    pub fn config(&self, more: &str) -> PathBuf {
        let text = self.rig.config(&self.rig.url(), "", more);
        let text = text.replace(&self.rig.world.kafka.bootstrap(), &self.kafka.bootstrap());
        let path = self.rig.path(&format!("alone-{}.toml", Uuid::new_v4().simple()));
        fs::write(&path, text).unwrap();
        path
    }

    pub async fn pay(&self, count: usize, paid: &mut Vec<Payment>) {
        self.pay_to(None, count, paid).await;
    }

    pub async fn pay_to(&self, partition: Option<i32>, count: usize, paid: &mut Vec<Payment>) {
        for payment in payments(count) {
            let (key, value) = (payment.student.to_string(), payment.json());
            let mut record = FutureRecord::to(&self.rig.topic).key(&key).payload(&value);
            record.partition = partition;
            self.producer.send(record, Duration::from_secs(20)).await.unwrap();
            paid.push(payment);
        }
    }

    /// Puts events into the outbox.
    pub async fn publish(&self, count: usize, paid: &mut Vec<Payment>) {
        let sql = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb)";
        for payment in payments(count) {
            let (key, json) = (payment.student.to_string(), payment.json());
            self.rig.client.query_one(sql, &[&self.rig.topic, &key, &json]).await.unwrap();
            paid.push(payment);
        }
    }

    /// What `makegood status` prints.
    pub async fn status(&self, config: &Path) -> String {
        let mut asked = command();
        asked.arg("status").arg("--config").arg(config);
        let out = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    pub fn probe(&self) -> Probe {
        let kafka = config::Kafka {
            bootstrap_servers: self.kafka.bootstrap(),
            properties: BTreeMap::new(),
            token_command: config::Program::default(),
            msk_region: None,
        };
        Probe::new(&kafka, &self.rig.topic, &self.rig.group).unwrap()
    }

    /// All that was paid is purchased, and Kafka knows how far that is.
    pub async fn assert_all_done(&self, paid: &[Payment]) {
        eventually("as many purchases as payments", || async {
            (ledger::count(&self.rig.client).await == paid.len()).then_some(())
        })
        .await;
        ledger::assert_exactly(&self.rig.client, paid).await;
        let probe = self.probe();
        eventually("Kafka to know again", || async {
            let committed = probe.committed(&[0, 1]).ok()?.heard().ok()?;
            let ends: BTreeMap<i32, Offset> =
                [0, 1].map(|p| (p, probe.watermarks(p).unwrap().high)).into();
            (committed == ends).then_some(())
        })
        .await;
    }

    pub async fn delete_topic(&self, topic: &str) {
        let outcome = self.admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert!(outcome.len() == 1 && outcome[0].is_ok(), "{outcome:?}");
    }
}
