//! What a failure means for records that are replayed.

use crate::pure::verdict::{Scope, Verdict, verdict};
use crate::store::inbox::ApplyFault;

/// How many records may fail as only a broken world makes them, with none that gets through, before it is
/// taken for that.
const BROKEN_FROM: u32 = 8;

/// What a failure means for the records that met it. Unlike a batch's, they need no order, so what would
/// hold many is looked for among them: the others go on.
pub(super) fn judge(fault: &ApplyFault, records: usize, witnessed: bool) -> Verdict {
    match fault {
        ApplyFault::Engine(inner) | ApplyFault::Unknown(inner) => {
            verdict(inner.sqlstate(), Scope { records: 0, witnessed })
        }
        _ => match fault.blamable().map(|code| verdict(Some(code), Scope { records, witnessed })) {
            Some(Verdict::Hold) if records > 1 => Verdict::Bisect,
            Some(verdict) => verdict,
            None => Verdict::Hold,
        },
    }
}

/// Tells one record that is refused as by a broken world from a world that is broken.
#[derive(Default)]
pub(super) struct World {
    works: bool,
    failures: u32,
}

impl World {
    /// Something got through.
    pub(super) fn works(&mut self) {
        self.works = true;
    }

    /// A record failed alone; `is_last` if there is no other left to try. Returns whether the world is to
    /// blame, so that trying more is of no use.
    pub(super) fn is_broken(&mut self, fault: &ApplyFault, is_last: bool) -> bool {
        if judge(fault, 1, true) == Verdict::Quarantine {
            return false;
        }
        self.failures += 1;
        !self.works && (is_last || self.failures >= BROKEN_FROM)
    }
}
