//! Kafka, as far as it matters to who sends: clients with requests on their way, and topics that take them or not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rules::produce_error::{Blame, ProduceError};
use rules::relay::Pace;

use super::database::Message;
use super::{Mutant, TOPICS, Task, World};

/// Messages of one request.
const BATCH: usize = 3;
/// Messages that a client holds.
const ROOM: usize = 10;

#[derive(Debug, Default)]
pub struct Topic {
    numbers: BTreeSet<u64>,
    /// The newest row of each key.
    newest: BTreeMap<u64, u64>,
    pub refuses_until: u64,
    pub silent_until: u64,
    /// The next request that a producer known here has to send.
    known: BTreeMap<u64, u64>,
}

impl Topic {
    pub fn has(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }
}

#[derive(Debug)]
pub struct Request {
    topic: usize,
    sequence: u64,
    messages: Vec<(u64, Message)>,
}

/// A producer.
pub struct Client {
    daemon: usize,
    pace: Pace,
    queue: VecDeque<(u64, Message)>,
    /// Handed over, and not reported.
    open: BTreeSet<u64>,
    sequences: [u64; TOPICS],
    is_stopped: bool,
    pub reports: VecDeque<(u64, Result<(), ProduceError>)>,
    /// When the last request arrives: they stay in order.
    arrived_until: u64,
}

#[derive(Default)]
pub struct Broker {
    pub topics: [Topic; TOPICS],
    pub clients: BTreeMap<u64, Client>,
    last_client: u64,
    /// A row that came before an earlier one of its key.
    pub out_of_order: Option<String>,
    /// What the topics took, where somebody carries it on.
    pub taken: Option<Vec<Message>>,
}

pub fn refusal(blame: Blame) -> ProduceError {
    ProduceError { blame, reason: format!("{blame:?}"), advice: String::new() }
}

impl Broker {
    pub fn daemon_of(&self, client: u64) -> Option<usize> {
        self.clients.get(&client).map(|client| client.daemon)
    }

    pub fn open(&mut self, daemon: usize, pace: Pace) -> u64 {
        self.last_client += 1;
        let client = Client {
            daemon,
            pace,
            queue: VecDeque::new(),
            open: BTreeSet::new(),
            sequences: [0; TOPICS],
            is_stopped: false,
            reports: VecDeque::new(),
            arrived_until: 0,
        };
        self.clients.insert(self.last_client, client);
        self.last_client
    }

    /// Ends a client: what has no report gets one, and what is on its way may still arrive.
    pub fn close(&mut self, client: u64) -> Vec<(u64, Result<(), ProduceError>)> {
        let Some(client) = self.clients.remove(&client) else { return Vec::new() };
        let purged = client.open.into_iter().map(|token| (token, Err(refusal(Blame::Client))));
        client.reports.into_iter().chain(purged).collect()
    }

    /// Appends a row. `is_there` says whether the database still has it: of what a restore lost there is no order.
    fn append(&mut self, row: &Message, is_there: bool) {
        if let Some(taken) = &mut self.taken {
            taken.push(*row);
        }
        let topic = &mut self.topics[row.topic];
        if topic.numbers.insert(row.number) && is_there {
            let newest = topic.newest.entry(row.key).or_default();
            if row.number < *newest {
                self.out_of_order =
                    Some(format!("row {} of key {} came after a later one", row.seq, row.key));
            }
            *newest = row.number.max(*newest);
        }
    }
}

impl World {
    /// Hands a message over. Returns whether there was room.
    pub fn hand_over(
        &mut self,
        client: u64,
        token: u64,
        row: Message,
    ) -> Result<bool, ProduceError> {
        let Some(own) = self.broker.clients.get_mut(&client) else { return Ok(false) };
        if own.is_stopped {
            return Err(refusal(Blame::Client));
        }
        if own.open.len() >= ROOM || own.pace == Pace::OneByOne && !own.open.is_empty() {
            return Ok(false);
        }
        own.open.insert(token);
        own.queue.push_back((token, row));
        let after = self.rng.u64(0..8);
        self.push(after, Task::Send(client));
        Ok(true)
    }

