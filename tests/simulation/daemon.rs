//! A daemon: carries out what the machines decide, as the loops do, with time passing in between.

mod claims;
mod lanes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rules::batch::Limits;
use rules::ids::{Offset, StepNumber};
use rules::ingest::lane::{self, Arrival, Ending, Lane};
use rules::ingest::proof::{AnchorState, is_broken, proves, unproved_start};
use rules::ingest::steps::{Newest, Steps};
use rules::ingest::{Action, Event, Ingest};
use rules::offsets::{Known, Policy, StartAt, Why, start_at};
use uuid::Uuid;

use super::database::Batch;
use super::kafka::Order;
use super::world::{Mutant, Task, World};

/// How many lanes a daemon has.
pub const LANES: usize = 2;

/// How far before a start a record is looked for.
const NEAR: i64 = 3;

/// A record on its way: partition, offset, payment.
pub type Record = (i32, Offset, u64);

/// What the loop hears.
#[derive(Clone, Debug)]
pub enum Message {
    Assigned {
        assignment: u64,
        partitions: Vec<i32>,
    },
    Revoked,
    Stopped,
    Outdated(&'static str),
    Claimed(u64, Claimed),
    Unclaimed(u64),
    Looked(u64, BTreeSet<i32>),
    Admitted,
    /// The watchdog wants another client.
    Stuck,
}

/// A claim that was written: offset and step of each partition.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub number: u64,
    pub log: Uuid,
    pub starts: BTreeMap<i32, (Offset, StepNumber)>,
    /// The records before the positions: offset and payment.
    pub anchors: BTreeMap<i32, (Offset, u64)>,
    pub left_out: BTreeSet<i32>,
    pub replaced: bool,
}

/// What a claim is written from.
#[derive(Clone, Debug)]
pub struct Seen {
    log: Uuid,
    starts: BTreeMap<i32, (StartAt, StepNumber)>,
    anchors: BTreeMap<i32, (Offset, u64)>,
    left_out: BTreeSet<i32>,
}

pub struct LaneOf {
    machine: Lane<Record, &'static str>,
    pub queue: VecDeque<Arrival<Record>>,
    claim: Option<Adopted>,
    /// An order that waits for the end of the transaction.
    order: Option<Option<Adopted>>,
}

/// What a lane adopts.
#[derive(Clone, Debug)]
struct Adopted {
    generation: u64,
    from: BTreeMap<i32, Offset>,
    starts: BTreeMap<i32, Offset>,
    anchors: BTreeMap<i32, (Offset, u64)>,
    log: Uuid,
    steps: BTreeMap<i32, StepNumber>,
    /// The member that hears of offsets.
    member: u64,
}

pub struct Daemon {
    pub ingest: Ingest,
    pub member: u64,
    pub lanes: Vec<LaneOf>,
    pub frozen_until: u64,
    pub admitted: bool,
    inbox: VecDeque<Message>,
    actions: VecDeque<Action>,
    claimed: Option<Claimed>,
    /// What is read, and what is known of its steps.
    reads: Option<(Claimed, Steps)>,
    moved: bool,
    /// When the last message of a member's arrives: they stay in order.
    heard_until: u64,
    /// Tasks of an earlier life of the process are dropped.
    pub life: u64,
}

impl Daemon {
    pub fn new(life: u64) -> Daemon {
        let limits = Limits { rows: 5, bytes: 1_000, linger: Duration::from_millis(20) };
        let lane = || LaneOf {
            machine: Lane::new(limits),
            queue: VecDeque::new(),
            claim: None,
            order: None,
        };
        Daemon {
            ingest: Ingest::default(),
            member: 0,
            lanes: (0..LANES).map(|_| lane()).collect(),
            frozen_until: 0,
            admitted: true,
            inbox: VecDeque::new(),
            actions: VecDeque::new(),
            claimed: None,
            reads: None,
            moved: false,
            heard_until: 0,
            life,
        }
    }
}

impl World {
    /// Tells a daemon's loop something after a moment; what a replaced member says is dropped.
    pub fn send(&mut self, daemon: usize, member: u64, message: Message) {
        let after = self.rng.u64(0..15);
        let at = (self.now + after).max(self.daemons[daemon].heard_until);
        self.daemons[daemon].heard_until = at;
        self.push(at - self.now, Task::Hear(daemon, member, message));
    }

    pub fn hear(&mut self, daemon: usize, member: u64, message: Message) {
        if member != 0 && self.daemons[daemon].member != member {
            // Nobody is left to ask: dropping the question answers it.
            if matches!(message, Message::Revoked) {
                self.release(member);
            }
            return;
        }
        self.daemons[daemon].inbox.push_back(message);
        self.pump(daemon);
    }

    /// Carries out what is due, until something has to be waited for.
    pub fn pump(&mut self, at: usize) {
        loop {
            while let Some(action) = self.daemons[at].actions.front().cloned() {
                if action == Action::Drop && !self.drop_lanes(at) {
                    return;
                }
                self.daemons[at].actions.pop_front();
                self.carry_out(at, action);
            }
            let Some(message) = self.daemons[at].inbox.pop_front() else { return };
            self.decide(at, message);
        }
    }

