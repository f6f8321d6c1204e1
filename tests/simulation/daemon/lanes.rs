//! How a daemon's lanes are carried out: deliveries are taken, and batches tried.

use super::*;

impl World {
    /// Whether every lane holds nothing; one whose transaction runs is waited for.
    pub(super) fn drop_lanes(&mut self, at: usize) -> bool {
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

    pub(super) fn adopt(&mut self, at: usize, number: usize, order: Option<Adopted>) {
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
    pub(super) fn tell_lane(
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
        let mapping = self.mapping_of(at);
        let refused = BTreeSet::new();
        let batch = Batch { log, writer: self.last_writer, records, steps, mapping, refused };
        let (latency, life) = (self.latency(), self.daemons[at].life);
        self.push(latency, Task::Commit(at, life, number, batch));
    }

    /// The transaction ends, whatever became of its daemon.
    pub fn commit(&mut self, at: usize, life: u64, number: usize, mut batch: Batch) {
        let latency = self.latency();
        batch.refused = self.refused(&batch);
        let answer = if self.now < self.database_away_until {
            Answer::Failed(Ending::Again("away"))
        } else if self.now < self.drifted_until {
            Answer::Failed(Ending::Hold("drift"))
        } else if self.database.is_full_of_suspects(&batch) {
            Answer::Failed(Ending::Hold("suspects"))
        } else if self.rng.u64(0..100) < self.unknown_commits {
            let landed = self.rng.bool() && self.database.apply(&batch, true);
            self.tell(|| {
                format!("a commit is not answered, {}", if landed { "applied" } else { "lost" })
            });
            Answer::Unknown
        } else if self.database.apply(&batch, self.mutant != Mutant::Unfenced) {
            self.tell(|| batch.told(at));
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
                    next.insert(*partition, offset.next());
                }
                for partition in next.keys() {
                    let step = steps.entry(*partition).or_default();
                    *step = step.next();
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
}