    /// Sends what a client holds, in requests of one topic each.
    pub fn send(&mut self, client: u64) {
        let mut requests = Vec::new();
        let Some(own) = self.broker.clients.get_mut(&client) else { return };
        while let Some((_, first)) = own.queue.front() {
            let topic = first.topic;
            let mut messages = Vec::new();
            while messages.len() < BATCH && own.queue.front().is_some_and(|m| m.1.topic == topic) {
                messages.extend(own.queue.pop_front());
            }
            own.sequences[topic] += 1;
            requests.push(Request { topic, sequence: own.sequences[topic], messages });
        }
        for request in requests {
            let latency = self.latency();
            let Some(own) = self.broker.clients.get_mut(&client) else { return };
            own.arrived_until = own.arrived_until.max(self.now + latency);
            let at = own.arrived_until;
            self.push(at - self.now, Task::Arrive(client, request));
        }
    }

    /// A request comes to its topic. What the client was told goes by the answer; one that is gone hears nothing.
    pub fn arrive(&mut self, client: u64, request: Request) {
        let topic = &mut self.broker.topics[request.topic];
        if self.now < topic.silent_until {
            let after = topic.silent_until - self.now;
            return self.push(after, Task::Arrive(client, request));
        }
        let is_open = self.broker.clients.contains_key(&client);
        // What was on its way when a client ended may be lost.
        if !is_open && self.rng.bool() {
            return;
        }
        let expected = topic.known.get(&client).copied();
        let outcome = if self.now < topic.refuses_until {
            Err(Blame::World)
        } else if expected.is_some_and(|expected| expected != request.sequence) {
            Err(Blame::Client)
        } else if request
            .messages
            .iter()
            .any(|(_, row)| self.database.present(row).is_some_and(|row| row.is_bad))
        {
            Err(Blame::Row)
        } else {
            topic.known.insert(client, request.sequence + 1);
            Ok(())
        };
        for (token, row) in request.messages {
            self.tell(|| {
                format!("client {client}: row {} of key {}: {outcome:?}", row.seq, row.key)
            });
            if outcome.is_ok() {
                let is_there = self.database.present(&row).is_some();
                self.broker.append(&row, is_there);
            }
            let latency = self.latency();
            let report = Task::Report(client, token, outcome.map_err(refusal));
            self.push(latency, report);
        }
    }

    /// A client hears what became of a message: after the first failure a pipelined one gives up what it has not sent.
    pub fn report(&mut self, client: u64, token: u64, outcome: Result<(), ProduceError>) {
        let mutant = self.mutant;
        let Some(own) = self.broker.clients.get_mut(&client) else { return };
        if !own.open.remove(&token) {
            return;
        }
        let stops = match (&outcome, own.pace) {
            (Ok(()), _) => false,
            (Err(_), Pace::Pipelined) => true,
            (Err(refusal), Pace::OneByOne) => refusal.blame != Blame::Row,
            (Err(refusal), Pace::Apart) => refusal.blame == Blame::Client,
        };
        own.reports.push_back((token, outcome));
        if stops && mutant != Mutant::KeepsClient {
            own.is_stopped = true;
            for (token, _) in std::mem::take(&mut own.queue) {
                own.open.remove(&token);
                own.reports.push_back((token, Err(refusal(Blame::Client))));
            }
        }
        let daemon = own.daemon;
        let life = self.daemons[daemon].life;
        self.push(0, Task::Turn(daemon, life));
    }

    pub fn fail_client(&mut self, daemon: usize) {
        let Some(client) = self.daemons[daemon].client() else { return };
        let Some(own) = self.broker.clients.get_mut(&client) else { return };
        own.is_stopped = true;
        for token in std::mem::take(&mut own.open) {
            own.reports.push_back((token, Err(refusal(Blame::Client))));
        }
        own.queue.clear();
    }
}
