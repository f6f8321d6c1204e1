//! A daemon: carries out what the machines decide, as the loops do, with time passing in between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rules::batch::Limits;
use rules::ingest::lane::{self, Arrival, Ending, Lane};
use rules::ingest::proof::{Anchor, is_broken, proves, unproved_start};
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
pub type Record = (i32, i64, u64);

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
    pub starts: BTreeMap<i32, (i64, i64)>,
    /// The records before the positions: offset and payment.
    pub anchors: BTreeMap<i32, (i64, u64)>,
    pub left_out: BTreeSet<i32>,
    pub replaced: bool,
}

/// What a claim is written from.
#[derive(Clone, Debug)]
pub struct Seen {
    log: Uuid,
    starts: BTreeMap<i32, (StartAt, i64)>,
    anchors: BTreeMap<i32, (i64, u64)>,
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
    from: BTreeMap<i32, i64>,
    starts: BTreeMap<i32, i64>,
    anchors: BTreeMap<i32, (i64, u64)>,
    log: Uuid,
    steps: BTreeMap<i32, i64>,
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

    /// Whether every lane holds nothing; one whose transaction runs is waited for.
    fn drop_lanes(&mut self, at: usize) -> bool {
        let mut all = true;
        for number in 0..LANES {
            if self.daemons[at].lanes[number].machine.state() == lane::State::Applying {
                self.daemons[at].lanes[number].order = Some(None);
                all = false;
            } else {
                self.daemons[at].lanes[number].claim = None;
                self.tell_lane(at, number, lane::Event::Dropped);
            }
        }
        all
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
                let offsets: Vec<(i32, i64)> = offsets.collect();
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
            let first = |(p, (offset, _)): (&i32, &(i64, i64))| {
                (*p, claimed.anchors.get(p).map_or(*offset, |(anchor, _)| *anchor))
            };
            let from: BTreeMap<i32, i64> = own.clone().map(first).collect();
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

    fn adopt(&mut self, at: usize, number: usize, order: Option<Adopted>) {
        match order {
            Some(adopted) => {
                let (generation, from) = (adopted.generation, adopted.from.clone());
                self.daemons[at].lanes[number].claim = Some(adopted);
                self.tell_lane(at, number, lane::Event::Adopted { generation, from });
            }
            None => {
                self.daemons[at].lanes[number].claim = None;
                self.tell_lane(at, number, lane::Event::Dropped);
            }
        }
    }

    /// Lets a lane's machine decide. Returns whether a batch is to be tried.
    fn tell_lane(
        &mut self,
        at: usize,
        number: usize,
        event: lane::Event<Record, &'static str>,
    ) -> bool {
        let (now, chance) = (self.instant(), self.rng.f64());
        let lane = &mut self.daemons[at].lanes[number];
        let mut is_due = false;
        for action in lane.machine.on(event, now, chance) {
            match action {
                lane::Action::Attempt => is_due = true,
                lane::Action::Restart(why) => {
                    lane.claim = None;
                    self.queue_message(at, Message::Outdated(why));
                    return false;
                }
                lane::Action::Held(_) | lane::Action::Resumed => {}
            }
        }
        is_due
    }

    fn queue_message(&mut self, at: usize, message: Message) {
        self.tell(|| format!("daemon {at}: {message:?}"));
        self.push(1, Task::Hear(at, 0, message));
    }

    /// A lane's turn: takes what was delivered, and tries what is due.
    pub fn turn(&mut self, at: usize, number: usize) {
        loop {
            let lane = &mut self.daemons[at].lanes[number];
            if lane.machine.state() == lane::State::Applying || lane.machine.is_full() {
                break;
            }
            let Some(arrival) = lane.queue.pop_front() else { break };
            let (partition, offset, payment) = arrival.record;
            let is_anchor = lane.claim.as_ref().and_then(|claim| {
                let anchor = claim.anchors.get(&partition)?;
                let start = *claim.starts.get(&partition)?;
                proves(anchor.0, start, arrival.follows, offset, || anchor.1 == payment)
            });
            let arrival = Arrival { is_anchor, ..arrival };
            let arrival = match self.mutant {
                Mutant::TakesOldDeliveries => {
                    let follows = arrival.offset;
                    let generation = self.daemons[at].ingest_generation();
                    Arrival { generation, follows, ..arrival }
                }
                _ => arrival,
            };
            self.tell_lane(at, number, lane::Event::Arrived(arrival));
        }
        let now = self.instant();
        let lane = &self.daemons[at].lanes[number];
        let Some(due) = lane.machine.due() else { return };
        if due > now {
            let wait = due.duration_since(now).as_millis() as u64 + 1;
            self.push(wait, Task::Lane(at, number));
            return;
        }
        if !self.tell_lane(at, number, lane::Event::Due) {
            return;
        }
        let lane = &mut self.daemons[at].lanes[number];
        let Some(Adopted { log, steps, .. }) = lane.claim.clone() else {
            self.tell_lane(at, number, lane::Event::Dropped);
            return;
        };
        self.last_writer += 1;
        let records = lane.machine.pending().iter().copied().collect();
        let batch = Batch { log, writer: self.last_writer, records, steps };
        let (latency, life) = (self.latency(), self.daemons[at].life);
        self.push(latency, Task::Commit(at, life, number, batch));
    }

    /// The transaction ends, whatever became of its daemon.
    pub fn commit(&mut self, at: usize, life: u64, number: usize, batch: Batch) {
        let latency = self.latency();
        let answer = if self.now < self.database_away_until {
            Answer::Failed(Ending::Again("away"))
        } else if self.now < self.drifted_until {
            Answer::Failed(Ending::Hold("drift"))
        } else if self.rng.u64(0..100) < self.unknown_commits {
            let landed = self.rng.bool() && self.database.apply(&batch, true);
            self.tell(|| {
                format!("a commit is not answered, {}", if landed { "applied" } else { "lost" })
            });
            Answer::Unknown
        } else if self.database.apply(&batch, self.mutant != Mutant::Unfenced) {
            Answer::Applied
        } else {
            Answer::Failed(Ending::Collided)
        };
        self.push(latency, Task::Answer(at, life, number, batch, answer));
    }

    pub fn answer(&mut self, at: usize, number: usize, batch: Batch, answer: Answer) {
        let ending = match answer {
            Answer::Applied => Ending::Done,
            Answer::Unknown if self.now < self.database_away_until => {
                let latency = self.latency();
                let life = self.daemons[at].life;
                self.push(latency, Task::Answer(at, life, number, batch, Answer::Unknown));
                return;
            }
            Answer::Unknown if self.mutant == Mutant::TrustsUnknown => Ending::Done,
            Answer::Unknown if self.database.landed(&batch) => Ending::Done,
            Answer::Unknown => Ending::Again("unknown"),
            Answer::Failed(ending) => ending,
        };
        if ending == Ending::Done {
            let daemon = &mut self.daemons[at];
            daemon.moved = true;
            if let Some(Adopted { steps, member, .. }) = &mut daemon.lanes[number].claim {
                let mut next = BTreeMap::new();
                for (partition, offset, _) in &batch.records {
                    next.insert(*partition, offset + 1);
                }
                for partition in next.keys() {
                    *steps.entry(*partition).or_default() += 1;
                }
                if let Some(member) = self.members.get_mut(member) {
                    member.board.extend(next);
                }
            }
        }
        self.tell_lane(at, number, lane::Event::Ended(ending));
        if let Some(order) = self.daemons[at].lanes[number].order.take() {
            self.adopt(at, number, order);
        }
        self.push(0, Task::Lane(at, number));
        self.pump(at);
    }

    pub fn claim_read(&mut self, at: usize, life: u64, attempt: u64, settled: bool) {
        let daemon = &self.daemons[at];
        if !daemon.ingest.is_newest(attempt) {
            return;
        }
        let holds =
            |lane: &LaneOf| lane.machine.state() != lane::State::Idle || !lane.queue.is_empty();
        if settled && daemon.lanes.iter().any(holds) {
            return self.push(40, Task::ClaimRead(at, life, attempt, settled));
        }
        let partitions = daemon.ingest.partitions().to_vec();
        let latency = self.latency();
        if self.now < self.database_away_until {
            return self.push(latency, Task::Hear(at, 0, Message::Unclaimed(attempt)));
        }
        let seen = self.survey(&partitions);
        if self.mutant == Mutant::OneDeadPartitionFailsAll && !seen.left_out.is_empty() {
            return self.push(latency, Task::Hear(at, 0, Message::Unclaimed(attempt)));
        }
        self.push(latency, Task::ClaimWrite(at, life, attempt, seen));
    }

    fn survey(&self, partitions: &[i32]) -> Seen {
        let log = self.topic.id;
        let (starts, anchors) = (BTreeMap::new(), BTreeMap::new());
        let mut seen = Seen { log, starts, anchors, left_out: BTreeSet::new() };
        for partition in partitions {
            let in_log = &self.topic.partitions[*partition as usize];
            if self.now < in_log.away_until {
                seen.left_out.insert(*partition);
                continue;
            }
            let step = self.database.positions.get(&(log, *partition));
            let anchor = step.and_then(|step| step.anchor);
            let is_broken = anchor.is_some_and(|(offset, payment)| {
                let found = match in_log.records.get(&offset) {
                    Some(there) if *there == payment => Anchor::Same,
                    Some(_) => Anchor::Other,
                    None => Anchor::Gone,
                };
                is_broken(offset, (in_log.low, in_log.high), found, false)
            });
            let is_trusting = self.mutant == Mutant::TrustsAnyLog;
            let known = Known {
                postgres: step.map(|step| step.next),
                kafka: self.committed.get(partition).copied(),
                recreated: self.database.knows_another(log) && !is_trusting,
                begun: self.database.knows_topic(log),
                low: in_log.low,
                high: in_log.high,
                anchor_broken: is_broken && !is_trusting,
            };
            let known = match self.mutant {
                Mutant::FollowsKafka => Known { postgres: known.kafka.or(known.postgres), ..known },
                _ => known,
            };
            let start = start_at(Policy::Earliest, known);
            let first = start.offset;
            let near = in_log.records.range((first - NEAR).max(0)..first).next_back();
            let near = near.map(|(offset, payment)| (*offset, *payment));
            let position = step.map_or(first, |step| step.next);
            let unproved = unproved_start(position, known.kafka, anchor.map(|(at, _)| at));
            let anchor = anchor.filter(|(at, _)| unproved.is_none() && *at >= in_log.low);
            let goes_on = matches!(start.why, Why::Resumed | Why::Rewound);
            let witness = anchor.or(near).filter(|_| goes_on);
            if let Some(anchor) = witness
                && self.mutant != Mutant::ProvesNoLog
            {
                seen.anchors.insert(*partition, anchor);
            }
            seen.starts.insert(*partition, (start, step.map_or(0, |step| step.number)));
        }
        seen
    }

    pub fn claim_write(&mut self, at: usize, life: u64, attempt: u64, seen: Seen) {
        if !self.daemons[at].ingest.is_newest(attempt) {
            return;
        }
        let latency = self.latency();
        if self.now < self.database_away_until {
            return self.push(latency, Task::Hear(at, 0, Message::Unclaimed(attempt)));
        }
        let mut starts = BTreeMap::new();
        for (partition, (start, step)) in &seen.starts {
            let claimed = self.database.claim(seen.log, *partition, *step, start);
            let Some(step) = claimed else { continue };
            // A log that was replaced is swept as a whole.
            let swept = (start.why == Why::Truncated).then_some(0..start.offset);
            let gaps = start.gap.clone().into_iter().chain(swept);
            self.database.gaps.extend(gaps.map(|gap| (seen.log, *partition, gap)));
            starts.insert(*partition, (start.offset, step));
        }
        if starts.len() < seen.starts.len() {
            return self.push(latency, Task::ClaimRead(at, life, attempt, false));
        }
        let replaced = (seen.starts.values())
            .any(|(start, _)| matches!(start.why, Why::Recreated | Why::Truncated));
        self.last_writer += 1;
        let number = self.last_writer;
        self.tell(|| format!("daemon {at} claims {:?}", seen.starts));
        let (log, anchors, left_out) = (seen.log, seen.anchors, seen.left_out);
        let claimed = Claimed { number, log, starts, anchors, left_out, replaced };
        self.push(latency, Task::Hear(at, 0, Message::Claimed(attempt, claimed)));
    }

    pub fn look(&mut self, at: usize, attempt: u64, partitions: BTreeSet<i32>) {
        if !self.daemons[at].ingest.is_newest(attempt) {
            return;
        }
        let is_away = |p: &i32| self.now < self.topic.partitions[*p as usize].away_until;
        let still = partitions.into_iter().filter(is_away).collect();
        self.hear(at, 0, Message::Looked(attempt, still));
    }

    /// The look of every heartbeat.
    pub fn heartbeat(&mut self, at: usize) {
        if self.now < self.database_away_until || self.mutant == Mutant::NeverLooks {
            return;
        }
        let Some((claimed, mut steps)) = self.daemons[at].reads.clone() else { return };
        if claimed.log != self.topic.id {
            self.daemons[at].reads = None;
            return self.queue_message(at, Message::Outdated("the topic has another id"));
        }
        let newest = |p: &i32| {
            let step = self.database.positions.get(&(claimed.log, *p))?;
            Some((*p, Newest { step: step.number, next_offset: step.next }))
        };
        let found: BTreeMap<i32, Newest> = claimed.starts.keys().filter_map(newest).collect();
        let is_short = |(p, newest): (&i32, &Newest)| {
            self.topic.partitions.get(*p as usize).is_some_and(|log| log.high < newest.next_offset)
        };
        if found.iter().any(is_short) {
            self.daemons[at].reads = None;
            return self.queue_message(at, Message::Outdated("the log ends before what was read"));
        }
        let own = |(p, _): &(&i32, &i64)| claimed.starts.contains_key(*p);
        let committed =
            self.committed.iter().filter(own).map(|(p, offset)| (*p, *offset)).collect();
        if steps.went_back(&found, &committed) {
            self.daemons[at].reads = None;
            return self.queue_message(at, Message::Outdated("the database went back in time"));
        }
        if let Some((reads, known)) = &mut self.daemons[at].reads
            && reads.number == claimed.number
        {
            *known = steps;
        }
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
