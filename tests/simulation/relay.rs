//! Lives of the outbox's relay: transactions publish rows, daemons relay them in turns, and brokers, topics, clients and the
//! database fail.
//!
//! After the faults there is a quiet time. Then every row that a committed transaction published is in its topic, or is
//! parked because Kafka refuses a row of its key; and of each key no row is in the topic before an earlier one.

mod broker;
pub mod database;
mod lead;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::agenda::Agenda;
use super::history::Limits;
use broker::{Broker, Request};
use database::{Database, Message};
use lead::{Answer, Daemon, Query};
use rules::produce_error::ProduceError;

/// Until when things go wrong, in milliseconds.
const FAULTS: u64 = 20_000;
/// Until when rows are published.
const ROWS: u64 = 24_000;
/// When everything has to be well.
const END: u64 = 240_000;
pub const TOPICS: usize = 3;
const KEYS: u64 = 6;

/// A rule that is taken back, so that it can be seen to be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    None,
    /// A step is written on top of whatever is there.
    Unfenced,
    /// The cursor of another server is gone on from.
    KeepsForeignCursor,
    /// The cursor passes what is not acknowledged.
    MovesAhead,
    /// A client goes on after a failure.
    KeepsClient,
    /// Rows are read by their numbers: what commits late is passed.
    ReadsByNumber,
    /// A new term does not know which keys wait.
    ForgetsBlocked,
    /// A row that somebody asked for goes before one of its key that waits for its topic.
    LetsRetriesOvertake,
    /// A topic is tried with a row behind one of its key that somebody asked for.
    TriesBehindAsked,
    /// Trouble is told with a cursor past what could not be parked.
    TellsPast,
}

impl Mutant {
    pub const ALL: [Mutant; 9] = [
        Mutant::Unfenced,
        Mutant::KeepsForeignCursor,
        Mutant::MovesAhead,
        Mutant::KeepsClient,
        Mutant::ReadsByNumber,
        Mutant::ForgetsBlocked,
        Mutant::LetsRetriesOvertake,
        Mutant::TriesBehindAsked,
        Mutant::TellsPast,
    ];
}

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Freeze,
    Kill,
    DatabaseAway,
    TopicRefuses,
    TopicSilent,
    BrokerAway,
    ClientFails,
    Snapshot,
    Restore,
    Retry,
}

const FAULT_KINDS: [Fault; 10] = [
    Fault::Freeze,
    Fault::Kill,
    Fault::DatabaseAway,
    Fault::TopicRefuses,
    Fault::TopicSilent,
    Fault::BrokerAway,
    Fault::ClientFails,
    Fault::Snapshot,
    Fault::Restore,
    Fault::Retry,
];

#[derive(Debug)]
pub enum Task {
    Publish,
    Commit(u64, Vec<Message>),
    Turn(usize, u64),
    Effect(usize, u64, u64, Query),
    Answer(usize, u64, Answer),
    /// A client sends what it holds.
    Send(u64),
    Arrive(u64, Request),
    Report(u64, u64, Result<(), ProduceError>),
    Fault(Fault),
    Heal,
}

pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub mutant: Mutant,
    pub tells: bool,
    pub story: Vec<String>,
    pub database: Database,
    snapshot: Option<Database>,
    pub away_until: u64,
    /// Whether the database refuses some of the steps that park rows.
    pub refuses: bool,
    /// Counts the restores: what was begun before one is rolled back.
    pub history: u64,
    pub broker: Broker,
    pub daemons: Vec<Daemon>,
    /// Keys that a transaction writes to.
    busy: BTreeSet<u64>,
    last_number: u64,
    /// Of how many payments one is made without an event.
    pub silent_one_in: u64,
    pub limits: Limits,
    base: Instant,
    agenda: Agenda<Task>,
}

