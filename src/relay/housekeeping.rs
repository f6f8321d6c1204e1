//! What a term does beside relaying: old steps are deleted, and the next table is emptied when its turn has come.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::Relay;
use crate::store::Fault;
use crate::store::outbox::{OutboxSession, Turn};
use rules::error_policy;
use rules::health::age;
use rules::ids::StepNumber;

/// How often the next turn of the tables is tried; more often where rows are kept for a short time only.
const TURN: Duration = Duration::from_secs(60);
/// How long a turn may go on because its next table is in use before that is told.
const OVERDUE: Duration = Duration::from_secs(600);
/// How many steps are kept at least; twice as many at most.
const KEPT_STEPS: i64 = 1000;

/// What is known of it.
#[derive(Default)]
pub(super) struct Housekeeping {
    /// When the next turn of the tables is tried; none before the first.
    turn_at: Option<Instant>,
    remark: Option<String>,
}

impl Housekeeping {
    /// What a person should know of it.
    pub(super) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// Does what is due after a step.
    pub(super) async fn tidy(
        &mut self,
        session: &OutboxSession,
        relay: &Relay,
        step: StepNumber,
    ) -> Result<(), Fault> {
        if step.0 % KEPT_STEPS == 0 {
            session.trim(step.back(KEPT_STEPS)).await?;
        }
        let is_due = self.turn_at.is_none_or(|at| at <= Instant::now());
        if relay.shard.number == 0 && is_due {
            self.turn_at = Some(Instant::now() + TURN.min(relay.retention / 4));
            // No rows of another server that came meanwhile are to wait for the next claim.
            session.adopt().await?;
            self.remark = turn(session, relay.retention).await?;
        }
        Ok(())
    }
}

/// Empties the oldest table if its turn has come. Returns what to say of it.
async fn turn(session: &OutboxSession, retention: Duration) -> Result<Option<String>, Fault> {
    match session.turn(retention).await {
        Ok(Turn::Early) => Ok(None),
        Ok(Turn::Busy(lasted)) => {
            debug!("the outbox's next table is still in use");
            overdue(session, retention, lasted).await
        }
        Ok(Turn::Begun) => {
            debug!("emptied the outbox's oldest table");
            Ok(None)
        }
        // Rows go on to Kafka whether or not old ones can be removed.
        Err(fault @ Fault::Refused { .. }) => {
            let hint = error_policy::advice(fault.sqlstate());
            warn!(hint, "cannot empty the outbox's oldest table: {fault}");
            Ok(Some(format!("the outbox's oldest table cannot be emptied: {fault}. {hint}")))
        }
        Err(fault) => Err(fault),
    }
}

/// What to say of a turn that cannot end because its next table is in use: nothing at first, then by whom.
async fn overdue(
    session: &OutboxSession,
    retention: Duration,
    lasted: Duration,
) -> Result<Option<String>, Fault> {
    let turn = retention / 2;
    if lasted < turn + turn.min(OVERDUE) {
        return Ok(None);
    }
    let late = age(lasted.saturating_sub(turn));
    let blocker = session.blocker().await?;
    Ok(blocker.map(|who| {
        format!(
            "published rows have stayed {late} longer than they should, because {who} uses their table; \
             end that transaction, if need be by SELECT pg_terminate_backend(pid)"
        )
    }))
}
