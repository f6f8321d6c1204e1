//! Writers whose transactions interleave in every way, from a seed: late commits, savepoints, snapshots from
//! long ago, transactions prepared and committed much later.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use lab::servers::postgres::PrivatePostgres;
use tokio_postgres::Client;

use crate::support::load::chance;
use crate::support::outbox::Written;
use crate::support::payments::{Place, Site};
use crate::support::rig::Rig;
use crate::support::world::connect;

const WRITERS: usize = 8;
const KEYS: usize = 24;
const STEPS: usize = 1200;

/// A transaction: what it said, and what it locks.
#[derive(Default)]
struct Work {
    /// What was said under each savepoint; the first is the transaction itself.
    levels: Vec<Vec<Written>>,
    keys: BTreeSet<usize>,
}

/// All writers, and what they have committed.
struct Play {
    site: Site,
    rng: Rng,
    idle: Vec<Client>,
    open: Vec<(Client, Work)>,
    /// Prepared, by name.
    prepared: Vec<(String, Work)>,
    names: usize,
    locked: BTreeSet<usize>,
    numbers: BTreeMap<usize, u64>,
    written: Vec<Written>,
}

impl Play {
    async fn new(site: Site, rng: Rng) -> Play {
        let mut idle = Vec::new();
        for _ in 0..WRITERS {
            idle.push(connect(&site.payments).await);
        }
        Play {
            site,
            rng,
            idle,
            open: Vec::new(),
            prepared: Vec::new(),
            names: 0,
            locked: BTreeSet::new(),
            numbers: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    async fn step(&mut self, may_prepare: bool) {
        let which = (!self.open.is_empty()).then(|| self.rng.usize(..self.open.len()));
        match (self.rng.u8(..100), which) {
            (0..20, _) | (_, None) => self.begin().await,
            (20..65, Some(at)) => self.publish(at).await,
            (65..72, Some(at)) => self.savepoint(at).await,
            (72..78, Some(at)) => self.end_savepoint(at).await,
            (78..90, Some(at)) => self.end(at, true).await,
            (90..94, Some(at)) => self.end(at, false).await,
            (94..97, Some(at)) if may_prepare && self.prepared.len() < 10 => self.prepare(at).await,
            _ => self.end_prepared().await,
        }
    }

    async fn begin(&mut self) {
        let Some(client) = self.idle.pop() else { return };
        let level = self.rng.choice(["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]).unwrap();
        // Some take their snapshot and their number long before they say anything.
        let early = self.rng.choice(["", "SELECT 1", "SELECT pg_current_xact_id()"]).unwrap();
        client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; {early}")).await.unwrap();
        self.open.push((client, Work { levels: vec![Vec::new()], ..Work::default() }));
    }

    /// Says something of a key that nobody else has locked, as a row lock would have it.
    async fn publish(&mut self, at: usize) {
        let key = self.rng.usize(..KEYS);
        let (client, work) = &mut self.open[at];
        if self.locked.contains(&key) && !work.keys.contains(&key) {
            return;
        }
        self.locked.insert(key);
        work.keys.insert(key);
        let name = format!("k{key}");
        let before = work.levels.iter().flatten().filter(|event| event.key == name).count() as u64;
        let number = self.numbers.get(&key).unwrap_or(&0) + before + 1;
        let event = Written { id: uuid::Uuid::new_v4(), key: name, number };
        event.publish(client, &self.site.rig.topic).await;
        work.levels.last_mut().unwrap().push(event);
    }

    async fn savepoint(&mut self, at: usize) {
        let (client, work) = &mut self.open[at];
        client.batch_execute(&format!("SAVEPOINT s{}", work.levels.len())).await.unwrap();
        work.levels.push(Vec::new());
    }

    async fn end_savepoint(&mut self, at: usize) {
        let (client, work) = &mut self.open[at];
        if work.levels.len() < 2 {
            return;
        }
        let said = work.levels.pop().unwrap();
        let name = work.levels.len();
        if self.rng.bool() {
            client.batch_execute(&format!("RELEASE SAVEPOINT s{name}")).await.unwrap();
            work.levels.last_mut().unwrap().extend(said);
        } else {
            let sql = format!("ROLLBACK TO SAVEPOINT s{name}; RELEASE SAVEPOINT s{name}");
            client.batch_execute(&sql).await.unwrap();
        }
    }

    async fn end(&mut self, at: usize, commits: bool) {
        let (client, work) = self.open.swap_remove(at);
        client.batch_execute(if commits { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
        self.idle.push(client);
        self.ended(work, commits);
    }

    async fn prepare(&mut self, at: usize) {
        let (client, work) = self.open.swap_remove(at);
        let name = format!("{}_{}", self.site.rig.database, self.names);
        self.names += 1;
        client.batch_execute(&format!("PREPARE TRANSACTION '{name}'")).await.unwrap();
        self.idle.push(client);
        self.prepared.push((name, work));
    }

    async fn end_prepared(&mut self) {
        if self.prepared.is_empty() {
            return;
        }
        let (name, work) = self.prepared.remove(self.rng.usize(..self.prepared.len()));
        let commits = self.rng.u8(..4) > 0;
        let end = if commits { "COMMIT" } else { "ROLLBACK" };
        self.site.client.batch_execute(&format!("{end} PREPARED '{name}'")).await.unwrap();
        self.ended(work, commits);
    }

    fn ended(&mut self, work: Work, commits: bool) {
        self.locked.retain(|key| !work.keys.contains(key));
        if commits {
            for event in work.levels.into_iter().flatten() {
                let key: usize = event.key[1..].parse().unwrap();
                self.numbers.insert(key, event.number);
                self.written.push(event);
            }
        }
    }

    async fn end_all(&mut self) {
        while !self.open.is_empty() {
            let commits = self.rng.bool();
            let at = self.rng.usize(..self.open.len());
            self.end(at, commits).await;
        }
        while !self.prepared.is_empty() {
            self.end_prepared().await;
        }
    }
}

async fn plays(site: Site, what: &str, may_prepare: bool) {
    let mut play = Play::new(site, chance(what)).await;
    let mut daemon = play.site.daemon();
    for step in 0..STEPS {
        play.step(may_prepare).await;
        // One relay dies, which is noticed when its lease runs out, and one leaves.
        match step {
            400 => daemon.kill(),
            800 => daemon.stop(),
            _ => continue,
        }
        daemon = play.site.daemon();
    }
    play.end_all().await;
    assert!(play.written.len() > STEPS / 10, "hardly anything was written");
    play.site.assert_relayed(&play.written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interleaved_transactions_arrive_whole_and_in_order() {
    plays(Site::new(Place::Beside, 3).await, "interleaved writers", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interleaved_transactions_of_another_database_arrive_whole_and_in_order() {
    plays(Site::new(Place::Apart, 3).await, "interleaved writers elsewhere", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_prepared_early_and_committed_late_arrive() {
    let prepares = ["max_prepared_transactions=20"];
    let postgres =
        tokio::task::spawn_blocking(move || PrivatePostgres::start_with(false, &prepares));
    let postgres = postgres.await.unwrap().unwrap();
    let site = Site::on(&postgres, Rig::new(3).await, Place::Beside).await;
    plays(site, "prepared transactions", true).await;
}
