//! Why events were not applied, and what that says of them.

use crate::pure::verdict::advice;
use crate::store::Fault;
use crate::store::quarantine::Refusal;

/// Why a batch was not applied. Nothing of it is in the database, but for `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyFault {
    /// The mapping, or a constraint of the tables it writes, refused the batch.
    Mapping(Fault),
    /// One of makegood's own statements failed.
    Engine(Fault),
    /// The mapping did not keep its contract.
    Breach(String),
    /// The mapping twice gave no outcome for some events.
    NoOutcome,
    /// Too many of the last records are bad: nothing is put away until somebody has looked.
    Braked(String),
    /// Another transaction took one of the events in meanwhile: start over.
    Raced,
    /// These partitions have another owner by now; none of them for a run that has another runner.
    Collided(Vec<i32>),
    /// The connection broke in COMMIT: only the database can tell whether it landed.
    Unknown(Fault),
}

impl ApplyFault {
    /// Whether the connection is as good as before. After any other fault it is closed: it may be
    /// broken, or hold a plan that DDL made useless (0A000), and a new one is rarely needed.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            ApplyFault::Raced
            | ApplyFault::Collided(_)
            | ApplyFault::NoOutcome
            | ApplyFault::Braked(_) => true,
            ApplyFault::Mapping(Fault::Refused { sqlstate, .. }) => {
                sqlstate.starts_with("22") || sqlstate.starts_with("23")
            }
            _ => false,
        }
    }

    /// The SQLSTATE of a failure that may be an event's own doing. An event without an outcome is
    /// treated like one that violates a constraint: it may be the event, or the mapping.
    pub fn blamable(&self) -> Option<&str> {
        match self {
            ApplyFault::Mapping(Fault::Refused { sqlstate, .. }) => Some(sqlstate),
            ApplyFault::NoOutcome => Some("23000"),
            _ => None,
        }
    }

    /// Why an event goes to quarantine after a failure of its own.
    pub fn refusal(&self) -> Refusal {
        let (reason, sqlstate) = match self {
            ApplyFault::NoOutcome => ("no_outcome", None),
            _ => ("refused", self.blamable().map(str::to_owned)),
        };
        Refusal { reason: reason.to_owned(), sqlstate, detail: self.reason_and_advice().0 }
    }

    /// What happened, and what to do about it.
    pub fn reason_and_advice(&self) -> (String, &'static str) {
        match self {
            ApplyFault::Mapping(inner) | ApplyFault::Engine(inner) | ApplyFault::Unknown(inner) => {
                (inner.to_string(), advice(inner.sqlstate()))
            }
            ApplyFault::Breach(what) => (
                what.clone(),
                "mend apply.sql, or the file that is named, then send makegood SIGHUP",
            ),
            ApplyFault::NoOutcome => (
                "apply.sql returned no row for an event".to_owned(),
                "apply.sql must return exactly one row for each event it is given; mend it, then send SIGHUP",
            ),
            ApplyFault::Braked(why) => (why.clone(), ""),
            ApplyFault::Raced => ("another daemon is applying the same events".to_owned(), ""),
            ApplyFault::Collided(_) => ("another daemon owns the partition".to_owned(), ""),
        }
    }
}
