//! Looks for words in the payments' status that no line of the mapping names: no window of payments ever looks at such
//! a payment. Recent payments are looked at every few seconds, and all of them by a sweep, window by window, so that a
//! new word is told soon and no statement reads a large table.
//!
//! A look that comes to nothing ends no run. It is tried again a few times, and then it is said that nobody can tell.

use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;
use tracing::{debug, warn};

use super::Trouble;
use super::context::Context;
use crate::store::payments::Place;
use crate::store::runs::Run;
use crate::store::statuses::{self, PaymentsRange, StatusCount, UnnamedStatuses};
use crate::store::{Fault, Tx, jobs};

/// How often a look is tried.
const TRIES: u32 = 3;
/// Where it fails time and again, only one look at recent payments of so many looks at their statuses.
const SELDOM: u32 = 30;

/// What a run has seen when its window that ends at `edge` is looked at as well.
pub(super) async fn window(
    context: &Context<'_>,
    run: &Run,
    edge: &Place,
    is_last: bool,
    has_no_end: bool,
) -> UnnamedStatuses {
    let mut seen = run.statuses.clone();
    let from = run.place.at.or(run.since);
    let until = match is_last {
        true => (!has_no_end).then_some(run.until),
        false => edge.at,
    };
    // A window that ends where it began: its payments are those of one moment, which the next one looks at.
    if seen.unseen.is_some() || !is_last && from == until {
        return seen;
    }
    let is_sweep = run.since.is_none();
    let is_rough = run.place.at.is_none();
    let range = PaymentsRange { from, until, timeless: is_last && is_sweep, is_rough };
    for _ in 0..TRIES {
        match words(context, range, is_last && is_sweep).await {
            Ok(words) => {
                seen.add(words);
                seen.unseen = None;
                break;
            }
            Err(fault) => seen.unseen = Some(fault.to_string()),
        }
    }
    seen
}

/// The words of a range. Where no index serves it, a sweep reads the whole table once, at its end.
async fn words(
    context: &Context<'_>,
    range: PaymentsRange,
    is_end_of_sweep: bool,
) -> Result<Vec<StatusCount>, Fault> {
    let mapping = context.looker.mapping();
    let elsewhere = context.job.source.as_ref();
    let store = elsewhere.unwrap_or(context.store);
    let within = statuses::unnamed_within(store, mapping, elsewhere.is_some(), range).await?;
    match within {
        None if is_end_of_sweep => Ok(statuses::unnamed(store, mapping).await?.unwrap_or_default()),
        words => Ok(words.unwrap_or_default()),
    }
}

/// Looks at the payments from a time on, and says what is wrong. No transaction is open for as long.
pub(super) async fn recent(context: &Context<'_>, from: Timestamp) -> Result<(), Trouble> {
    let tries = context.unseen.load(Relaxed);
    if tries >= TRIES && !tries.is_multiple_of(SELDOM) {
        context.unseen.store(tries.saturating_add(1), Relaxed);
        return Ok(());
    }
    let range = PaymentsRange { from: Some(from), until: None, timeless: false, is_rough: true };
    let (mut seen, mut unseen) = (context.lease.statuses.clone(), None);
    match words(context, range, false).await {
        Ok(words) => {
            context.unseen.store(0, Relaxed);
            let mut new = UnnamedStatuses::default();
            new.add(words);
            seen.merge(&new);
        }
        Err(fault) => {
            let tries = tries.saturating_add(1);
            context.unseen.store(tries, Relaxed);
            debug!(job = context.lease.job, %fault, tries, "the statuses of recent payments were not seen");
            if tries < TRIES {
                return Ok(());
            }
            unseen = Some(fault.to_string());
        }
    }
    let tx = context.store.begin("statuses").await?;
    tell(context, &tx, &seen, unseen.as_deref()).await?;
    context.end_tx(tx).await
}

/// What a run saw that has come to its end: a sweep's word on all payments is the last one.
pub(super) async fn end(
    context: &Context<'_>,
    tx: &Tx,
    run: &Run,
    seen: &UnnamedStatuses,
) -> Result<(), Trouble> {
    match run.since {
        None => tell(context, tx, seen, None).await,
        Some(_) => {
            let mut all = context.lease.statuses.clone();
            all.merge(seen);
            tell(context, tx, &all, None).await
        }
    }
}

/// Writes down what was seen, and what is wrong.
async fn tell(
    context: &Context<'_>,
    tx: &Tx,
    seen: &UnnamedStatuses,
    recent: Option<&str>,
) -> Result<(), Trouble> {
    let lease = context.lease;
    let complaint = statuses::complaint(context.looker.mapping(), &seen.words());
    let unseen = seen.unseen.as_deref().or(recent);
    let say = match (complaint, unseen) {
        (Some((says, fix)), _) => Some(format!("{says}; {fix}")),
        (None, Some(why)) => Some(format!(
            "nobody can tell whether each payment's status is named by the mapping: {why}; the index lines of {} say what \
             serves this look, and `makegood reconcile run` looks again",
            if context.job.source.is_some() { "payments.sql" } else { "missing.sql" }
        )),
        (None, None) => None,
    };
    if seen.unnamed != lease.statuses.unnamed && !seen.unnamed.is_empty() {
        // Once it is said what they mean, they are behind every place that was reached.
        jobs::sweep_again(tx, context.job.route).await?;
    }
    if *seen == lease.statuses && say == lease.statuses_say {
        return Ok(());
    }
    if let Some(say) = say.as_ref().filter(|_| say != lease.statuses_say) {
        warn!(job = lease.job, "{say}");
    }
    Ok(jobs::statuses(tx, &lease.job, seen, say.as_deref()).await?)
}
