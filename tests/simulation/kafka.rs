//! Kafka, as far as it matters: a log, a group with its coordinator, and members that fetch, deliver and commit.

use std::collections::{BTreeMap, BTreeSet};

use rules::ingest::lane::Arrival;
use rules::ingest::outlets::{Outlet, Outlets};
use uuid::Uuid;

use super::daemon::Message;
use super::world::{Task, World};
use rules::ids::Offset;

/// How long a revoke, or a member that gives no sign of life, is waited for.
pub const SESSION: u64 = 6_000;
/// How many records may be on their way to a lane.
const ROOM: usize = 12;
/// How long full lanes may stop a member.
const PATIENCE: u64 = 10_000;

#[derive(Clone, Debug, Default)]
pub struct Partition {
    pub low: Offset,
    pub high: Offset,
    /// The payment of each record.
    pub records: BTreeMap<Offset, u64>,
    /// Where it was cut. What it got since does not expire: it would leave no trace in the log, and only the reconciler
    /// finds those payments.
    pub cut: Option<Offset>,
    /// Nobody leads it until then.
    pub away_until: u64,
}

pub struct Topic {
    pub id: Uuid,
    pub partitions: Vec<Partition>,
}

/// The group and its coordinator.
#[derive(Default)]
pub struct Group {
    pub members: BTreeSet<u64>,
    pub owners: BTreeMap<i32, u64>,
    /// Members that have not answered a revoke yet, and until when they are waited for.
    preparing: Option<(BTreeSet<u64>, u64)>,
}

/// A member's client.
#[derive(Default)]
pub struct Member {
    pub daemon: usize,
    /// Counts assignments and revokes.
    pub assignment: u64,
    outlets: Outlets<usize>,
    cursors: BTreeMap<i32, Offset>,
    pub board: BTreeMap<i32, Offset>,
    full_since: Option<u64>,
    /// The loop has not answered a revoke yet.
    in_revoke: bool,
    pub closed: bool,
    /// When the last order arrives: they stay in order.
    pub ordered_until: u64,
}

/// What the loop asks of a member.
#[derive(Clone, Debug)]
pub enum Order {
    Fetch { assignment: u64, generation: u64, from: BTreeMap<i32, (Offset, Offset, usize)> },
    Unfetch,
    Close,
}

impl Member {
    /// The log was cut at `end`: what lies behind it is not the log that was read.
    pub fn diverged(&mut self, partition: i32, end: Offset) {
        if let Some(cursor) = self.cursors.get_mut(&partition).filter(|cursor| **cursor > end) {
            *cursor = Offset(i64::MAX);
        }
    }
}

impl World {
    pub fn join(&mut self, daemon: usize) -> u64 {
        self.last_member += 1;
        let id = self.last_member;
        self.members.insert(id, Member { daemon, ..Member::default() });
        self.group.members.insert(id);
        self.prepare("a member joins");
        self.push(10, Task::Poll(id));
        self.push(200, Task::Offsets(id));
        id
    }

    /// Begins a rebalance: all partitions are taken back first.
    pub fn prepare(&mut self, why: &str) {
        self.tell(|| format!("rebalance: {why}"));
        let mut waiting = BTreeSet::new();
        let owners: BTreeSet<u64> = self.group.owners.values().copied().collect();
        for id in owners {
            if self.group.members.contains(&id) {
                waiting.insert(id);
                self.revoke(id);
            }
        }
        self.group.owners.clear();
        let before = self.group.preparing.take();
        waiting.extend(before.into_iter().flat_map(|(waiting, _)| waiting));
        waiting.retain(|id| self.group.members.contains(id));
        self.group.preparing = Some((waiting, self.now + SESSION));
        self.push(SESSION + 1, Task::Group);
        self.push(1, Task::Group);
    }

    fn revoke(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if std::mem::replace(&mut member.in_revoke, true) {
            return;
        }
        member.assignment += 1;
        let daemon = member.daemon;
        self.send(daemon, id, Message::Revoked);
    }

    /// The coordinator goes on once everybody has answered, or without those who have not in time.
    pub fn coordinate(&mut self) {
        let Some((waiting, until)) = self.group.preparing.clone() else { return };
        if !waiting.is_empty() && self.now < until {
            return;
        }
        for late in &waiting {
            self.group.members.remove(late);
        }
        self.group.preparing = None;
        let members: Vec<u64> = self.group.members.iter().copied().collect();
        for partition in 0..self.topic.partitions.len() {
            if !members.is_empty() {
                let owner = members[partition % members.len()];
                self.group.owners.insert(partition as i32, owner);
            }
        }
        for id in members {
            let owned = self.group.owners.iter().filter(|(_, owner)| **owner == id);
            let partitions: Vec<i32> = owned.map(|(partition, _)| *partition).collect();
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.assignment += 1;
            member.cursors.clear();
            let (daemon, assignment) = (member.daemon, member.assignment);
            self.tell(|| format!("member {id} of daemon {daemon} gets {partitions:?}"));
            self.send(daemon, id, Message::Assigned { assignment, partitions });
        }
    }

