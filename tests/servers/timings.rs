//! How long an operator waits: from each fault to its name in `makegood status`, and from its end until nothing waits.
//! `bin/test --timings` prints the table. It takes a quarter of an hour and wants a quiet machine.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::servers::kafka::PrivateKafka;
use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio_postgres::Client;

use crate::support::daemon::{self, Daemon};
use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::sending::make_topic;
use crate::support::ward::TinyDisk;
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{eventually, ledger};

const ROLES: &str = include_str!("../../deploy/roles.sql");
/// Within this each fault has its name, and from its end everything its purchase.
const NAMED: Duration = Duration::from_secs(10);
const GOT_OVER: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug)]
enum Fault {
    ColumnRenamed,
    GrantRevoked,
    DatabaseStopped(u64),
    BrokerStopped(u64),
    DiskFull,
    PasswordRotated,
    TopicMadeAnew,
    GroupDeleted,
    AllPoison,
    TableLocked(u64),
    DaemonFrozen(u64),
    ManyWait,
}

use Fault::*;

const FAULTS: [Fault; 14] = [
    ColumnRenamed,
    GrantRevoked,
    PasswordRotated,
    DiskFull,
    DatabaseStopped(10),
    DatabaseStopped(74),
    BrokerStopped(10),
    BrokerStopped(74),
    TableLocked(90),
    DaemonFrozen(90),
    TopicMadeAnew,
    GroupDeleted,
    ManyWait,
    AllPoison,
];

impl Fault {
    /// What status must say of it, in these words; nothing where it is over by itself before anybody is told.
    fn name(self) -> &'static [&'static str] {
        match self {
            ColumnRenamed => &["amount"],
            GrantRevoked => &["permission denied", "INSERT"],
            DatabaseStopped(_) => &["MG2001"],
            BrokerStopped(_) => &["Kafka"],
            DiskFull => &["No space left", "space"],
            PasswordRotated => &["password"],
            TableLocked(_) => &["locked by pid"],
            DaemonFrozen(_) => &["silent", "no daemon", "down"],
            AllPoison => &["quarantine"],
            TopicMadeAnew | GroupDeleted | ManyWait => &[],
        }
    }

    /// How long it lasts at least.
    fn lasts(self) -> Duration {
        match self {
            DatabaseStopped(seconds)
            | BrokerStopped(seconds)
            | TableLocked(seconds)
            | DaemonFrozen(seconds) => Duration::from_secs(seconds),
            _ => Duration::ZERO,
        }
    }
}

/// A daemon with the rights of roles.sql, on servers of its own.
struct Scene {
    daemon: Daemon,
    config: PathBuf,
    rig: Rig,
    postgres: PrivatePostgres,
    kafka: PrivateKafka,
    disk: TinyDisk,
    producer: FutureProducer,
    lock: Option<Client>,
    paid: Vec<Payment>,
}

impl Scene {
    async fn new() -> Scene {
        let rig = Rig::new(1).await;
        let start = || (PrivatePostgres::start(true).unwrap(), PrivateKafka::start().unwrap());
        let (postgres, kafka) = tokio::task::spawn_blocking(start).await.unwrap();
        make_topic(&kafka.bootstrap(), &rig.topic, 3, &[]).await;
        let mut client = connect(&postgres.url("postgres")).await;
        client.batch_execute(HOST_TABLES).await.unwrap();
        let disk = TinyDisk::new().expect("this user may mount a file system");
        let space = format!("CREATE TABLESPACE tiny LOCATION '{}'", disk.path().display());
        client.batch_execute(&space).await.unwrap();
        migrate::up(&mut client, migrate::BOTH).await.unwrap();
        client.batch_execute(ROLES).await.unwrap();
        client.batch_execute("ALTER ROLE makegood_app PASSWORD 'one'").await.unwrap();
        let url = postgres.url("postgres");
        let (_, place) = url.rsplit_once('@').unwrap();
        let url = format!("postgres://makegood_app:one@{place}");
        let text = rig.config(&url, "", "[migrate]\nmode = \"check\"\n");
        let text = text.replace(&rig.world.kafka.bootstrap(), &kafka.bootstrap());
        // As people have it.
        let (head, tail) = text.split_once("[kafka.properties]").unwrap();
        let (_, tail) = tail.split_once("[http]").unwrap();
        let config = rig.path("timings.toml");
        fs::write(&config, format!("{head}[http]{tail}")).unwrap();
        let daemon = Daemon::start(&config, 0);
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", kafka.bootstrap()).set("partitioner", "murmur2_random");
        let producer = client.set("reconnect.backoff.max.ms", "500").create().unwrap();
        let (lock, paid) = (None, Vec::new());
        Scene { daemon, config, rig, postgres, kafka, disk, producer, lock, paid }
    }

