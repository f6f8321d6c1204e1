//! The steps that look: windows of payments, and windows of contradictions.

use jiff::Timestamp;
use serde_json::json;
use tracing::info;

use super::ahead::Next;
use super::context::Context;
use super::{Trouble, ahead, backfill, beyond, statuses};
use crate::store::findings::{self, New};
use crate::store::payments::{Conflict, Missing, PaymentsFound, Place, Scope};
use crate::store::runs::{Run, RunStep, SAMPLE};
use crate::store::unpurchased::{self, Unpurchased};
use crate::store::{Tx, jobs};
use rules::reconcile::{Action, Event, State};
use rules::schedule::earlier;
use rules::states::{FindingEnd, FindingKind, Phase};

/// How many windows a run looks at beyond now.
const BEYOND: usize = 20;
/// How many open findings are looked at again at once.
pub(super) const CHUNK: i64 = 1000;

/// Compares the next window of payments with purchases.
pub(super) async fn compare(context: &Context<'_>, run: &Run) -> Result<(), Trouble> {
    let tx = context.store.begin("compare_window").await?;
    let Next { mut found, edge, is_last } = ahead::look::<Missing>(context, &tx, run).await?;
    if is_last && has_no_end(context, run) {
        found.add(beyond::look(context, &tx, BEYOND).await?);
    }
    let compared = found.compared;
    if is_last && run.since.is_none() && run.compared + compared == 0 {
        must_see(context, &tx).await?;
    }
    let mut sorted = sort(context, &tx, found).await?;
    if run.by_person {
        let refused = std::mem::take(&mut sorted.refused);
        sorted.missing.extend(refused);
    }
    let missing = count(sorted.missing.len());
    let statuses = match run.dry_run {
        true => None,
        false => {
            Some(statuses::window(context, run, &edge, is_last, has_no_end(context, run)).await)
        }
    };
    let step = RunStep {
        compared,
        missing,
        statuses,
        gone: count(sorted.gone.len()),
        ..RunStep::to(Phase::Compare, edge)
    };
    let compared = unsigned(run.compared + compared);
    let missing = unsigned(run.missing + missing);
    let event = Event::Compared { compared, missing, is_last };
    let (state, actions) = context.machine(run).on(event);
    if run.dry_run {
        tx.rollback().await;
        return report(context, run, step, &sorted, state, actions).await;
    }
    findings::open(&tx, &context.lease.job, Some(run.id), &news(&sorted)).await?;
    if is_last {
        jobs::compared(&tx, &context.lease.job, run.started, run.since, run.until).await?;
        if let Some(seen) = &step.statuses {
            statuses::end(context, &tx, run, seen).await?;
        }
    }
    context.write(&tx, run, step, actions).await?;
    context.end_tx(tx).await
}

/// Ends a sweep that has seen no payment at all where there are some: it has not compared anything.
async fn must_see(context: &Context<'_>, tx: &Tx) -> Result<(), Trouble> {
    let Some(table) = context.looker.any_payment(tx).await? else { return Ok(()) };
    // Those of the last minutes are seen, and are too young to be missed.
    let (first, until) = (Place::default(), Timestamp::MAX);
    let any_time = Scope::Window { after: &first, until, rows: 1 };
    let seen = context.looker.missing(tx, any_time).await?;
    if seen.compared > 0 || !seen.items.is_empty() {
        return Ok(());
    }
    Err(Trouble::Fails(format!(
        "missing.sql finds no payment that became paid, though {table} has rows: compare the word of the status that it \
         looks for, and the times, with those in the table"
    )))
}

/// Whether a run looks at everything up to now: nobody named an end.
fn has_no_end(context: &Context<'_>, run: &Run) -> bool {
    !run.by_person || run.until >= earlier(run.started, context.job.settings.grace)
}

async fn sort(
    context: &Context<'_>,
    tx: &Tx,
    found: PaymentsFound<Missing>,
) -> Result<Unpurchased, Trouble> {
    let (route, job) = (context.job.route, &context.lease.job);
    Ok(unpurchased::sort(tx, context.looker, route, job, found.items).await?)
}

