//! A daemon that follows or leads: does what the machine of a term decides, one thing at a time, as the loop does.

use std::collections::{BTreeMap, HashSet, VecDeque};

use rules::diagnosis::{Code, Diagnosis};
use rules::produce_error::ProduceError;
use rules::relay::{Action, CursorStep, Event, Pace, Task as Due, Term, TopicTrial, WaitingTopic};

use super::database::{Cursor, Message};
use super::{Mutant, Task, World};

/// How often a follower looks.
const LOOK: u64 = 1_000;

#[derive(Default)]
pub struct Daemon {
    /// Counts processes and sessions: what an earlier one asked for is answered to nobody.
    pub life: u64,
    pub frozen_until: u64,
    lead: Option<Lead>,
    /// It waits for the database.
    is_asking: bool,
}

struct Lead {
    term: Term<Message, Cursor>,
    step: i64,
    read_to: Cursor,
    client: u64,
    trial: Option<(u64, BTreeMap<u64, Message>)>,
    /// What has to be asked before anything else.
    asks: VecDeque<Query>,
}

impl Daemon {
    pub fn client(&self) -> Option<u64> {
        self.lead.as_ref().map(|lead| lead.client)
    }
}

/// What a daemon asks of the database.
#[derive(Clone, Debug)]
pub enum Query {
    Claim,
    Blocked,
    Waiting,
    Retries(Vec<String>),
    Oldest(Vec<String>),
    Read(Cursor),
    Step(i64, Box<CursorStep<Cursor>>),
}

#[derive(Debug)]
pub enum Answer {
    Away,
    Taken,
    Won(i64, Cursor),
    Blocked(HashSet<(String, String)>),
    Waiting(Vec<WaitingTopic>),
    Retries(Vec<Message>),
    Oldest(Vec<(String, Option<Message>)>),
    Read(Vec<(Message, Cursor)>, Cursor, bool),
    Stepped(Option<i64>, Box<CursorStep<Cursor>>),
    /// The database refused the step, and goes on with this session.
    Refused,
}

impl World {
    pub fn kill(&mut self, at: usize) {
        self.lose_session(at);
        self.daemons[at].frozen_until = 0;
    }

    /// The session is gone, and the term with it.
    pub fn lose_session(&mut self, at: usize) {
        let daemon = &mut self.daemons[at];
        let (life, lead) = (daemon.life + 1, daemon.lead.take());
        (daemon.life, daemon.is_asking) = (life, false);
        if let Some(lead) = lead {
            self.broker.close(lead.client);
            lead.trial.into_iter().for_each(|(client, _)| drop(self.broker.close(client)));
        }
        let pause = self.rng.u64(1..1_000);
        self.push(pause, Task::Turn(at, life));
    }

    /// A publisher wakes who sleeps.
    pub fn wake(&mut self) {
        for at in 0..self.daemons.len() {
            self.tell_term(at, Event::Woken);
            let (latency, life) = (self.latency(), self.daemons[at].life);
            self.push(latency, Task::Turn(at, life));
        }
    }

    fn ask(&mut self, at: usize, query: Query) {
        self.daemons[at].is_asking = true;
        let (latency, life) = (self.latency(), self.daemons[at].life);
        self.push(latency, Task::Effect(at, life, self.history, query));
    }

    /// One turn of the loop.
    pub fn turn(&mut self, at: usize, life: u64) {
        if self.daemons[at].life != life || self.daemons[at].is_asking {
            return;
        }
        let Some(lead) = &mut self.daemons[at].lead else { return self.ask(at, Query::Claim) };
        if let Some(query) = lead.asks.pop_front() {
            return self.ask(at, query);
        }
        self.hear(at);
        self.hand_over_all(at);
        let now = self.instant();
        let Some(lead) = &mut self.daemons[at].lead else { return };
        if let Some(due) = lead.term.due(now) {
            return self.carry_out(at, due);
        }
        let wakes_at = lead.term.wakes_at(now);
        let wait = self.millis_until(wakes_at) + 1;
        self.push(wait, Task::Turn(at, life));
    }

    fn hear(&mut self, at: usize) {
        let Some(client) = self.daemons[at].client() else { return };
        let own = self.broker.clients.get_mut(&client);
        for (token, outcome) in own.map(|own| std::mem::take(&mut own.reports)).unwrap_or_default()
        {
            self.tell_term(at, Event::Delivered(token, outcome));
        }
        let Some(lead) = &self.daemons[at].lead else { return };
        let Some((client, _)) = lead.trial else { return };
        let own = self.broker.clients.get_mut(&client);
        for (token, outcome) in own.map(|own| std::mem::take(&mut own.reports)).unwrap_or_default()
        {
            self.note_trial(at, token, outcome);
        }
    }