    fn decide(&mut self, at: usize, message: Message) {
        let chance = self.rng.f64();
        let daemon = &mut self.daemons[at];
        let event = match message {
            Message::Assigned { assignment, partitions } => {
                Event::Assigned { assignment, partitions }
            }
            Message::Revoked => Event::Revoked,
            Message::Stopped => {
                Event::Stopped { moved: std::mem::take(&mut daemon.moved), unreadable: false }
            }
            Message::Outdated(why) => {
                debug_assert!(!why.is_empty());
                Event::Outdated { moved: std::mem::take(&mut daemon.moved), suspicious: false }
            }
            Message::Claimed(attempt, claimed) => {
                if !daemon.ingest.is_newest(attempt) {
                    return;
                }
                let event = Event::Claimed {
                    attempt,
                    log: claimed.log,
                    replaced: claimed.replaced,
                    left_out: claimed.left_out.clone(),
                    admitted: daemon.admitted,
                };
                daemon.claimed = Some(claimed);
                event
            }
            Message::Unclaimed(attempt) => {
                Event::Unclaimed { attempt, moved: std::mem::take(&mut daemon.moved) }
            }
            Message::Looked(attempt, still) => Event::Looked { attempt, still: Some(still) },
            Message::Admitted => Event::Admitted,
            Message::Stuck => Event::Left,
        };
        let is_stuck = event == Event::Left;
        let actions = daemon.ingest.on(event, chance);
        daemon.actions.extend(actions);
        if is_stuck {
            daemon.actions.push_back(Action::Rejoin);
        }
    }

    fn carry_out(&mut self, at: usize, action: Action) {
        let life = self.daemons[at].life;
        let member = self.daemons[at].member;
        match action {
            Action::EndAttempts => self.daemons[at].reads = None,
            Action::Drop => {}
            Action::Unfetch => self.order(member, Order::Unfetch),
            Action::Release => self.release(member),
            Action::Claim { attempt, pause, settled, .. } => {
                let pause = pause.as_millis() as u64;
                self.push(pause, Task::ClaimRead(at, life, attempt, settled));
            }
            Action::Look { attempt, pause, partitions } => {
                let pause = pause.as_millis() as u64;
                self.push(pause, Task::Look(at, life, attempt, partitions));
            }
            Action::Pin => {
                let Some(claimed) = self.daemons[at].claimed.take() else { return };
                let offsets = claimed.starts.iter().map(|(p, (offset, _))| (*p, *offset));
                let offsets: Vec<(i32, Offset)> = offsets.collect();
                if let Some(member) = self.members.get_mut(&member) {
                    member.board.extend(offsets);
                }
                self.read(at, claimed);
            }
            Action::Fetch { assignment, generation } => self.fetch(at, assignment, generation),
            Action::Rejoin => {
                self.tell(|| format!("daemon {at} joins as another member"));
                self.daemons[at].reads = None;
                self.order(member, Order::Close);
                let member = self.join(at);
                self.daemons[at].member = member;
            }
        }
    }

    fn order(&mut self, member: u64, order: Order) {
        let after = self.rng.u64(0..60);
        let Some(own) = self.members.get_mut(&member) else { return };
        let at = (self.now + after).max(own.ordered_until);
        own.ordered_until = at;
        self.push(at - self.now, Task::Obey(member, order));
    }

    fn read(&mut self, at: usize, claimed: Claimed) {
        let steps = claimed.starts.iter().map(|(p, (_, step))| (*p, *step)).collect();
        self.daemons[at].reads = Some((claimed, Steps::of(steps)));
    }

    fn fetch(&mut self, at: usize, assignment: u64, generation: u64) {
        let Some(claimed) = self.daemons[at].claimed.take() else { return };
        let member = self.daemons[at].member;
        let mut orders = BTreeMap::new();
        for number in 0..LANES {
            let own = claimed.starts.iter().filter(|(p, _)| **p as usize % LANES == number);
            let first = |(p, (offset, _)): (&i32, &(Offset, StepNumber))| {
                (*p, claimed.anchors.get(p).map_or(*offset, |(anchor, _)| *anchor))
            };
            let from: BTreeMap<i32, Offset> = own.clone().map(first).collect();
            orders
                .extend(from.iter().map(|(p, first)| (*p, (claimed.starts[p].0, *first, number))));
            let steps = own.map(|(p, (_, step))| (*p, *step)).collect();
            let starts = claimed.starts.iter().map(|(p, (offset, _))| (*p, *offset)).collect();
            let (anchors, log) = (claimed.anchors.clone(), claimed.log);
            let order = Some(Adopted { generation, from, starts, anchors, log, steps, member });
            if self.daemons[at].lanes[number].machine.state() == lane::State::Applying {
                self.daemons[at].lanes[number].order = Some(order);
            } else {
                self.adopt(at, number, order);
            }
        }
        self.tell(|| format!("daemon {at} reads {orders:?}"));
        self.order(member, Order::Fetch { assignment, generation, from: orders });
        self.read(at, claimed);
    }

    fn queue_message(&mut self, at: usize, message: Message) {
        self.tell(|| format!("daemon {at}: {message:?}"));
        self.push(1, Task::Hear(at, 0, message));
    }
}

impl Daemon {
    fn ingest_generation(&self) -> u64 {
        self.lanes.iter().flat_map(|lane| lane.machine.generation()).max().unwrap_or_default()
    }
}

/// What a daemon hears of its transaction.
#[derive(Clone, Debug)]
pub enum Answer {
    Applied,
    Failed(Ending<&'static str>),
    Unknown,
}
