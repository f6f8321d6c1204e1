//! Promise: whatever became of the servers, from the end of the fault on nobody has to do anything. Each
//! fault is named while it lasts, and held against nobody.

use std::time::{Duration, Instant};

use lab::servers::kafka::PrivateKafka;
use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio_postgres::{Client, NoTls};

use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::sending::make_topic;
use crate::support::ward::signal_all;
use crate::support::watched::Supervisor;
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{eventually, ledger};

#[derive(Clone, Copy, Debug)]
enum Fault {
    PostgresDown,
    PostgresFrozen,
    TableLocked,
    KafkaDown,
    KafkaFrozen,
}

impl Fault {
    /// What the daemon says of it, in any of these words.
    fn named(self) -> &'static str {
        match self {
            Fault::PostgresDown | Fault::PostgresFrozen => "the database does not answer",
            Fault::TableLocked => "a table is locked by pid",
            Fault::KafkaDown | Fault::KafkaFrozen => "Kafka does not answer",
        }
    }
}

/// A daemon on servers of its own, which may be hurt.
struct Ward {
    daemon: Daemon,
    rig: Rig,
    postgres: PrivatePostgres,
    kafka: PrivateKafka,
    producer: FutureProducer,
    supervisor: Supervisor,
    lock: Option<Client>,
    paid: Vec<Payment>,
}

impl Ward {
    async fn new(patience: &str) -> Ward {
        let rig = Rig::new(1).await;
        let start = || (PrivatePostgres::start(false).unwrap(), PrivateKafka::start().unwrap());
        let (postgres, kafka) = tokio::task::spawn_blocking(start).await.unwrap();
        make_topic(&kafka.bootstrap(), &rig.topic, 3, &[]).await;
        let mut client = connect(&postgres.url("postgres")).await;
        client.batch_execute(HOST_TABLES).await.unwrap();
        migrate::up(&mut client, migrate::BOTH).await.unwrap();
        let supervisor = Supervisor::listen(&rig);
        let text = rig.watched_config(&postgres.url("postgres"), patience);
        let text = text.replace(&rig.world.kafka.bootstrap(), &kafka.bootstrap());
        let daemon = rig.watched_daemon_with(&text, &supervisor);
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap())
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .unwrap();
        Ward { daemon, rig, postgres, kafka, producer, supervisor, lock: None, paid: Vec::new() }
    }

    /// Hands some payments' events to the producer, which sends them as soon as it can.
    fn pay(&mut self) {
        let more = payments(60);
        for payment in &more {
            let (key, json) = (payment.student.to_string(), payment.json());
            let record = FutureRecord::to(&self.rig.topic).key(&key).payload(&json);
            drop(self.producer.send_result(record).map_err(|(error, _)| error).unwrap());
        }
        self.paid.extend(more);
    }

    async fn all_purchased(&self) -> Client {
        eventually("every payment to be purchased", || async {
            let url = self.postgres.url("postgres");
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.ok()?;
            tokio::spawn(connection);
            let sql = "SELECT count(*) FROM student_course_purchases";
            let count: i64 = client.query_one(sql, &[]).await.ok()?.get(0);
            (count >= self.paid.len() as i64).then_some(client)
        })
        .await
    }

    async fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::PostgresDown => self.postgres.stop_immediate().unwrap(),
            Fault::PostgresFrozen => signal_all(&self.postgres, "STOP"),
            Fault::TableLocked => {
                let client = connect(&self.postgres.url("postgres")).await;
                client.batch_execute("BEGIN; LOCK TABLE student_course_purchases").await.unwrap();
                self.lock = Some(client);
            }
            Fault::KafkaDown => self.kafka.stop_hard().unwrap(),
            Fault::KafkaFrozen => self.kafka.pause().unwrap(),
        }
    }

    async fn end(&mut self, fault: Fault) {
        match fault {
            Fault::PostgresDown => self.postgres.start_again().unwrap(),
            Fault::PostgresFrozen => signal_all(&self.postgres, "CONT"),
            Fault::TableLocked => {
                self.lock.take().unwrap().batch_execute("ROLLBACK").await.unwrap()
            }
            Fault::KafkaDown => self.kafka.start_again().unwrap(),
            Fault::KafkaFrozen => self.kafka.resume().unwrap(),
        }
    }
}

/// Goes through each fault, for as long as it takes to be named and `longer`.
async fn every_fault_is_named_and_got_over(patience: &str, longer: Duration) {
    let mut ward = Ward::new(patience).await;
    ward.pay();
    ward.all_purchased().await;
    let files = ward.daemon.open_files();
    for fault in [
        Fault::PostgresDown,
        Fault::KafkaDown,
        Fault::PostgresFrozen,
        Fault::KafkaFrozen,
        Fault::TableLocked,
    ] {
        ward.begin(fault).await;
        ward.pay();
        let said = ward.supervisor.status(fault.named()).await;
        // The length of the fault, not a wait for something.
        tokio::time::sleep(longer).await;
        ward.end(fault).await;
        let ended = Instant::now();
        let client = ward.all_purchased().await;
        eprintln!("{fault:?}: caught up {:?} after its end; {said}", ended.elapsed());
        ledger::assert_exactly(&client, &ward.paid).await;
        ward.supervisor.status("nothing is stuck").await;
        assert_eq!(ward.daemon.ended(), None, "it was the same daemon all the time");
    }
    let log = ward.daemon.log();
    assert!(!log.contains("the Kafka client is replaced"), "it was held against the client");
    assert!(!log.contains("nothing moved though records wait"), "it was held against the client");
    ward.daemon.assert_no_more_files_than(files).await;
    let client = ward.all_purchased().await;
    let sql = "SELECT count(*) FROM makegood.quarantine";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_servers_is_named_and_got_over_without_help() {
    every_fault_is_named_and_got_over("15s", Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "seven minutes; the same faults for longer than any time-out, with production's patience"]
async fn faults_of_more_than_a_minute_are_got_over_within_half_a_minute() {
    every_fault_is_named_and_got_over("30s", Duration::from_secs(50)).await;
}