    /// The loop has answered a revoke.
    pub fn release(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if !std::mem::take(&mut member.in_revoke) {
            return;
        }
        member.cursors.clear();
        let board = std::mem::take(&mut member.board);
        let is_closed = member.closed;
        self.commit_offsets(id, board);
        match &mut self.group.preparing {
            Some((waiting, _)) if self.group.members.contains(&id) => {
                waiting.remove(&id);
                self.push(1, Task::Group);
            }
            // It was thrown out, and joins anew.
            _ if !is_closed => {
                self.group.members.insert(id);
                self.prepare("a member that was thrown out joins again");
            }
            _ => {}
        }
    }

    pub fn leave(&mut self, id: u64) {
        if let Some(member) = self.members.get_mut(&id) {
            member.closed = true;
        }
        if self.group.members.remove(&id) {
            self.prepare("a member leaves");
        }
    }

    /// Offsets are taken only from who owns the partition in the group's present generation.
    fn commit_offsets(&mut self, id: u64, board: BTreeMap<i32, Offset>) {
        let preparing = self.group.preparing.as_ref();
        let answers = preparing.is_some_and(|(waiting, _)| waiting.contains(&id));
        for (partition, offset) in board {
            if answers || self.group.owners.get(&partition) == Some(&id) {
                self.committed.insert(partition, offset);
            }
        }
    }

    pub fn offsets(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.closed) else {
            return;
        };
        if !member.in_revoke {
            let board = std::mem::take(&mut member.board);
            self.commit_offsets(id, board);
        }
        self.push(200, Task::Offsets(id));
    }

    pub fn obey(&mut self, id: u64, order: Order) {
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.closed) else {
            return;
        };
        match order {
            Order::Fetch { assignment, generation, from } => {
                let outlet = |(p, (_, first, lane)): (&i32, &(Offset, Offset, usize))| {
                    (*p, Outlet { lane: *lane, next: *first })
                };
                let outlets = from.iter().map(outlet).collect();
                if member.outlets.fetch((assignment, member.assignment), generation, outlets) {
                    member.cursors = from.iter().map(|(p, (_, first, _))| (*p, *first)).collect();
                    member.board.extend(from.iter().map(|(p, (offset, ..))| (*p, *offset)));
                    member.full_since = None;
                }
            }
            Order::Unfetch => {
                member.outlets.unfetch();
                member.cursors.clear();
            }
            Order::Close => self.leave(id),
        }
    }

    /// One turn of the member's thread: fetches from each partition, delivers as far as there is room.
    pub fn poll(&mut self, id: u64) {
        let Some(member) = self.members.get(&id).filter(|member| !member.closed) else { return };
        let daemon = member.daemon;
        let pause = self.rng.u64(20..90);
        self.push(pause, Task::Poll(id));
        if !self.group.members.contains(&id) {
            self.revoke(id);
        }
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.in_revoke) else {
            return;
        };
        let mut is_full = false;
        let mut stopped = None;
        let mut arrivals = Vec::new();
        for (partition, cursor) in &mut member.cursors {
            let log = &self.topic.partitions[*partition as usize];
            let Some(Outlet { lane, next }) = member.outlets.of(*partition).cloned() else {
                continue;
            };
            if self.now < log.away_until {
                continue;
            }
            if *cursor < log.low || *cursor > log.high {
                stopped = Some("the log does not have the offset that was asked for");
                continue;
            }
            let mut follows = next;
            let queue = self.daemons[daemon].lanes[lane].queue.len() + arrivals.len();
            for (offset, payment) in log.records.range(*cursor..).take(4) {
                if queue + arrivals.len() >= ROOM {
                    is_full = true;
                    break;
                }
                let generation = member.outlets.generation();
                let (partition, offset) = (*partition, *offset);
                let record = (partition, offset, *payment);
                arrivals.push((
                    lane,
                    Arrival {
                        generation,
                        partition,
                        offset,
                        follows,
                        bytes: 1,
                        is_anchor: None,
                        record,
                    },
                ));
                follows = offset.next();
                *cursor = offset.next();
            }
            member.outlets.delivered(*partition, follows);
        }
        member.full_since = is_full.then(|| member.full_since.unwrap_or(self.now));
        if member.full_since.is_some_and(|since| self.now > since + PATIENCE) {
            stopped = Some("the lanes were full for too long");
        }
        if stopped.is_some() {
            member.outlets.unfetch();
            member.cursors.clear();
            member.full_since = None;
        }
        for (lane, arrival) in arrivals {
            self.daemons[daemon].lanes[lane].queue.push_back(arrival);
            self.push(0, Task::Lane(daemon, lane));
        }
        if let Some(why) = stopped {
            self.tell(|| format!("member {id} stopped: {why}"));
            self.send(daemon, id, Message::Stopped);
        }
    }
}