    /// Lets the machine decide.
    fn tell_term(&mut self, at: usize, event: Event<Message, Cursor>) {
        let (now, chance) = (self.instant(), self.rng.f64());
        let Some(lead) = &mut self.daemons[at].lead else { return };
        let actions = lead.term.on(event, now, chance);
        if actions.contains(&Action::ReadBlocked) {
            lead.asks.push_back(Query::Blocked);
        }
        for action in actions.into_iter().filter(|action| *action != Action::ReadBlocked) {
            self.tell(|| format!("daemon {at}: {action:?}"));
        }
    }

    fn hand_over_all(&mut self, at: usize) {
        let now = self.instant();
        let mut from = 0;
        while let Some(lead) = &mut self.daemons[at].lead {
            let Some((token, row)) = lead.term.next_to_send(from, u64::MAX, now) else { return };
            let (client, row) = (lead.client, *row);
            from = token + 1;
            match self.hand_over(client, token, row) {
                Ok(true) => {
                    if let Some(lead) = &mut self.daemons[at].lead {
                        lead.term.handed_over(token, now);
                    }
                }
                Ok(false) => return,
                Err(refusal) => self.tell_term(at, Event::NotTaken(token, refusal)),
            }
        }
    }

    fn carry_out(&mut self, at: usize, due: Due) {
        let mutant = self.mutant;
        let life = self.daemons[at].life;
        let Some(lead) = &mut self.daemons[at].lead else { return };
        match due {
            Due::Replace(pace) => {
                let client = lead.client;
                if mutant != Mutant::KeepsClient {
                    let new = self.broker.open(at, pace);
                    for (token, outcome) in self.broker.close(client) {
                        self.tell_term(at, Event::Delivered(token, outcome));
                    }
                    if let Some(lead) = &mut self.daemons[at].lead {
                        lead.client = new;
                    }
                }
                self.tell_term(at, Event::Replaced(pace));
                self.push(1, Task::Turn(at, life));
            }
            Due::AskBroker => {
                let answered =
                    self.broker.topics.iter().any(|topic| topic.silent_until <= self.now);
                self.tell_term(at, Event::Silent { answered });
                self.push(1, Task::Turn(at, life));
            }
            Due::EndTrial => self.end_trial(at),
            Due::Send => self.push(0, Task::Turn(at, life)),
            Due::Try(topics) => self.ask(at, Query::Oldest(topics)),
            Due::Find => self.ask(at, Query::Waiting),
            Due::Read => {
                let read_to = lead.read_to;
                self.ask(at, Query::Read(read_to));
            }
            Due::Step => {
                let mut said = lead.term.step();
                if mutant == Mutant::MovesAhead {
                    said.cursor = lead.read_to;
                }
                let step = lead.step;
                self.ask(at, Query::Step(step, Box::new(said)));
            }
        }
    }

    /// The database does what it is asked, whatever became of who asked.
    pub fn effect(&mut self, at: usize, life: u64, history: u64, query: Query) {
        let mutant = self.mutant;
        let (now, holder) = (self.now, at as u64);
        let is_gone = self.daemons[at].life != life && self.rng.bool();
        // What the former server was asked for, the one that took its place never hears of.
        let is_away = now < self.away_until || is_gone || history != self.history;
        let answer = match query {
            _ if is_away => Answer::Away,
            Query::Claim => match self.database.claim(holder, now, mutant) {
                Some((step, cursor)) => Answer::Won(step, cursor),
                None => Answer::Taken,
            },
            Query::Blocked => Answer::Blocked(self.database.blocked()),
            Query::Waiting => Answer::Waiting(self.database.waiting()),
            Query::Retries(topics) => {
                let rows = self.database.retries(&topics, mutant);
                for row in &rows {
                    self.tell(|| format!("daemon {at} finds row {} of key {}", row.seq, row.key));
                }
                Answer::Retries(rows)
            }
            Query::Oldest(topics) => {
                let oldest =
                    |topic: String| (topic.clone(), self.database.oldest_of(&topic, mutant));
                Answer::Oldest(topics.into_iter().map(oldest).collect())
            }
            Query::Read(cursor) => {
                let (rows, read_to, more) = self.database.read(cursor, mutant);
                for (row, _) in &rows {
                    self.tell(|| format!("daemon {at} reads row {} of key {}", row.seq, row.key));
                }
                Answer::Read(rows, read_to, more)
            }
            Query::Step(step, said) => {
                self.tell(|| format!("daemon {at}: {:?}", said.aside));
                if self.refuses && !said.aside.is_empty() && self.rng.u64(0..20) == 0 {
                    self.tell(|| format!("daemon {at}'s step is refused"));
                    let latency = self.latency();
                    return self.push(latency, Task::Answer(at, life, Answer::Refused));
                }
                Answer::Stepped(self.database.step(step, &said, now, mutant), said)
            }
        };
        // An answer may be lost, and what was asked for is done all the same.
        let is_lost = self.rng.u64(0..200) == 0;
        let answer = if is_lost { Answer::Away } else { answer };
        let latency = self.latency();
        self.push(latency, Task::Answer(at, life, answer));
    }

