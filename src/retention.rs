//! The inbox's retention: begins its next turn when it is time, by whichever daemon comes first.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::heartbeats::Sign;
use crate::store::Store;
use crate::store::inbox::{InboxTurn, next_turn};
use rules::error_policy;
use rules::problem::Problem;

/// How often it is looked whether it is time.
const EVERY: Duration = Duration::from_mins(1);
/// How often it is tried again while the table is in use.
const AGAIN: Duration = Duration::from_secs(1);
/// How long batches may be kept waiting, at first and at last: a table that is never free for a moment is waited for.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Within this the loop shows that it is alive; noting a table's rows takes minutes at most.
pub const SIGN: Duration = Duration::from_hours(2);

/// Keeps the inbox's rows for `retention` at least and half as long again at most, until `stop`.
pub async fn run(
    store: Store,
    retention: Duration,
    sign: Arc<Sign>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let (mut patience, most) = PATIENCE;
    let mut told = None;
    loop {
        sign.tick();
        let ended = next_turn(&store, retention, patience).await;
        let pause = match &ended {
            Ok(InboxTurn::Busy) => {
                patience = (patience * 2).min(most);
                AGAIN
            }
            _ => {
                patience = PATIENCE.0;
                EVERY.min(retention / 8)
            }
        };
        told = tell(ended, told);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Says what became of the turn, each trouble once. Returns what is in the way now.
fn tell(ended: Result<InboxTurn, crate::store::Fault>, told: Option<String>) -> Option<String> {
    let (why, hint) = match ended {
        Ok(InboxTurn::Begun) => {
            info!("the inbox's oldest rows were removed");
            return None;
        }
        Ok(InboxTurn::Early) => return None,
        // It is tried again in a moment.
        Ok(InboxTurn::Busy) => return told,
        Ok(InboxTurn::Held(why)) => (why, String::new()),
        Err(fault) => (fault.to_string(), error_policy::advice(fault.sqlstate()).to_string()),
    };
    if told.as_ref() != Some(&why) {
        warn!(hint, "the inbox's oldest rows cannot be removed: {why}");
    }
    Some(why)
}
