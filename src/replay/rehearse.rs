//! Replays that are rolled back, to show what they would come to.

use super::judge::judge;
use crate::pure::bisect::Bisect;
use crate::pure::verdict::Verdict;
use crate::store::Store;
use crate::store::inbox::{self, ApplyFault, Replay, Replayed};

/// How many records are read at once; each may be large.
const CHUNK: usize = 25;

/// What would come of records, by their numbers. Nothing is changed.
pub async fn rehearse(
    store: &Store,
    replay: &Replay<'_>,
    ids: &[i64],
) -> Result<Vec<Replayed>, ApplyFault> {
    let mut would = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let mut bisect = Bisect::new(chunk.len());
        while let Some(range) = bisect.next() {
            let part = &chunk[range];
            match inbox::rehearse_replay(store, replay, part, None).await {
                Ok(done) => {
                    would.extend(done);
                    bisect.passed();
                }
                Err(fault) => match judge(&fault, part.len(), true) {
                    Verdict::Bisect => bisect.failed(),
                    Verdict::Quarantine => {
                        let refusal = fault.refusal();
                        would.extend(
                            inbox::rehearse_replay(store, replay, part, Some(&refusal)).await?,
                        );
                        bisect.passed();
                    }
                    Verdict::Retry | Verdict::Hold => return Err(fault),
                },
            }
        }
    }
    Ok(would)
}