/// A dry run's window: what would be done is done and rolled back, and told.
async fn report(
    context: &Context<'_>,
    run: &Run,
    mut step: RunStep,
    sorted: &Unpurchased,
    state: State,
    actions: Vec<Action>,
) -> Result<(), Trouble> {
    if state != State::Ended {
        let would = backfill::rehearse(context, run, &sorted.missing).await?;
        step.made_good = count(would.made_good.len());
        step.quarantined = count(would.quarantined.len());
    }
    let open = SAMPLE.saturating_sub(run.sampled);
    step.sample = sample(&news(sorted), open);
    context.commit(async |tx| context.write(tx, run, step, actions).await).await
}

/// Looks for contradictions in the next window.
pub(super) async fn conflicts(context: &Context<'_>, run: &Run) -> Result<(), Trouble> {
    if run.place.at.is_none() {
        check_conflicts(context).await?;
    }
    contradictions(context, run).await
}

/// Checks the contract of `conflicts.sql`, if there is one.
async fn check_conflicts(context: &Context<'_>) -> Result<(), Trouble> {
    let mapping = context.looker.mapping();
    for look in mapping.looks_for(context.job.source.is_some()) {
        if look.file == "conflicts.sql" {
            mapping.check_look(context.store, &look).await?;
        }
    }
    Ok(())
}

/// The next window of contradictions; after the last one, whether those known still are.
async fn contradictions(context: &Context<'_>, run: &Run) -> Result<(), Trouble> {
    let tx = context.store.begin("conflicts_window").await?;
    let Next { mut found, edge, is_last } = ahead::look::<Conflict>(context, &tx, run).await?;
    if is_last && has_no_end(context, run) {
        found.add(beyond::look(context, &tx, BEYOND).await?);
    }
    let items = findings::undismissed(&tx, context.job.route, found.items).await?;
    let news: Vec<New<'_>> = items.iter().map(New::from).collect();
    let mut step = RunStep { conflicts: count(items.len()), ..RunStep::to(Phase::Conflicts, edge) };
    if run.dry_run {
        step.sample = sample(&news, SAMPLE.saturating_sub(run.sampled));
    } else {
        findings::open(&tx, &context.lease.job, Some(run.id), &news).await?;
        if is_last {
            heal(context, run, &tx).await?;
        }
    }
    let (_, actions) = context.machine(run).on(Event::Checked { is_last });
    context.write(&tx, run, step, actions).await?;
    if is_last {
        info!(job = context.lease.job, run = run.id.0, "reconciled");
    }
    context.end_tx(tx).await
}

/// Closes contradictions that are none any more.
async fn heal(context: &Context<'_>, run: &Run, tx: &Tx) -> Result<(), Trouble> {
    let job = &context.lease.job;
    let mut after = 0;
    loop {
        let open = findings::open_after(tx, job, false, after, CHUNK).await?;
        let Some(last) = open.last() else { return Ok(()) };
        after = last.id;
        let mut keys: Vec<String> = open.iter().map(|o| o.key.clone()).collect();
        keys.sort();
        keys.dedup();
        let found = context.looker.conflicts(tx, Scope::Keys(&keys)).await?;
        let is_so = |o: &findings::OpenFinding, c: &Conflict| c.key == o.key && c.kind == o.kind;
        for healed in open.iter().filter(|o| !found.items.iter().any(|c| is_so(o, c))) {
            let (kind, key) = (healed.kind.as_str(), healed.key.clone());
            findings::close(tx, job, &[kind], FindingEnd::Healed, Some(run.id), &[key]).await?;
        }
    }
}

/// The findings that a window of payments makes.
pub(super) fn news(sorted: &Unpurchased) -> Vec<New<'_>> {
    let missing = sorted.missing.iter().map(|m| New::missing(FindingKind::Missing, m));
    missing.chain(sorted.gone.iter().map(|m| New::missing(FindingKind::Gone, m))).collect()
}

fn sample(news: &[New<'_>], room: usize) -> Option<String> {
    let one = |n: &New<'_>| json!({"payment": n.key, "kind": n.kind, "paid_at": n.at});
    let items: Vec<_> = news.iter().take(room).map(one).collect();
    (!items.is_empty()).then(|| serde_json::Value::from(items).to_string())
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
