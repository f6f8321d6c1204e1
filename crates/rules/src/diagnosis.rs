//! What is wrong and what a person can do about it: an error of a command, and what keeps a loop from its work.

use std::fmt;
use std::time::Instant;

/// Names one kind of diagnosis; stable, so that it can be searched for and alerted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The configuration cannot be used.
    Config,
    /// The mapping's SQL breaks its contract.
    Mapping,
    /// The host's purchases have no unique key on the business key.
    BusinessKey,
    /// The command line cannot be used as given.
    Usage,
    /// PostgreSQL cannot be reached or refuses the login.
    PostgresUnreachable,
    /// PostgreSQL answered with an error.
    Postgres,
    /// makegood's own schema does not fit this binary.
    Schema,
    /// No Kafka broker can be reached.
    KafkaUnreachable,
    /// A broker answers, but advertises an address that cannot be reached from here.
    KafkaAdvertised,
    /// Kafka answered with an error.
    Kafka,
    /// What was asked for does not exist.
    NotFound,
    /// It goes on only with somebody's approval.
    Confirmation,
    /// Somebody else owns what was to be changed.
    Owned,
    /// A wait ended before what was waited for.
    TimedOut,
    /// A person ended a wait; what was waited for goes on.
    Interrupted,
    /// The process cannot go on and wants its supervisor to start a new one.
    GaveUp,
    /// Something outside the above failed: a file, a child process.
    System,
}

impl Code {
    /// The code as printed and documented, `MG` and four digits.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Config => "MG1001",
            Code::Mapping => "MG1101",
            Code::BusinessKey => "MG1102",
            Code::Usage => "MG1201",
            Code::PostgresUnreachable => "MG2001",
            Code::Postgres => "MG2002",
            Code::Schema => "MG2003",
            Code::KafkaUnreachable => "MG3001",
            Code::KafkaAdvertised => "MG3002",
            Code::Kafka => "MG3003",
            Code::NotFound => "MG4001",
            Code::TimedOut => "MG4002",
            Code::GaveUp => "MG4003",
            Code::Confirmation => "MG4004",
            Code::Owned => "MG4005",
            Code::Interrupted => "MG4006",
            Code::System => "MG5001",
        }
    }

    /// The exit code of a command that ends with it.
    pub fn exit(self) -> u8 {
        match self {
            Code::Postgres | Code::Kafka | Code::NotFound | Code::Owned | Code::System => 1,
            Code::Usage => 2,
            Code::PostgresUnreachable | Code::KafkaUnreachable | Code::KafkaAdvertised => 4,
            Code::Confirmation => 5,
            Code::TimedOut => 6,
            Code::GaveUp => 75,
            Code::Interrupted => 130,
            Code::Config | Code::Mapping | Code::BusinessKey | Code::Schema => 78,
        }
    }
}

/// What is wrong, and what to do about it, without a judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Of which kind it is.
    pub code: Code,
    /// What is wrong, as a sentence without its end; without secrets or payloads.
    pub reason: String,
    /// What to do about it; may be several lines; empty when there is nothing to say.
    pub advice: String,
}

impl Diagnosis {
    /// A diagnosis without advice yet.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Diagnosis { code, reason: reason.into(), advice: String::new() }
    }

    /// The same with advice.
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code.as_str(), self.reason)?;
        for (row, line) in self.advice.lines().enumerate() {
            write!(f, "\n  {} {line}", if row == 0 { "hint:" } else { "     " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnosis {}

/// A diagnosis that has held since a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Instant,
    /// What is wrong.
    pub diagnosis: Diagnosis,
}
