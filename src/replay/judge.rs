//! What a failure means for records that are replayed.

use crate::pure::verdict::{Scope, Verdict, verdict};
use crate::store::inbox::ApplyFault;

/// What a failure means for the records that met it.
pub(super) fn judge(fault: &ApplyFault, records: usize, witnessed: bool) -> Verdict {
    match fault {
        ApplyFault::Engine(inner) | ApplyFault::Unknown(inner) => {
            verdict(inner.sqlstate(), Scope { records: 0, witnessed })
        }
        _ => match fault.blamable() {
            Some(sqlstate) => verdict(Some(sqlstate), Scope { records, witnessed }),
            None => Verdict::Hold,
        },
    }
}
