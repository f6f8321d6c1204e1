//! The world: time, chance, and what is to happen next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fastrand::Rng;
use uuid::Uuid;

use super::agenda::Agenda;
use super::cases::{Mapping, Shape};
use super::daemon::{Answer, Daemon, Message, Seen};
use super::database::{Batch, Database};
use super::faults::Fault;
use super::history::Limits;
use super::kafka::{Group, Member, Order, Partition, Topic};
use rules::ids::Offset;

/// Until when things go wrong, in milliseconds.
const FAULTS: u64 = 20_000;
/// Until when payments are made.
const PAYMENTS: u64 = 24_000;
/// When everything has to be well: the longest fault, a session and the longest pauses later.
const END: u64 = 120_000;
const BEAT: u64 = 3_000;

/// A rule that is taken back, so that it can be seen to be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    None,
    /// Kafka's offset counts before the position.
    FollowsKafka,
    /// Neither the topic's id nor the anchor is looked at.
    TrustsAnyLog,
    /// A commit without an answer is taken for done.
    TrustsUnknown,
    /// The heartbeat looks at nothing.
    NeverLooks,
    /// One partition that cannot be claimed fails the claim of all.
    OneDeadPartitionFailsAll,
    /// Deliveries of an older fetch, and such that follow nothing, are taken.
    TakesOldDeliveries,
    /// A step is written on top of whatever is there.
    Unfenced,
    /// The record before the position is not read again.
    ProvesNoLog,
}

impl Mutant {
    pub const ALL: [Mutant; 8] = [
        Mutant::ProvesNoLog,
        Mutant::FollowsKafka,
        Mutant::TrustsAnyLog,
        Mutant::TrustsUnknown,
        Mutant::NeverLooks,
        Mutant::OneDeadPartitionFailsAll,
        Mutant::TakesOldDeliveries,
        Mutant::Unfenced,
    ];
}

#[derive(Debug)]
pub enum Task {
    Poll(u64),
    Offsets(u64),
    Obey(u64, Order),
    Evict(u64),
    Group,
    Hear(usize, u64, Message),
    Lane(usize, usize),
    Commit(usize, u64, usize, Batch),
    Answer(usize, u64, usize, Batch, Answer),
    ClaimRead(usize, u64, u64, bool),
    ClaimWrite(usize, u64, u64, Seen),
    Look(usize, u64, u64, BTreeSet<i32>),
    Heartbeat(usize),
    Admit(usize),
    Fault(Fault),
    Pay,
}

impl Task {
    /// The daemon, or the member, that has to run for it.
    fn of(&self) -> (Option<usize>, Option<u64>) {
        match self {
            Task::Poll(member) | Task::Offsets(member) | Task::Obey(member, _) => {
                (None, Some(*member))
            }
            Task::Hear(daemon, ..)
            | Task::Lane(daemon, _)
            | Task::Answer(daemon, ..)
            | Task::ClaimRead(daemon, ..)
            | Task::ClaimWrite(daemon, ..)
            | Task::Look(daemon, ..)
            | Task::Heartbeat(daemon)
            | Task::Admit(daemon) => (Some(*daemon), None),
            Task::Commit(..) | Task::Evict(_) | Task::Group | Task::Fault(_) | Task::Pay => {
                (None, None)
            }
        }
    }
}

pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub mutant: Mutant,
    /// Whether the story is told.
    pub tells: bool,
    pub story: Vec<String>,
    pub topic: Topic,
    pub topic_number: u128,
    pub group: Group,
    pub committed: BTreeMap<i32, Offset>,
    pub members: BTreeMap<u64, Member>,
    pub daemons: Vec<Daemon>,
    pub database: Database,
    pub snapshot: Option<Database>,
    pub database_away_until: u64,
    pub drifted_until: u64,
    /// In how many of a hundred commits the answer is lost.
    pub unknown_commits: u64,
    /// Records that the log lost by age: log, partition, offset, payment.
    pub expired: Vec<(Uuid, i32, Offset, u64)>,
    pub last_member: u64,
    pub last_writer: u64,
    last_payment: u64,
    /// The mapping of each daemon, where they differ, and the payments that not every mapping takes.
    pub mappings: Vec<Mapping>,
    pub shapes: BTreeMap<u64, Shape>,
    /// How often the database was copied, and put back.
    pub copied: u64,
    pub restored: u64,
    pub limits: Limits,
    base: Instant,
    agenda: Agenda<Task>,
}

