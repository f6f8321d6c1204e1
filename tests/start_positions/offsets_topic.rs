//! Kafka's own memory of all groups is lost, while a daemon runs and while none does.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use makegood::config;
use makegood::demo::kafka::PrivateKafka;
use makegood::kafka::probe::Probe;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// A broker of the test's own, for this one is hurt in a way that others would feel.
struct Alone {
    rig: Rig,
    kafka: PrivateKafka,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Alone {
    async fn new() -> Alone {
        let rig = Rig::new(1).await;
        let kafka = tokio::task::spawn_blocking(PrivateKafka::start).await.unwrap().unwrap();
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", kafka.bootstrap());
        let (admin, producer) = (client.create().unwrap(), client.create().unwrap());
        let alone = Alone { rig, kafka, admin, producer };
        let topic = NewTopic::new(&alone.rig.topic, 2, TopicReplication::Fixed(1));
        for made in alone.admin.create_topics([&topic], &AdminOptions::new()).await.unwrap() {
            made.unwrap();
        }
        alone
    }

    fn daemon(&self) -> Daemon {
        let text = self.rig.config(&self.rig.url(), "", "");
        let text = text.replace(&self.rig.world.kafka.bootstrap(), &self.kafka.bootstrap());
        let path = self.rig.path("alone.toml");
        fs::write(&path, text).unwrap();
        Daemon::start(&path, 0)
    }

    async fn pay(&self, count: usize, paid: &mut Vec<Payment>) {
        for payment in payments(count) {
            let (key, value) = (payment.student.to_string(), payment.json());
            let record = FutureRecord::to(&self.rig.topic).key(&key).payload(&value);
            self.producer.send(record, Duration::from_secs(20)).await.unwrap();
            paid.push(payment);
        }
    }

    fn probe(&self) -> Probe {
        let kafka = config::Kafka {
            bootstrap_servers: self.kafka.bootstrap(),
            properties: BTreeMap::new(),
        };
        Probe::new(&kafka, &self.rig.topic, &self.rig.group).unwrap()
    }

    /// All that was paid is purchased, and Kafka knows how far that is.
    async fn assert_all_done(&self, paid: &[Payment]) {
        eventually("as many purchases as payments", || async {
            (ledger::count(&self.rig.client).await == paid.len()).then_some(())
        })
        .await;
        ledger::assert_exactly(&self.rig.client, paid).await;
        let probe = self.probe();
        eventually("Kafka to know again", || async {
            let committed = probe.committed(&[0, 1]).ok()?;
            let ends: BTreeMap<i32, i64> =
                [0, 1].map(|p| (p, probe.watermarks(p).unwrap().high)).into();
            (committed == ends).then_some(())
        })
        .await;
    }

    async fn lose_all_offsets(&self) {
        let outcome =
            self.admin.delete_topics(&["__consumer_offsets"], &AdminOptions::new()).await.unwrap();
        assert_eq!(outcome.len(), 1);
        assert!(outcome[0].is_ok(), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_kafka_loses_the_offsets_of_all_groups_nothing_is_skipped_or_doubled() {
    let alone = Alone::new().await;
    let mut paid = Vec::new();
    let daemon = alone.daemon();
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    alone.lose_all_offsets().await;
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    daemon.stop();
    alone.lose_all_offsets().await;
    let probe = alone.probe();
    eventually("Kafka to have forgotten", || async {
        probe.committed(&[0, 1]).is_ok_and(|offsets| offsets.is_empty()).then_some(())
    })
    .await;
    alone.pay(20, &mut paid).await;
    let _daemon = alone.daemon();
    alone.assert_all_done(&paid).await;
    assert_eq!(super::gaps(&alone.rig).await, []);
}
