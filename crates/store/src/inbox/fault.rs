//! Why events were not applied, and what that says of them.

use crate::mapping::Mapping;
use crate::quarantine::Refusal;
use crate::{CommitFault, Fault, Store, Tx};
use rules::diagnosis::{Code, Diagnosis};

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
            detail: self.diagnosis().reason,
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
        exact.unwrap_or_else(|| self.diagnosis().advice)
    }

    /// What happened, and what to do about it in general.
    pub fn diagnosis(&self) -> Diagnosis {
        let mapping = |reason: &str| Diagnosis::new(Code::Mapping, reason);
        let elsewhere = |reason: &str| Diagnosis::new(Code::Owned, reason);
        match self {
            ApplyFault::Mapping(inner) | ApplyFault::Engine(inner) | ApplyFault::Unknown(inner) => {
                inner.diagnosis()
            }
            ApplyFault::Payments(inner) => Diagnosis::new(
                Code::Postgres,
                format!("the payments that events are held against cannot be read: {inner}"),
            )
            .advice("`makegood doctor` says what payments.sql lacks; it goes on by itself once the payments can be read"),
            ApplyFault::Breach(what) => mapping(what)
                .advice("mend apply.sql, or the file that is named, then send makegood SIGHUP"),
            ApplyFault::Altered => mapping("the table stored another amount than was paid").advice(
                "widen the column, as `makegood mapping check` says, or map minor units as the mapping's README.md says",
            ),
            ApplyFault::NoOutcome => mapping("apply.sql returned no row for an event").advice(
                "apply.sql must return exactly one row for each event it is given; mend it, then send SIGHUP",
            ),
            ApplyFault::Raced => elsewhere("another daemon is applying the same events"),
            ApplyFault::Collided(_) => elsewhere("another daemon owns the partition"),
        }
    }
}

/// Commits what went well, and rolls back what did not.
pub(super) async fn end<T>(tx: Tx, outcome: Result<T, ApplyFault>) -> Result<T, ApplyFault> {
    match outcome {
        Ok(done) => match tx.commit().await {
            Ok(()) => Ok(done),
            Err(CommitFault::Refused(fault)) => Err(ApplyFault::Mapping(fault)),
            Err(CommitFault::Unknown(fault)) => Err(ApplyFault::Unknown(fault)),
        },
        Err(fault) => {
            if fault.is_sound() {
                tx.rollback().await;
            }
            Err(fault)
        }
    }
}
