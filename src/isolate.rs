//! The one driver that finds who is refused, for batches, payments, replays and rehearsals.
//!
//! It knows nothing of what is tried: the rules are [`rules::isolate`]'s, and each [`Work`] says how its items
//! are tried and put away.

use std::future::Future;
use std::ops::Range;

use crate::store::inbox::ApplyFault;
use rules::error_policy::{Disposition, disposition};
use rules::isolate::{Isolate, Try};

/// Items that are tried.
pub trait Work: Send {
    /// Whether [`Work::each`] is there.
    const EACH: bool = false;

    /// Tries items in one transaction of their own, all or nothing.
    fn together(
        &mut self,
        range: Range<usize>,
    ) -> impl Future<Output = Result<(), ApplyFault>> + Send;

    /// Tries items one by one in one transaction and puts away those that are refused; returns how many those were.
    fn each(
        &mut self,
        range: Range<usize>,
    ) -> impl Future<Output = Result<usize, ApplyFault>> + Send {
        let tried = self.together(range);
        async { tried.await.map(|()| 0) }
    }

    /// Puts the item away that was refused alone.
    fn refused(
        &mut self,
        at: usize,
        fault: ApplyFault,
    ) -> impl Future<Output = Result<(), ApplyFault>> + Send;

    /// Whether so much was put away that the rest must wait.
    fn is_full(&self) -> bool {
        false
    }
}

/// How it ended, if nothing but refusals stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every item passed or was put away.
    Done,
    /// Too many were put away; the others were not tried.
    Full,
}

/// Tries `len` items in order until each has passed or stands alone as refused. Fails with what is no item's own
/// doing; `is_patient` leaves it at that for errors that pass or are the server's. Where those do not pass, it is
/// not: a trigger can raise them for one row as well.
pub async fn isolate<W: Work>(
    work: &mut W,
    len: usize,
    is_patient: bool,
) -> Result<Ended, ApplyFault> {
    let mut isolate = Isolate::new(len, W::EACH);
    while let Some(next) = isolate.next() {
        let (tried, alone) = match next {
            Try::Together(range) => {
                let alone = (range.len() == 1).then_some(range.start);
                (work.together(range).await.map(|()| 0), alone)
            }
            Try::Each(range) => (work.each(range).await, None),
        };
        match (tried, alone) {
            (Ok(refused), _) => isolate.passed(refused),
            (Err(fault), _) if !may_be_an_items_own(&fault, is_patient) => return Err(fault),
            (Err(fault), Some(at)) => {
                work.refused(at, fault).await?;
                isolate.failed();
            }
            (Err(fault), None) if fault.sqlstate() == Some("57014") => isolate.took_too_long(),
            (Err(_), None) => isolate.failed(),
        }
        if work.is_full() {
            return Ok(Ended::Full);
        }
    }
    Ok(Ended::Done)
}

/// Whether an item may be what a failure is about.
fn may_be_an_items_own(fault: &ApplyFault, is_patient: bool) -> bool {
    match fault {
        ApplyFault::Mapping(inner) => {
            inner.sqlstate().is_some()
                && (!is_patient || disposition(inner.sqlstate()) == Disposition::Isolate)
        }
        // A value that the mapping named can be too much for makegood's own tables as well.
        ApplyFault::Engine(inner) => {
            inner.sqlstate().is_some() && disposition(inner.sqlstate()) == Disposition::Isolate
        }
        ApplyFault::NoOutcome | ApplyFault::Altered | ApplyFault::Breach(_) => true,
        ApplyFault::Raced
        | ApplyFault::Payments(_)
        | ApplyFault::Collided(_)
        | ApplyFault::Unknown(_) => false,
    }
}
