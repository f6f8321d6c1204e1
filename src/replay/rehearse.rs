//! Replays that are rolled back, to show what they would come to.

use std::ops::Range;

use crate::isolate::{Work, isolate};
use crate::store::Store;
use crate::store::inbox::{self, ApplyFault, Replay, Replayed};
use rules::ids::CaseId;

/// How many records are read at once; each may be large.
const CHUNK: usize = 25;

/// What would come of records, by their numbers. Nothing is changed. Fails if the database cannot tell.
pub async fn rehearse(
    store: &Store,
    replay: &Replay<'_>,
    ids: &[CaseId],
) -> Result<Vec<Replayed>, ApplyFault> {
    let mut would = Vec::with_capacity(ids.len());
    for ids in ids.chunks(replay.rules.together(CHUNK)) {
        let mut rehearsal = Rehearsal { store, replay, ids, would: Vec::new() };
        isolate(&mut rehearsal, ids.len(), true).await?;
        would.append(&mut rehearsal.would);
    }
    Ok(would)
}

struct Rehearsal<'a> {
    store: &'a Store,
    replay: &'a Replay<'a>,
    ids: &'a [CaseId],
    would: Vec<Replayed>,
}

impl Work for Rehearsal<'_> {
    async fn together(&mut self, range: Range<usize>) -> Result<(), ApplyFault> {
        let would = inbox::rehearse_replay(self.store, self.replay, &self.ids[range], None).await?;
        self.would.extend(would);
        Ok(())
    }

    /// It would stay, and be tried again by itself.
    async fn refused(&mut self, at: usize, fault: ApplyFault) -> Result<(), ApplyFault> {
        let refusal = fault.refusal(fault.diagnosis().advice);
        let ids = &self.ids[at..=at];
        let would = inbox::rehearse_replay(self.store, self.replay, ids, Some(&refusal)).await?;
        self.would.extend(would);
        Ok(())
    }
}
