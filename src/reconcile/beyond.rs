//! What lies beyond every window: payments and purchases whose time is still to come, infinite or null,
//! because a clock or a zone is wrong, or nobody wrote it. They are looked at as well, so that none stays
//! unseen; how old such a payment is, is told by when makegood first saw it.

use std::time::Duration;

use jiff::Timestamp;

use super::Trouble;
use super::ahead::{Sought, must_move};
use super::context::Context;
use crate::store::Tx;
use crate::store::payments::{PaymentsFound, Place, Scope};

/// What is so little ahead is reached soon: a clock's jitter, and what was written during this look.
const MARGIN: Duration = Duration::from_secs(60);

/// Looks at so many windows at most of those ahead, and of those without a time.
pub(super) async fn look<T: Sought>(
    context: &Context<'_>,
    tx: &Tx,
    windows: usize,
) -> Result<PaymentsFound<T>, Trouble> {
    let now = context.lease.now.saturating_add(MARGIN).unwrap_or(Timestamp::MAX);
    let (rows, mut all) = (context.rows(), PaymentsFound::default());
    for begin in [now, Timestamp::MAX] {
        let mut after = Place { at: Some(begin), key: None };
        for _ in 0..windows {
            let scope = Scope::Window { after: &after, until: Timestamp::MAX, rows };
            let found = T::look(context.looker, tx, scope).await?;
            let edge = found.edge.clone().filter(|_| found.read >= rows);
            all.add(found);
            let is_enough = i64::try_from(all.items.len()).is_ok_and(|found| found >= rows);
            let Some(edge) = edge.filter(|_| !is_enough) else { break };
            must_move(&after, &edge)?;
            after = edge;
        }
    }
    Ok(all)
}
