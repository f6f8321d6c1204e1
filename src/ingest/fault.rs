//! What a failure that is no record's own means for the batch, and what to say of it.

use tracing::debug;

use super::attempt::{Attempt, BatchEnding};
use crate::store::Fault;
use crate::store::inbox::ApplyFault;
use rules::diagnosis::Diagnosis;
use rules::error_policy::{Disposition, disposition};
use rules::numfmt::list;

impl Attempt<'_> {
    /// What a failure that is no record's own means for the batch.
    pub(super) async fn unapplied(&self, fault: &ApplyFault) -> BatchEnding {
        match fault {
            ApplyFault::Collided(partitions) => {
                debug!(partitions = list(partitions), "the position moved under us");
                BatchEnding::Collided
            }
            ApplyFault::Engine(inner)
            | ApplyFault::Unknown(inner)
            | ApplyFault::Payments(inner)
            | ApplyFault::Mapping(inner) => again(inner, self.hold_of(fault).await),
            ApplyFault::Breach(_)
            | ApplyFault::Altered
            | ApplyFault::NoOutcome
            | ApplyFault::Raced => BatchEnding::Hold(fault.diagnosis()),
        }
    }

    /// What to say of a failure. Where the mapping and the tables disagree, the catalogue tells how.
    pub(super) async fn hold_of(&self, fault: &ApplyFault) -> Diagnosis {
        let source = self.route.source.as_ref();
        fault.diagnosis().advice(fault.advice(self.store, source, self.mapping).await)
    }
}

/// Whether to come back soon or at leisure after a fault of the database.
pub(super) fn again(fault: &Fault, hold: Diagnosis) -> BatchEnding {
    match disposition(fault.sqlstate()) {
        Disposition::Retry => BatchEnding::Again(hold),
        Disposition::Hold | Disposition::Isolate => BatchEnding::Hold(hold),
    }
}