impl World {
    pub fn new(seed: u64, mutant: Mutant) -> World {
        let mut rng = Rng::with_seed(seed);
        let daemons = rng.usize(1..4);
        let mut world = World {
            now: 0,
            rng,
            mutant,
            tells: false,
            story: Vec::new(),
            database: Database::default(),
            snapshot: None,
            away_until: 0,
            refuses: seed % 4 == 3,
            history: 0,
            broker: Broker::default(),
            daemons: Vec::new(),
            busy: BTreeSet::new(),
            last_number: 0,
            silent_one_in: 0,
            limits: Limits::default(),
            base: Instant::now(),
            agenda: Agenda::default(),
        };
        for at in 0..daemons {
            world.daemons.push(Daemon::default());
            world.push(at as u64, Task::Turn(at, 0));
        }
        let kinds: Vec<Fault> = (0..world.rng.usize(1..5))
            .map(|_| FAULT_KINDS[world.rng.usize(0..FAULT_KINDS.len())])
            .collect();
        for _ in 0..world.rng.usize(1..9) {
            let (at, kind) = (world.rng.u64(200..FAULTS), world.rng.usize(0..kinds.len()));
            world.push(at, Task::Fault(kinds[kind]));
        }
        world.push(1, Task::Publish);
        world.push(ROWS, Task::Heal);
        world
    }

