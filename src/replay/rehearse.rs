//! Replays that are rolled back, to show what they would come to.

use super::judge::{World, judge};
use crate::pure::bisect::Bisect;
use crate::pure::verdict::Verdict;
use crate::store::Store;
use crate::store::inbox::{self, ApplyFault, Replay, Replayed};

/// How many records are read at once; each may be large.
const CHUNK: usize = 25;

/// What would come of records, by their numbers. Nothing is changed. Fails if the world is broken.
pub async fn rehearse(
    store: &Store,
    replay: &Replay<'_>,
    ids: &[i64],
) -> Result<Vec<Replayed>, ApplyFault> {
    let mut would = Vec::with_capacity(ids.len());
    let mut world = World::default();
    for chunk in ids.chunks(CHUNK) {
        let mut bisect = Bisect::new(chunk.len());
        while let Some(range) = bisect.next() {
            let part = &chunk[range];
            match inbox::rehearse_replay(store, replay, part, None).await {
                Ok(done) => {
                    world.works();
                    would.extend(done);
                    bisect.passed();
                }
                Err(fault) if part.len() == 1 && fault.blamable().is_some() => {
                    if world.is_broken(&fault, part.last() == ids.last()) {
                        return Err(fault);
                    }
                    would.extend(fails(store, replay, part, &fault).await?);
                    bisect.passed();
                }
                Err(fault) => match judge(&fault, part.len(), true) {
                    Verdict::Bisect => bisect.failed(),
                    _ => return Err(fault),
                },
            }
        }
    }
    Ok(would)
}

/// A record that fails alone: it would stay, or wait for somebody.
async fn fails(
    store: &Store,
    replay: &Replay<'_>,
    part: &[i64],
    fault: &ApplyFault,
) -> Result<Vec<Replayed>, ApplyFault> {
    let mut would = inbox::rehearse_replay(store, replay, part, Some(&fault.refusal())).await?;
    if judge(fault, 1, true) != Verdict::Quarantine {
        would.iter_mut().for_each(|one| one.outcome = "held");
    }
    Ok(would)
}
