//! What goes wrong, and what people do.

use std::collections::BTreeMap;

use super::daemon::{Daemon, Message};
use super::kafka::{Partition, SESSION};
use super::world::{Task, World, topic_id};
use rules::ids::Offset;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Freeze,
    Kill,
    Stuck,
    DatabaseAway,
    Drift,
    Restore,
    Snapshot,
    LeaderAway,
    Truncate,
    Expire,
    Recreate,
    SetBack,
    SetAhead,
    Rebalance,
    Hold,
}

impl Fault {
    pub const ALL: [Fault; 15] = [
        Fault::Freeze,
        Fault::Kill,
        Fault::Stuck,
        Fault::DatabaseAway,
        Fault::Drift,
        Fault::Restore,
        Fault::Snapshot,
        Fault::LeaderAway,
        Fault::Truncate,
        Fault::Expire,
        Fault::Recreate,
        Fault::SetBack,
        Fault::SetAhead,
        Fault::Rebalance,
        Fault::Hold,
    ];
}

impl World {
    pub fn strike(&mut self, fault: Fault) {
        self.tell(|| format!("FAULT {fault:?}"));
        let at = self.rng.usize(0..self.daemons.len());
        let number = self.rng.usize(0..self.topic.partitions.len());
        let partition = number as i32;
        match fault {
            Fault::Freeze => {
                let length = self.rng.u64(500..12_000);
                // A shorter freeze within a longer one would let what is heard late overtake what waits.
                let until = &mut self.daemons[at].frozen_until;
                *until = (*until).max(self.now + length);
                if length > SESSION {
                    let member = self.daemons[at].member;
                    self.push(SESSION, Task::Evict(member));
                }
            }
            Fault::Kill => {
                let (life, member) = (self.daemons[at].life + 1, self.daemons[at].member);
                self.daemons[at] = Daemon::new(life);
                if let Some(member) = self.members.get_mut(&member) {
                    member.closed = true;
                }
                self.push(SESSION, Task::Evict(member));
                let new = self.join(at);
                self.daemons[at].member = new;
            }
            Fault::Stuck => self.hear(at, 0, Message::Stuck),
            Fault::DatabaseAway => {
                self.database_away_until = self.now + self.rng.u64(200..5_000);
            }
            Fault::Drift => self.drifted_until = self.now + self.rng.u64(200..5_000),
            Fault::Snapshot => {
                self.copied += 1;
                self.snapshot = Some(self.database.clone());
            }
            Fault::Restore => {
                if let Some(past) = self.snapshot.clone() {
                    self.restored += 1;
                    self.database = past;
                }
            }
            Fault::LeaderAway => {
                let is_for_good = self.rng.u64(0..4) == 0;
                let until = self.now + self.rng.u64(500..9_000);
                let until = if is_for_good { u64::MAX } else { until };
                self.topic.partitions[number].away_until = until;
            }
            Fault::Truncate => {
                let lost = self.rng.i64(1..6);
                let log = &mut self.topic.partitions[number];
                let high = (log.high - lost).max(log.low);
                log.records.retain(|offset, _| *offset < high);
                log.high = high;
                log.cut = Some(log.cut.map_or(high, |cut| cut.min(high)));
                let end = log.high;
                let was = self.database.positions.get(&(self.topic.id, partition)).copied();
                self.tell(|| {
                    format!("partition {partition} ends at {end}, the position is {was:?}")
                });
                // A client that is ahead learns it from the new leader's epochs (KIP-320), whatever comes after.
                self.members.values_mut().for_each(|member| member.diverged(partition, end));
                // The group's offsets are in a log of their own; a tool may have set it back too.
                if self.rng.bool()
                    && let Some(offset) = self.committed.get_mut(&partition)
                {
                    *offset = (*offset).min(end);
                }
            }
            Fault::Expire => {
                let gone = self.rng.i64(1..8);
                let log = &mut self.topic.partitions[number];
                log.low = (log.low + gone).min(log.cut.unwrap_or(log.high).max(log.low));
                let low = log.low;
                let expired: Vec<(Offset, u64)> =
                    log.records.range(..low).map(|(offset, payment)| (*offset, *payment)).collect();
                log.records.retain(|offset, _| *offset >= low);
                let id = self.topic.id;
                self.expired
                    .extend(expired.into_iter().map(|(o, payment)| (id, partition, o, payment)));
            }
            Fault::Recreate => {
                self.topic_number += 1;
                self.topic.id = topic_id(self.topic_number);
                self.topic.partitions.iter_mut().for_each(|log| *log = Partition::default());
                if self.rng.bool() {
                    self.committed = BTreeMap::new();
                }
            }
            Fault::SetBack => {
                let offset = self.committed.get(&partition).copied().unwrap_or_default();
                let offset = (offset - self.rng.i64(1..10)).max(Offset(0));
                self.committed.insert(partition, offset);
                self.prepare("an operator sets offsets");
            }
            Fault::SetAhead => {
                let high = self.topic.partitions[number].high;
                self.committed.insert(partition, high);
                self.prepare("an operator sets offsets");
            }
            Fault::Rebalance => self.prepare("somebody came and went"),
            Fault::Hold => {
                self.daemons[at].admitted = false;
                let pause = self.rng.u64(200..5_000);
                self.push(pause, Task::Admit(at));
            }
        }
    }
}