    pub fn push(&mut self, after: u64, task: Task) {
        self.agenda.put(self.now + after, task);
    }

    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.tells {
            self.story.push(format!("{:>7} ms  {}", self.now, what()));
        }
    }

    pub fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    pub fn millis_until(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.instant()).as_millis() as u64
    }

    pub fn latency(&mut self) -> u64 {
        if self.rng.u64(0..30) == 0 { self.rng.u64(100..2_000) } else { self.rng.u64(1..20) }
    }

    pub fn live(&mut self) -> Result<(), String> {
        let mut checked = ROWS + 1_000;
        while self.step()? {
            if self.now > checked {
                checked += 1_000;
                match self.all_there() {
                    Ok(()) => return Ok(()),
                    Err(_) if self.now < END => {}
                    Err(violation) => return Err(violation),
                }
            }
        }
        Err("nothing happens any more".to_owned())
    }

    /// Does what is due next. Returns whether there was anything.
    pub fn step(&mut self) -> Result<bool, String> {
        let Some((at, task)) = self.agenda.next() else { return Ok(false) };
        self.now = at.max(self.now);
        match self.is_frozen(&task) {
            Some(thaws) => self.push(thaws - self.now, task),
            None => self.run(task),
        }
        self.in_order()?;
        Ok(true)
    }

    /// When something happens next.
    pub fn due(&self) -> Option<u64> {
        self.agenda.due()
    }

    /// A client's threads stand still with its daemon.
    fn is_frozen(&self, task: &Task) -> Option<u64> {
        let daemon = match task {
            Task::Turn(daemon, _) | Task::Answer(daemon, ..) => *daemon,
            Task::Send(client) => self.broker.daemon_of(*client)?,
            _ => return None,
        };
        Some(self.daemons[daemon].frozen_until).filter(|until| *until > self.now)
    }

    fn run(&mut self, task: Task) {
        match task {
            Task::Publish => self.publish(),
            // A restore ended the transactions that were open.
            Task::Commit(history, rows) if history == self.history => {
                self.busy.retain(|key| rows.iter().all(|row| row.key != *key));
                if self.rng.u64(0..8) > 0 {
                    self.tell_paid(&rows);
                    self.database.commit(rows);
                    self.wake();
                }
            }
            Task::Commit(..) => {}
            Task::Turn(daemon, life) => self.turn(daemon, life),
            Task::Effect(daemon, life, history, query) => {
                self.effect(daemon, life, history, query);
            }
            Task::Answer(daemon, life, answer) => self.answer(daemon, life, answer),
            Task::Send(client) => self.send(client),
            Task::Arrive(client, request) => self.arrive(client, request),
            Task::Report(client, token, outcome) => self.report(client, token, outcome),
            Task::Fault(fault) if self.limits.allows() => self.strike(fault),
            Task::Fault(_) => {}
            Task::Heal => self.heal(),
        }
    }

    /// One transaction of one to three rows. Of a key there is one transaction at a time, as where a payment is locked.
    fn publish(&mut self) {
        let mut rows = Vec::new();
        for _ in 0..self.rng.usize(1..4) {
            let key = self.rng.u64(0..KEYS);
            if self.busy.insert(key) || rows.iter().any(|row: &Message| row.key == key) {
                self.last_number += 1;
                let (topic, is_bad) = (key as usize % TOPICS, self.rng.u64(0..60) == 0);
                let (seq, number) = (self.database.next_seq(), self.last_number);
                let is_silent = self.silent_one_in > 0 && self.rng.u64(0..self.silent_one_in) == 0;
                let (begun, at) = (self.now, (0, 0));
                rows.push(Message { seq, topic, key, number, is_bad, begun, is_silent, at });
            }
        }
        // Some commit long after later ones.
        let open = if self.rng.u64(0..6) == 0 { self.rng.u64(50..3_000) } else { self.latency() };
        self.push(open, Task::Commit(self.history, rows));
        if self.now < self.limits.pays_until.unwrap_or(ROWS) {
            let pause = self.rng.u64(2..400);
            self.push(pause, Task::Publish);
        }
    }

    fn tell_paid(&mut self, rows: &[Message]) {
        for row in rows {
            let how = if row.is_silent { ", without an event" } else { "" };
            self.tell(|| format!("payment {} of key {} is paid{how}", row.number, row.key));
        }
    }

    /// The newest payment's number.
    pub fn newest(&self) -> u64 {
        self.last_number
    }

    fn strike(&mut self, fault: Fault) {
        self.tell(|| format!("FAULT {fault:?}"));
        let (daemon, topic) = (self.rng.usize(0..self.daemons.len()), self.rng.usize(0..TOPICS));
        let until = self.now + self.rng.u64(200..12_000);
        match fault {
            Fault::Freeze => {
                let frozen = &mut self.daemons[daemon].frozen_until;
                *frozen = (*frozen).max(until);
            }
            Fault::Kill => self.kill(daemon),
            Fault::DatabaseAway => self.away_until = until,
            Fault::TopicRefuses => self.broker.topics[topic].refuses_until = until,
            Fault::TopicSilent => self.broker.topics[topic].silent_until = until,
            Fault::BrokerAway => {
                self.broker.topics.iter_mut().for_each(|topic| topic.silent_until = until);
            }
            Fault::ClientFails => self.fail_client(daemon),
            Fault::Snapshot => self.snapshot = Some(self.database.clone()),
            Fault::Restore => self.restore(),
            Fault::Retry => self.database.ask_for_all(),
        }
    }

    /// A dump is read into another server, and every connection is lost.
    fn restore(&mut self) {
        let Some(past) = self.snapshot.clone() else { return };
        let server = self.database.server + 1;
        self.database = Database { server, commits: self.rng.u64(0..20), ..past };
        self.history += 1;
        self.busy.clear();
        for daemon in 0..self.daemons.len() {
            self.lose_session(daemon);
        }
    }

    /// Whatever is wrong with rows is mended from now on, and somebody asks for those that wait.
    fn heal(&mut self) {
        self.database.mend();
        self.wake();
        self.push(10_000, Task::Heal);
    }

    /// Of each key, every row's first record comes after that of the row before it.
    fn in_order(&mut self) -> Result<(), String> {
        match self.broker.out_of_order.take() {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }

    fn all_there(&self) -> Result<(), String> {
        for row in self.database.rows.values() {
            if !self.broker.topics[row.topic].has(row.number) {
                let newest = &self.database.newest;
                return Err(format!(
                    "row {} of key {} is not in its topic, parked: {:?}, newest step {newest:?}",
                    row.seq,
                    row.key,
                    self.database.parked.get(&row.seq)
                ));
            }
        }
        if !self.database.parked.is_empty() {
            return Err(format!("still parked: {:?}", self.database.parked));
        }
        Ok(())
    }
}