    pub fn answer(&mut self, at: usize, life: u64, answer: Answer) {
        if self.daemons[at].life != life {
            return;
        }
        self.daemons[at].is_asking = false;
        let mut pause = 0;
        match answer {
            Answer::Away => return self.lose_session(at),
            Answer::Taken => pause = LOOK,
            Answer::Won(step, cursor) => {
                self.tell(|| format!("daemon {at} leads from step {step} at {cursor:?}"));
                let client = self.broker.open(at, Pace::Pipelined);
                let term = Term::begin(cursor, true, self.instant());
                let asks = match self.mutant {
                    Mutant::ForgetsBlocked => VecDeque::new(),
                    _ => VecDeque::from([Query::Blocked]),
                };
                let lead = Lead { term, step, read_to: cursor, client, trial: None, asks };
                self.daemons[at].lead = Some(lead);
            }
            Answer::Blocked(keys) => self.tell_term(at, Event::Blocked(keys)),
            Answer::Waiting(topics) => {
                self.tell_term(at, Event::Waiting(topics));
                let Some(lead) = &self.daemons[at].lead else { return };
                let draining = lead.term.draining();
                return self.ask(at, Query::Retries(draining));
            }
            Answer::Retries(rows) => self.tell_term(at, Event::Found(rows)),
            Answer::Oldest(rows) => self.begin_trial(at, rows),
            Answer::Read(rows, read_to, more) => {
                if let Some(lead) = &mut self.daemons[at].lead {
                    lead.read_to = read_to;
                }
                self.tell_term(at, Event::Read { rows, read_to, more });
            }
            Answer::Refused => return self.tell_trouble(at),
            Answer::Stepped(None, _) => {
                self.tell(|| format!("daemon {at} has lost the outbox"));
                return self.lose_session(at);
            }
            Answer::Stepped(Some(step), said) => {
                if let Some(lead) = &mut self.daemons[at].lead {
                    lead.step = step;
                }
                self.tell_term(at, Event::Written(*said));
            }
        }
        self.push(pause, Task::Turn(at, life));
    }

    /// What a term says last that could not go on.
    fn tell_trouble(&mut self, at: usize) {
        let (now, mutant) = (self.now, self.mutant);
        if let Some(lead) = &mut self.daemons[at].lead {
            let said = match mutant {
                Mutant::TellsPast => lead.term.step(),
                _ => lead.term.step_in_trouble(Diagnosis::new(Code::Postgres, "refused")),
            };
            self.database.step(lead.step, &said, now, mutant);
        }
        self.lose_session(at);
    }

    fn begin_trial(&mut self, at: usize, rows: Vec<(String, Option<Message>)>) {
        let client = self.broker.open(at, Pace::Apart);
        let mut tried = BTreeMap::new();
        for (topic, row) in rows {
            let Some(row) = row else {
                self.trial_ended(at, topic, None, 0, None);
                continue;
            };
            let token = tried.len() as u64;
            match self.hand_over(client, token, row) {
                Ok(true) => {
                    tried.insert(token, row);
                    self.tell_term(at, Event::Tried(topic));
                }
                Ok(false) => self.trial_ended(at, topic, None, 0, None),
                Err(refusal) => {
                    let key = Some(row.key.to_string());
                    self.trial_ended(at, topic, key, row.seq, Some(Err(refusal)));
                }
            }
        }
        let is_empty = tried.is_empty();
        if let Some(lead) = &mut self.daemons[at].lead {
            lead.trial = Some((client, tried));
        }
        if is_empty {
            self.end_trial(at);
        }
    }

    fn note_trial(&mut self, at: usize, token: u64, outcome: Result<(), ProduceError>) {
        let Some(Lead { trial: Some((_, rows)), .. }) = &mut self.daemons[at].lead else { return };
        let Some(row) = rows.remove(&token) else { return };
        let is_over = rows.is_empty();
        let (topic, key) = (row.topic.to_string(), Some(row.key.to_string()));
        self.trial_ended(at, topic, key, row.seq, Some(outcome));
        if is_over {
            self.end_trial(at);
        }
    }

    fn trial_ended(
        &mut self,
        at: usize,
        topic: String,
        key: Option<String>,
        seq: i64,
        outcome: Option<Result<(), ProduceError>>,
    ) {
        self.tell_term(at, Event::TrialEnded(TopicTrial { topic, key, seq, outcome }));
    }

    fn end_trial(&mut self, at: usize) {
        let Some(lead) = &mut self.daemons[at].lead else { return };
        if let Some((client, _)) = lead.trial.take() {
            self.broker.close(client);
        }
        self.tell_term(at, Event::TrialOver);
        let life = self.daemons[at].life;
        self.push(1, Task::Turn(at, life));
    }
}
