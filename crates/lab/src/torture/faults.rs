//! The faults, as a table: what each does, what it needs, how it is undone.

mod clock;
mod cluster;
mod daemon;
mod database;
mod disk;
mod failover;
mod failpoint;
mod kafka;
mod network;
mod pooler;
mod schema;

pub use clock::by_file;
pub use failpoint::{
    after_the_first_start, before_the_first_start, cases as failpoints, rounds as failpoint_rounds,
};

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use super::environment::Environment;
use crate::servers::pgbouncer::PgBouncer;
use crate::servers::small_disk::SmallDisk;
use rules::problem::{Code, Problem};

/// What a fault needs beyond the usual two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Another time for the daemon.
    DaemonClock,
    /// Another time for PostgreSQL.
    PostgresClock,
    /// Another time for Kafka.
    KafkaClock,
    /// A standby of PostgreSQL.
    Standby,
    /// A second PostgreSQL that knows nothing of the first.
    SecondPostgres,
    /// A PgBouncer before PostgreSQL.
    Pooler,
    /// PostgreSQL on a small disk.
    SmallPostgres,
    /// PostgreSQL that waits for its disk, and strace to make that fail.
    FailingDisk,
    /// Kafka on a small disk.
    SmallKafka,
    /// Three brokers, which no proxy stands before.
    ThreeBrokers,
    /// Of those, two that have the topic, and either may lead it whatever it lacks.
    UncleanElections,
    /// A standby that the daemon's URL names before the server that takes writes.
    StandbyFirst,
    /// A daemon that was built so that its steps can be told to fail.
    Failpoints,
}

impl Need {
    /// Why this machine has not got it, if it has not.
    fn lacks(self) -> Option<&'static str> {
        match self {
            Need::DaemonClock | Need::PostgresClock | Need::KafkaClock => {
                (!clock::is_possible()).then_some("there is no C compiler")
            }
            Need::Pooler => (!PgBouncer::is_installed()).then_some("PgBouncer is not installed"),
            Need::SmallPostgres | Need::SmallKafka => {
                (!SmallDisk::is_allowed()).then_some("only root may mount a small disk")
            }
            Need::FailingDisk => {
                (!disk::can_trace()).then_some("strace is not installed, or we are not root")
            }
            Need::Failpoints => {
                (!cfg!(feature = "failpoints")).then_some("built without the feature failpoints")
            }
            Need::Standby | Need::StandbyFirst | Need::SecondPostgres => None,
            Need::ThreeBrokers | Need::UncleanElections => None,
        }
    }
}

/// What surely is so while a fault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Work may go on, or may not.
    Open,
    /// No purchase can be made: whoever asks for readiness must hear no, or nothing.
    Unable,
    /// Nothing arrives: nobody may say that all is well.
    Stuck,
}

impl Truth {
    /// Its word in the ledger.
    fn word(self) -> &'static str {
        match self {
            Truth::Open => "open",
            Truth::Unable => "unable",
            Truth::Stuck => "stuck",
        }
    }
}

/// One way to strike, ended and undone when the future ends.
type Act = for<'a> fn(
    &'a Environment,
    &'a mut Strike<'_>,
) -> Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// A row of the table.
pub struct Fault {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Its number in the catalogue of faults that the proof is held against.
    pub number: &'static str,
    /// What it does, and how it is undone.
    pub what: &'static str,
    /// What the machine must have.
    pub needs: &'static [Need],
    /// The longest pause between two strikes.
    pub pause: Duration,
    /// What it takes for itself, in words: of two faults that share one a swarm draws one.
    pub alone: &'static str,
    act: Act,
}

/// One strike of a fault.
pub struct Strike<'f> {
    fault: &'f Fault,
    /// Its chances.
    pub rng: Rng,
    begun: bool,
}

impl Strike<'_> {
    /// Says that the fault holds from now on. A second word begins another part of it.
    pub fn begin(&mut self, environment: &Environment, truth: Truth) -> Result<(), Problem> {
        if self.begun {
            self.end(environment)?;
        }
        self.begun = true;
        self.note(environment, "begin", truth)
    }

    /// Says that it is about to be undone.
    pub fn end(&mut self, environment: &Environment) -> Result<(), Problem> {
        self.begun = false;
        self.note(environment, "end", Truth::Open)
    }

    fn note(&self, environment: &Environment, phase: &str, truth: Truth) -> Result<(), Problem> {
        environment.ledger.note(json!({
            "act": "fault", "name": self.fault.name, "phase": phase, "truth": truth.word(),
        }))
    }

    /// Waits for a time between these, in milliseconds.
    pub async fn hold(&mut self, ms: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(ms))).await;
    }
}

impl Fault {
    /// Strikes once, and undoes it.
    pub async fn strike(&self, environment: &Environment, rng: Rng) -> Result<(), Problem> {
        let mut strike = Strike { fault: self, rng, begun: false };
        let outcome = (self.act)(environment, &mut strike).await;
        if strike.begun {
            strike.end(environment)?;
        }
        outcome.map_err(|p| {
            Problem::new(p.code, format!("{}: {}", self.name, p.reason)).advice(p.advice)
        })
    }

    /// Why it cannot strike beside another one: the word of what both want for themselves.
    pub fn excludes(&self, other: &Fault) -> Option<&'static str> {
        let words = || self.alone.split_whitespace();
        other.alone.split_whitespace().find(|word| words().any(|own| own == *word))
    }

    /// Why this machine cannot do it, if it cannot.
    pub fn cannot(&self) -> Option<&'static str> {
        self.needs.iter().find_map(|need| need.lacks())
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    [
        daemon::FAULTS,
        database::FAULTS,
        failover::FAULTS,
        disk::FAULTS,
        pooler::FAULTS,
        schema::FAULTS,
        network::FAULTS,
        kafka::FAULTS,
        cluster::FAULTS,
        clock::FAULTS,
        failpoint::FAULTS,
    ]
    .into_iter()
    .flatten()
}

/// The fault of that name.
pub fn named(name: &str) -> Result<&'static Fault, Problem> {
    all().find(|fault| fault.name == name).ok_or_else(|| {
        Problem::new(Code::Usage, format!("there is no fault {name}")).advice("--list names them")
    })
}

/// Two to four that this machine can do, that go together.
pub fn swarm(rng: &mut Rng) -> Vec<&'static Fault> {
    let mut possible: Vec<&Fault> = all().filter(|fault| fault.cannot().is_none()).collect();
    rng.shuffle(&mut possible);
    let mut chosen: Vec<&Fault> = Vec::new();
    let many = rng.usize(2..5);
    for fault in possible {
        let taken = chosen.iter().any(|other| fault.excludes(other).is_some());
        if chosen.len() < many && !taken {
            chosen.push(fault);
        }
    }
    chosen
}

/// A statement of the torture's own that failed.
fn failed(error: tokio_postgres::Error) -> Problem {
    crate::demo::shop::failed(error, "a fault's statement")
}
