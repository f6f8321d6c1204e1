//! Why events were not applied, and what that says of them.

use crate::mapping::Mapping;
use crate::quarantine::Refusal;
use crate::{Fault, Store};
use rules::error_policy::advice;

/// Why a batch was not applied. Nothing of it is in the database, but for `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyFault {
    /// The mapping, or a constraint of the tables it writes, refused the batch.
    Mapping(Fault),
    /// The payments that events are held against cannot be read. It is no event's own doing.
    Payments(Fault),
    /// One of makegood's own statements failed.
    Engine(Fault),
    /// The mapping did not keep its contract.
    Breach(String),
    /// The table stored something else than was paid, as a column that rounds does.
    Altered,
    /// The mapping twice gave no outcome for some events.
    NoOutcome,
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
            | ApplyFault::Altered
            | ApplyFault::Breach(_) => true,
            ApplyFault::Mapping(fault)
            | ApplyFault::Payments(fault)
            | ApplyFault::Engine(fault) => {
                fault.sqlstate().is_some()
                    && !fault.is_of_the_connection()
                    && !fault.is_stale_plan()
            }
            ApplyFault::Unknown(_) => false,
        }
    }

    /// The SQLSTATE, if the database refused something.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            ApplyFault::Mapping(inner)
            | ApplyFault::Payments(inner)
            | ApplyFault::Engine(inner) => inner.sqlstate(),
            _ => None,
        }
    }

    /// Why an event is a suspect after a failure with nobody else at hand. `advice` would mend the world, if that is
    /// at fault.
    pub fn refusal(&self, advice: String) -> Refusal {
        let reason = match self {
            ApplyFault::NoOutcome => "no_outcome",
            ApplyFault::Breach(_) => "breach",
            ApplyFault::Altered => "altered",
            _ => "refused",
        };
        Refusal {
            reason: reason.to_owned(),
            sqlstate: self.sqlstate().map(str::to_owned),
            detail: self.reason_and_advice().0,
            advice: (!advice.is_empty()).then_some(advice),
            business_key: None,
            is_suspect: true,
        }
    }

    /// What to do about it; exactly, where the catalogue tells what the mapping and the tables disagree about.
    /// `source` is the payments' database, if it is another one.
    pub async fn advice(&self, store: &Store, source: Option<&Store>, mapping: &Mapping) -> String {
        let exact = match self {
            ApplyFault::Mapping(inner) => {
                return mapping.advice(store, "apply.sql", &mapping.apply, inner).await;
            }
            ApplyFault::Payments(inner) => {
                mapping.advice_on_payments(source.unwrap_or(store), inner).await
            }
            ApplyFault::Altered => mapping.rounding_advice(store).await,
            _ => None,
        };
        exact.unwrap_or_else(|| self.reason_and_advice().1.to_owned())
    }

    /// What happened, and what to do about it in general.
    pub fn reason_and_advice(&self) -> (String, &'static str) {
        match self {
            ApplyFault::Mapping(inner) | ApplyFault::Engine(inner) | ApplyFault::Unknown(inner) => {
                (inner.to_string(), advice(inner.sqlstate()))
            }
            ApplyFault::Payments(inner) => (
                format!("the payments that events are held against cannot be read: {inner}"),
                "`makegood doctor` says what payments.sql lacks; it goes on by itself once the payments can be read",
            ),
            ApplyFault::Breach(what) => (
                what.clone(),
                "mend apply.sql, or the file that is named, then send makegood SIGHUP",
            ),
            ApplyFault::Altered => (
                "the table stored another amount than was paid".to_owned(),
                "widen the column, as `makegood mapping check` says, or map minor units as the mapping's README.md says",
            ),
            ApplyFault::NoOutcome => (
                "apply.sql returned no row for an event".to_owned(),
                "apply.sql must return exactly one row for each event it is given; mend it, then send SIGHUP",
            ),
            ApplyFault::Raced => ("another daemon is applying the same events".to_owned(), ""),
            ApplyFault::Collided(_) => ("another daemon owns the partition".to_owned(), ""),
        }
    }
}
