//! The payment side: a database with the outbox, beside the purchases or on its own, and writers who keep
//! the ledger.

use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate::{self, Set};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::daemon::Daemon;
use super::eventually;
use super::outbox::{Written, assert_relayed, read_topic};
use super::rig::Rig;
use super::world::{HOST_TABLES, connect};

/// Keys that the writers share.
const KEYS: usize = 20;

/// Where the outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the database with the purchases.
    Beside,
    /// In the payment service's own.
    Apart,
}

/// A rig whose payments and purchases may be in two databases.
pub struct Site {
    pub rig: Rig,
    pub place: Place,
    /// The connection strings.
    pub purchases: String,
    pub payments: String,
    /// A connection to the database with the outbox.
    pub client: Client,
}

impl Site {
    /// On the shared PostgreSQL.
    pub async fn new(place: Place, partitions: i32) -> Site {
        let rig = Rig::new(partitions).await;
        match place {
            Place::Beside => {
                let url = rig.url();
                let client = connect(&url).await;
                Site { place, purchases: url.clone(), payments: url, client, rig }
            }
            Place::Apart => Site::on(&rig.world.postgres, rig, place).await,
        }
    }

    /// On a PostgreSQL of its own, `rig` being for the topic.
    pub async fn on(postgres: &PrivatePostgres, rig: Rig, place: Place) -> Site {
        let database = async |name: String, sets: &[Set]| {
            let admin = connect(&postgres.url("postgres")).await;
            let create = format!("CREATE DATABASE {name} TEMPLATE template0");
            admin.batch_execute(&create).await.unwrap();
            let mut client = connect(&postgres.url(&name)).await;
            client.batch_execute(HOST_TABLES).await.unwrap();
            migrate::up(&mut client, sets).await.unwrap();
            (postgres.url(&name), client)
        };
        let name = |what: &str| format!("{}_{what}", rig.database);
        let (purchases, (payments, client)) = match place {
            Place::Beside => {
                let one = database(name("shop"), migrate::BOTH).await;
                (one.0.clone(), one)
            }
            Place::Apart => {
                let shop = database(name("shop"), &[Set::Inbox]).await;
                (shop.0, database(name("pay"), &[Set::Outbox]).await)
            }
        };
        Site { place, purchases, payments, client, rig }
    }

    /// A configuration file: lines for `[outbox]`, and sections more.
    pub fn config(&self, outbox: &str, more: &str) -> PathBuf {
        let mut text =
            format!("[log]\nlevel = \"info,makegood=debug\"\n{more}\n[outbox]\n{outbox}\n");
        let mut shop = self.purchases.as_str();
        match self.place {
            Place::Beside => shop = &self.payments,
            Place::Apart => {
                text += "database = \"payments\"\n[databases.payments]\n";
                text += &format!("url = \"{}\"\n", self.payments);
            }
        }
        self.rig.config_file(shop, "", &text)
    }

    /// Starts a daemon.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with("", "")
    }

    /// Starts a daemon with lines for `[outbox]`, and sections more.
    pub fn daemon_with(&self, outbox: &str, more: &str) -> Daemon {
        Daemon::start(&self.config(outbox, more), 0)
    }

    /// One number from the database with the outbox.
    pub async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Waits until nothing is pending.
    pub async fn drained(&self) {
        let pending = "SELECT pending FROM makegood.outbox_status";
        eventually("the outbox to be empty", || async {
            (self.number(pending).await == 0).then_some(())
        })
        .await;
    }

    /// Waits until the outbox is empty and fails unless the topic holds exactly what was written; returns
    /// how many records are duplicates.
    pub async fn assert_relayed(&self, written: &[Written]) -> usize {
        self.drained().await;
        assert_relayed(written, &read_topic(&self.rig))
    }

    /// Publishes events one by one, each in a transaction of its own.
    pub async fn publish(&self, events: &[Written]) {
        for event in events {
            event.publish(&self.client, &self.rig.topic).await;
        }
    }
}

/// Payment services at work: each transaction locks the rows its events are about, and some are rolled back,
/// and some take their time.
pub struct Writers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Vec<Written>>>,
}

impl Writers {
    /// Starts so many, and one who is slow; each begins a transaction about every `pace`.
    pub async fn start(site: &Site, count: usize, pace: Duration, rng: &mut Rng) -> Writers {
        let table =
            "CREATE TABLE IF NOT EXISTS aggregates (key text PRIMARY KEY, number bigint NOT NULL)";
        site.client.batch_execute(table).await.unwrap();
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        for number in 0..=count {
            let writer = Writer {
                client: connect(&site.payments).await,
                topic: site.rig.topic.clone(),
                rng: rng.fork(),
                written: Vec::new(),
            };
            let (stop, pace) = (stop.clone(), tokio::time::interval(pace));
            tasks.push(match number {
                0 => tokio::spawn(writer.dawdle(stop)),
                _ => tokio::spawn(writer.work(stop, pace)),
            });
        }
        Writers { stop, tasks }
    }

    /// Stops them, and returns what they committed.
    pub async fn stop(self) -> Vec<Written> {
        self.stop.cancel();
        let mut written = Vec::new();
        for task in self.tasks {
            written.extend(task.await.unwrap());
        }
        written
    }
}

struct Writer {
    client: Client,
    topic: String,
    rng: Rng,
    written: Vec<Written>,
}

impl Writer {
    async fn work(
        mut self,
        stop: CancellationToken,
        mut pace: tokio::time::Interval,
    ) -> Vec<Written> {
        while !stop.is_cancelled() {
            pace.tick().await;
            // In order, so that two writers cannot wait for each other.
            let mut keys: Vec<usize> =
                (0..self.rng.usize(1..4)).map(|_| self.rng.usize(..KEYS)).collect();
            keys.sort_unstable();
            self.begin().await;
            let mut events = Vec::new();
            for key in keys {
                events.push(self.publish(&format!("k{key}")).await);
            }
            let keeps = self.rng.u8(..10) > 0;
            self.end(keeps, events).await;
        }
        self.written
    }

    /// Long transactions: what is said early is committed late.
    async fn dawdle(mut self, stop: CancellationToken) -> Vec<Written> {
        while !stop.is_cancelled() {
            self.begin().await;
            let mut events = vec![self.publish("slow").await];
            // How late is the test's input, not something to wait for.
            let nap = Duration::from_millis(self.rng.u64(50..2500));
            let _ = tokio::time::timeout(nap, stop.cancelled()).await;
            events.push(self.publish("slow").await);
            self.end(true, events).await;
        }
        self.written
    }

    async fn begin(&self) {
        self.client.batch_execute("BEGIN").await.unwrap();
    }

    async fn publish(&self, key: &str) -> Written {
        let sql = "INSERT INTO aggregates AS a VALUES ($1, 1)
                   ON CONFLICT (key) DO UPDATE SET number = a.number + 1 RETURNING number";
        let number: i64 = self.client.query_one(sql, &[&key]).await.unwrap().get(0);
        let event = Written { id: Uuid::new_v4(), key: key.to_owned(), number: number as u64 };
        event.publish(&self.client, &self.topic).await;
        event
    }

    async fn end(&mut self, keeps: bool, events: Vec<Written>) {
        self.client.batch_execute(if keeps { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
        if keeps {
            self.written.extend(events);
        }
    }
}