    /// Hands some payments' events to the producer, which sends them as soon as it can.
    fn pay(&mut self, count: usize) {
        let more = payments(count);
        for payment in &more {
            let (key, json) = (payment.student.to_string(), payment.json());
            self.send(&key, &json);
        }
        self.paid.extend(more);
    }

    fn send(&self, key: &str, value: &str) {
        let record = FutureRecord::to(&self.rig.topic).key(key).payload(value);
        drop(self.producer.send_result(record).map_err(|(error, _)| error).unwrap());
    }

    async fn admin(&self) -> Client {
        connect(&self.postgres.url("postgres")).await
    }

    async fn runs(&self, sql: &str) {
        self.admin().await.batch_execute(sql).await.unwrap();
    }

    async fn all_purchased(&self) {
        eventually("every payment to be purchased", || async {
            let url = self.postgres.url("postgres");
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok()?;
            tokio::spawn(connection);
            let sql = "SELECT count(*) FROM student_course_purchases";
            let count: i64 = client.query_one(sql, &[]).await.ok()?.get(0);
            (count >= self.paid.len() as i64).then_some(())
        })
        .await;
    }

    /// What `makegood status` prints.
    async fn status(&self) -> String {
        daemon::status(&self.config).await.0
    }

    async fn begin(&mut self, fault: Fault) {
        match fault {
            ColumnRenamed => {
                self.runs("ALTER TABLE student_course_purchases RENAME amount TO price").await;
            }
            GrantRevoked => {
                self.runs("REVOKE INSERT ON student_course_purchases FROM makegood_app").await;
            }
            DatabaseStopped(_) => self.postgres.stop_immediate().unwrap(),
            BrokerStopped(_) => self.kafka.stop_hard().unwrap(),
            DiskFull => {
                self.runs("ALTER TABLE student_course_purchases SET TABLESPACE tiny").await;
                self.disk.fill(true);
                // What is left of the table's last page takes some rows.
                self.pay(2000);
            }
            PasswordRotated => {
                let sql = "ALTER ROLE makegood_app PASSWORD 'two'; SELECT pg_terminate_backend(pid)
                    FROM pg_stat_activity WHERE usename = 'makegood_app'";
                self.runs(sql).await;
            }
            TopicMadeAnew => {
                let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
                    .set("bootstrap.servers", self.kafka.bootstrap())
                    .create()
                    .unwrap();
                admin.delete_topics(&[&self.rig.topic], &AdminOptions::new()).await.unwrap();
                eventually("the topic to be gone", || async {
                    let told = self.kafka.topics(&["--list"]).ok()?;
                    (!told.contains(&self.rig.topic)).then_some(())
                })
                .await;
                make_topic(&self.kafka.bootstrap(), &self.rig.topic, 3, &[]).await;
            }
            GroupDeleted => {
                self.daemon.signal("TERM");
                self.daemon.wait(Duration::from_secs(20));
                self.kafka.consumer_groups(&["--delete", "--group", &self.rig.group]).unwrap();
            }
            AllPoison => (0..500).for_each(|n| self.send(&n.to_string(), "{ no JSON")),
            TableLocked(_) => {
                let client = self.admin().await;
                client.batch_execute("BEGIN; LOCK TABLE student_course_purchases").await.unwrap();
                self.lock = Some(client);
            }
            DaemonFrozen(_) => self.daemon.signal("STOP"),
            ManyWait => {
                self.daemon.signal("TERM");
                self.daemon.wait(Duration::from_secs(20));
                self.pay(20_000);
            }
        }
        if !matches!(fault, AllPoison) {
            self.pay(60);
        }
    }

