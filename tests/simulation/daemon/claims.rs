//! How a daemon's claims and looks are carried out: Kafka and the database are asked, then what was decided is written.

use super::*;
use rules::ids::Offset;

impl World {
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

    pub(super) fn survey(&self, partitions: &[i32]) -> Seen {
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
                    Some(there) if *there == payment => AnchorState::Same,
                    Some(_) => AnchorState::Other,
                    None => AnchorState::Gone,
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
            let near = in_log.records.range((first - NEAR).max(Offset(0))..first).next_back();
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
            seen.starts
                .insert(*partition, (start, step.map(|step| step.number).unwrap_or_default()));
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
            let swept = (start.why == Why::Truncated).then_some(Offset(0)..start.offset);
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
        let own = |(p, _): &(&i32, &Offset)| claimed.starts.contains_key(*p);
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
