//! Two windows of a run at once, each on a connection of its own: PostgreSQL runs one statement on one
//! core. Where the first one ends is known only once it is read, so the time is parted at a guess. A
//! wrong guess costs the second window, which is then read again, and never a payment. While records wait
//! for the consumer it is one window at a time.

use std::sync::Mutex;

use super::context::Context;
use super::{Trouble, lock};
use crate::store::Tx;
use crate::store::payments::{Conflict, LookFault, Looker, Missing, PaymentsFound, Place, Scope};
use crate::store::runs::Run;
use rules::window_estimate::Stride;

/// Why there is no next window.
const STANDS_STILL: &str = "a window ended before it began: the mapping compares times in another zone, \
    or sorts them in another order, than those it returns; see the rules at the top of missing.sql";

/// What windows were like lately. It only makes the next guess, so it is in no row.
#[derive(Debug, Default)]
pub(super) struct Lately(Mutex<Stride>);

impl Lately {
    fn stride(&self) -> Stride {
        *lock(&self.0)
    }

    fn is(&self, stride: Stride) {
        *lock(&self.0) = stride;
    }
}

/// What is looked for.
pub(super) trait Sought: Sized {
    /// Looks for it.
    fn look(
        looker: &Looker,
        tx: &Tx,
        scope: Scope<'_>,
    ) -> impl Future<Output = Result<PaymentsFound<Self>, LookFault>> + Send;
}

impl Sought for Missing {
    async fn look(
        looker: &Looker,
        tx: &Tx,
        scope: Scope<'_>,
    ) -> Result<PaymentsFound<Self>, LookFault> {
        looker.missing(tx, scope).await
    }
}

impl Sought for Conflict {
    async fn look(
        looker: &Looker,
        tx: &Tx,
        scope: Scope<'_>,
    ) -> Result<PaymentsFound<Self>, LookFault> {
        looker.conflicts(tx, scope).await
    }
}

/// What the next windows found together.
pub(super) struct Next<T> {
    pub found: PaymentsFound<T>,
    /// Where they ended.
    pub edge: Place,
    /// Whether nothing is behind them.
    pub is_last: bool,
}

/// Looks at the next window of a run, and at the one behind it if where that begins can be guessed.
pub(super) async fn look<T: Sought>(
    context: &Context<'_>,
    tx: &Tx,
    run: &Run,
) -> Result<Next<T>, Trouble> {
    let place = match run.place.at {
        Some(_) => run.place.clone(),
        None => Place { at: run.since, key: None },
    };
    let rows = context.rows();
    let part = match place.at.and_then(|at| context.lately.stride().part(at, run.until)) {
        // Events that wait are somebody's purchases now; the sweep leaves the second core to them.
        Some(_) if context.is_behind().await? => None,
        part => part,
    };
    let first = Scope::Window { after: &place, until: part.unwrap_or(run.until), rows };
    let (mut found, is_last) = match part {
        None => {
            let found = T::look(context.looker, tx, first).await?;
            let is_last = found.read < rows;
            (found, is_last)
        }
        Some(part) => {
            let after = Place { at: Some(part), key: None };
            let second = Scope::Window { after: &after, until: run.until, rows };
            let beside = context.store.begin("window_ahead").await?;
            let (first, second) = tokio::join!(
                T::look(context.looker, tx, first),
                T::look(context.looker, &beside, second)
            );
            beside.rollback().await;
            join(first?, second?, rows)
        }
    };
    let edge = found.edge.take().unwrap_or_else(|| place.clone());
    if !is_last {
        must_move(&place, &edge)?;
        if let (Some(from), Some(to)) = (place.at, edge.at) {
            context.lately.is(Stride::of(from, to, found.read, rows));
        }
    }
    Ok(Next { found, edge, is_last })
}

/// Ends what would look at the same payments for ever.
pub(super) fn must_move(from: &Place, to: &Place) -> Result<(), Trouble> {
    let moves = to.at >= from.at && to != from;
    if moves { Ok(()) } else { Err(Trouble::Fails(STANDS_STILL.to_owned())) }
}

/// Joins two windows; the second one counts only if the first one came to its beginning.
fn join<T>(
    first: PaymentsFound<T>,
    second: PaymentsFound<T>,
    rows: i64,
) -> (PaymentsFound<T>, bool) {
    if first.read >= rows {
        return (first, false);
    }
    let is_last = second.read < rows;
    let found = PaymentsFound {
        items: first.items.into_iter().chain(second.items).collect(),
        compared: first.compared + second.compared,
        read: first.read + second.read,
        edge: second.edge.or(first.edge),
    };
    (found, is_last)
}