    async fn end(&mut self, fault: Fault) {
        match fault {
            ColumnRenamed => {
                self.runs("ALTER TABLE student_course_purchases RENAME price TO amount").await;
            }
            GrantRevoked => {
                self.runs("GRANT INSERT ON student_course_purchases TO makegood_app").await;
            }
            DatabaseStopped(_) => self.postgres.start_again().unwrap(),
            BrokerStopped(_) => self.kafka.start_again().unwrap(),
            DiskFull => self.disk.fill(false),
            PasswordRotated => self.runs("ALTER ROLE makegood_app PASSWORD 'one'").await,
            TableLocked(_) => self.lock.take().unwrap().batch_execute("ROLLBACK").await.unwrap(),
            DaemonFrozen(_) => self.daemon.signal("CONT"),
            GroupDeleted | ManyWait => self.daemon = Daemon::start(&self.config, 1),
            TopicMadeAnew | AllPoison => {}
        }
    }
}

/// A fault from its begin to its end: a line of the table, and whether it keeps the times.
async fn measured(scene: &mut Scene, fault: Fault) -> (String, bool) {
    eprintln!("{fault:?}");
    let mut began = Instant::now();
    scene.begin(fault).await;
    if matches!(fault, DiskFull | DatabaseStopped(_) | BrokerStopped(_)) {
        // What stopping a server takes is no time of makegood's.
        began = Instant::now();
    }
    let mut named = None;
    while !fault.name().is_empty() && named.is_none() {
        let said = scene.status().await;
        let first = said.lines().next().unwrap_or_default().to_owned();
        if !said.starts_with("ok") && fault.name().iter().any(|word| said.contains(word)) {
            named = Some((began.elapsed(), first));
        } else if began.elapsed() > 9 * NAMED {
            named = Some((began.elapsed(), format!("NOT NAMED: {said}")));
        }
    }
    // The length of the fault, not a wait for something.
    tokio::time::sleep(fault.lasts().saturating_sub(began.elapsed())).await;
    scene.end(fault).await;
    let ended = Instant::now();
    scene.all_purchased().await;
    let over = ended.elapsed();
    let client = scene.admin().await;
    ledger::assert_exactly(&client, &scene.paid).await;
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let kept = over < GOT_OVER && named.as_ref().is_none_or(|(time, _)| *time < NAMED);
    let (time, said) = named.map_or_else(Default::default, |(t, said)| (seconds(t), said));
    (format!("{:22} {time:>8} {:>8}  {said}", format!("{fault:?}"), seconds(over)), kept)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a quarter of an hour, on a quiet machine: bin/test --timings"]
async fn each_fault_has_its_name_within_10_s_and_is_got_over_within_15_s() {
    let mut scene = Scene::new().await;
    scene.pay(60);
    scene.all_purchased().await;
    let mut lines = Vec::new();
    for fault in FAULTS {
        eventually("all to be well before", || async {
            scene.status().await.starts_with("ok").then_some(())
        })
        .await;
        lines.push(measured(&mut scene, fault).await);
    }
    println!("{:22} {:>8} {:>8}  status", "fault", "named", "over");
    lines.iter().for_each(|(line, _)| println!("{line}"));
    let missed = lines.iter().filter(|(_, kept)| !kept).count();
    assert_eq!(missed, 0, "of {} faults so many took longer", lines.len());
}
