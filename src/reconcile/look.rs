//! The frequent look at recent payments, and at those known to have no purchase: what keeps the view
//! `paid_not_purchased` true between two runs. It makes nothing good.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ahead::must_move;
use super::compare::{CHUNK, news};
use super::context::Context;
use super::{Trouble, beyond, statuses};
use crate::store::findings;
use crate::store::jobs::{self, Lease};
use crate::store::payments::{Place, Scope};
use crate::store::{Tx, unpurchased};
use rules::schedule::earlier;
use rules::states::{FindingEnd, FindingKind};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(10);
/// How far back it looks again each time, for payments that took long to commit.
const OVERLAP: Duration = Duration::from_secs(5 * 60);
/// No look goes back farther; what is older is the runs'.
const FARTHEST: Duration = Duration::from_secs(60 * 60);

/// Whether it is time to look.
pub(super) fn is_due(lease: &Lease) -> bool {
    lease.looked.is_none_or(|at| jobs::age(lease.now, at) >= EVERY)
}

/// Looks, if it is time to.
pub(super) async fn look(context: &Context<'_>) -> Result<(), Trouble> {
    let (lease, settings) = (context.lease, &context.job.settings);
    if !is_due(lease) {
        return Ok(());
    }
    let until = earlier(lease.now, settings.grace);
    let farthest = earlier(until, FARTHEST);
    let from = lease.look.map_or(farthest, |at| earlier(at, OVERLAP).max(farthest));
    let mut after = Place { at: Some(from), key: None };
    loop {
        let tx = context.store.begin("look").await?;
        let window = Scope::Window { after: &after, until, rows: context.rows() };
        let mut found = context.looker.missing(&tx, window).await?;
        let is_last = found.read < context.rows();
        if is_last {
            found.add(beyond::look(context, &tx, 1).await?);
        }
        let route = context.job.route;
        let sorted = unpurchased::sort(&tx, context.looker, route, &lease.job, found.items).await?;
        findings::open(&tx, &lease.job, None, &news(&sorted)).await?;
        if is_last {
            heal(context, &tx).await?;
            jobs::looked(&tx, &lease.job, until, lease.now).await?;
        }
        context.end_tx(tx).await?;
        if is_last {
            return statuses::recent(context, from).await;
        }
        let edge = found.edge.unwrap_or_else(|| after.clone());
        must_move(&after, &edge)?;
        after = edge;
    }
}

/// Closes what has its purchase by now.
async fn heal(context: &Context<'_>, tx: &Tx) -> Result<(), Trouble> {
    let job = &context.lease.job;
    let mut after = 0;
    loop {
        let open = findings::open_after(tx, job, true, after, CHUNK).await?;
        let Some(last) = open.last() else { return Ok(()) };
        after = last.id;
        let mut keys: Vec<String> = open.iter().map(|o| o.key.clone()).collect();
        keys.sort();
        keys.dedup();
        let found = context.looker.missing(tx, Scope::Keys(&keys)).await?;
        let still: BTreeSet<&str> = found.items.iter().map(|m| m.key.as_str()).collect();
        let healed: Vec<String> =
            keys.iter().filter(|key| !still.contains(key.as_str())).cloned().collect();
        let kinds = FindingKind::ALL.map(FindingKind::as_str);
        findings::close(tx, job, &kinds, FindingEnd::Healed, None, &healed).await?;
    }
}