pub fn topic_id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

impl World {
    pub fn new(seed: u64, mutant: Mutant) -> World {
        let mut world = World::unpaid(seed, mutant);
        world.push(1, Task::Pay);
        world
    }

    /// A world whose log is filled from elsewhere.
    pub fn unpaid(seed: u64, mutant: Mutant) -> World {
        let mut rng = Rng::with_seed(seed);
        let partitions = vec![Partition::default(); rng.usize(1..4)];
        let daemons = rng.usize(1..4);
        let unknown_commits = if rng.bool() { rng.u64(0..15) } else { 0 };
        let mut world = World {
            now: 0,
            rng,
            mutant,
            tells: false,
            story: Vec::new(),
            topic: Topic { id: topic_id(1), partitions },
            topic_number: 1,
            group: Group::default(),
            committed: BTreeMap::new(),
            members: BTreeMap::new(),
            daemons: Vec::new(),
            database: Database::default(),
            snapshot: None,
            database_away_until: 0,
            drifted_until: 0,
            unknown_commits,
            expired: Vec::new(),
            last_member: 0,
            last_writer: 0,
            last_payment: 0,
            mappings: Vec::new(),
            shapes: BTreeMap::new(),
            copied: 0,
            restored: 0,
            limits: Limits::default(),
            base: Instant::now(),
            agenda: Agenda::default(),
        };
        for at in 0..daemons {
            world.daemons.push(Daemon::new(0));
            let member = world.join(at);
            world.daemons[at].member = member;
            let first = world.rng.u64(0..BEAT);
            world.push(first, Task::Heartbeat(at));
        }
        let kinds: Vec<Fault> = (0..world.rng.usize(1..5))
            .map(|_| Fault::ALL[world.rng.usize(0..Fault::ALL.len())])
            .collect();
        for _ in 0..world.rng.usize(1..9) {
            let (at, kind) = (world.rng.u64(200..FAULTS), world.rng.usize(0..kinds.len()));
            world.push(at, Task::Fault(kinds[kind]));
        }
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

    pub fn latency(&mut self) -> u64 {
        if self.rng.u64(0..20) == 0 { self.rng.u64(100..2_000) } else { self.rng.u64(1..40) }
    }

    /// Lives until all is well after the faults, or it is too late for that.
    pub fn live(&mut self) -> Result<(), String> {
        let mut checked = PAYMENTS;
        while self.step() {
            if self.now > checked {
                checked += 500;
                match self.judge() {
                    Ok(()) => return Ok(()),
                    Err(_) if self.now < END => {}
                    Err(violation) => return Err(violation),
                }
            }
        }
        Err("nothing happens any more".to_owned())
    }

    /// Does what is due next. Returns whether there was anything.
    pub fn step(&mut self) -> bool {
        let Some((at, task)) = self.agenda.next() else { return false };
        self.now = at.max(self.now);
        match self.is_frozen(&task) {
            Some(thaws) => self.push(thaws - self.now, task),
            None => self.run(task),
        }
        true
    }

    /// When something happens next.
    pub fn due(&self) -> Option<u64> {
        self.agenda.due()
    }

    fn is_frozen(&self, task: &Task) -> Option<u64> {
        let (daemon, member) = task.of();
        let daemon = daemon.or(member.and_then(|id| Some(self.members.get(&id)?.daemon)))?;
        Some(self.daemons[daemon].frozen_until).filter(|until| *until > self.now)
    }

    fn run(&mut self, task: Task) {
        let lives = |daemons: &[Daemon], at: usize, life: u64| daemons[at].life == life;
        match task {
            Task::Poll(member) => self.poll(member),
            Task::Offsets(member) => self.offsets(member),
            Task::Obey(member, order) => self.obey(member, order),
            Task::Evict(member) => {
                let daemon = self.members.get(&member).map(|member| member.daemon);
                let is_back = daemon.is_some_and(|at| {
                    self.daemons[at].member == member && self.daemons[at].frozen_until <= self.now
                });
                if !is_back && self.group.members.remove(&member) {
                    self.prepare("a member is not heard of");
                }
            }
            Task::Group => self.coordinate(),
            Task::Hear(at, member, message) => self.hear(at, member, message),
            Task::Lane(at, lane) => self.turn(at, lane),
            Task::Commit(at, life, lane, batch) => self.commit(at, life, lane, batch),
            Task::Answer(at, life, lane, batch, answer) if lives(&self.daemons, at, life) => {
                self.answer(at, lane, batch, answer);
            }
            Task::ClaimRead(at, life, attempt, settled) if lives(&self.daemons, at, life) => {
                self.claim_read(at, life, attempt, settled);
            }
            Task::ClaimWrite(at, life, attempt, seen) if lives(&self.daemons, at, life) => {
                self.claim_write(at, life, attempt, seen);
            }
            Task::Look(at, life, attempt, partitions) if lives(&self.daemons, at, life) => {
                self.look(at, attempt, partitions);
            }
            Task::Answer(..) | Task::ClaimRead(..) | Task::ClaimWrite(..) | Task::Look(..) => {}
            Task::Heartbeat(at) => {
                self.heartbeat(at);
                self.push(BEAT, Task::Heartbeat(at));
            }
            Task::Admit(at) => {
                self.daemons[at].admitted = true;
                self.hear(at, 0, Message::Admitted);
            }
            Task::Fault(fault) if self.limits.allows() => self.strike(fault),
            Task::Fault(_) => {}
            Task::Pay => self.pay(),
        }
    }

    /// Somebody writes a payment's event to the log.
    pub fn append(&mut self, partition: usize, payment: u64) {
        let log = &mut self.topic.partitions[partition];
        log.records.insert(log.high, payment);
        let offset = log.high;
        log.high = offset.next();
        self.tell(|| {
            format!("the event of payment {payment} is in partition {partition}, offset {offset}")
        });
    }

    fn pay(&mut self) {
        let partition = self.rng.usize(0..self.topic.partitions.len());
        // The relay sends some twice.
        let copies = if self.rng.u64(0..10) == 0 { 2 } else { 1 };
        self.last_payment += 1;
        let log = &mut self.topic.partitions[partition];
        for _ in 0..copies {
            log.records.insert(log.high, self.last_payment);
            // A transaction's mark takes an offset and is given to nobody.
            log.high = log.high + if self.last_payment.is_multiple_of(17) { 2 } else { 1 };
        }
        if self.now < PAYMENTS {
            let pause = self.rng.u64(5..600);
            self.push(pause, Task::Pay);
        }
    }

    /// What is not well, by what is in the log and the host's tables.
    fn judge(&self) -> Result<(), String> {
        for (partition, log) in self.topic.partitions.iter().enumerate() {
            // What nobody leads nobody can read; it must not keep the others waiting.
            if self.now < log.away_until {
                continue;
            }
            let partition = partition as i32;
            // What a recorded gap has is the reconciler's.
            let lost = log.records.iter().find(|(offset, payment)| {
                !self.database.purchases.contains(payment)
                    && !self.database.has_gap(self.topic.id, partition, **offset)
            });
            if let Some((offset, payment)) = lost {
                let step = self.database.positions.get(&(self.topic.id, partition));
                return Err(format!(
                    "payment {payment}, partition {partition}, offset {offset}, has no purchase; the position is {step:?} of {}, Kafka's offset {:?}",
                    log.high,
                    self.committed.get(&partition)
                ));
            }
        }
        let is_lost = |(log, partition, offset, payment): &&(Uuid, i32, Offset, u64)| {
            *log == self.topic.id
                && self.now >= self.topic.partitions[*partition as usize].away_until
                && !self.database.purchases.contains(payment)
                && !self.database.has_gap(*log, *partition, *offset)
        };
        if let Some((_, partition, offset, payment)) = self.expired.iter().find(is_lost) {
            return Err(format!(
                "payment {payment}, partition {partition}, offset {offset}, expired unread and no gap says so"
            ));
        }
        Ok(())
    }
}
