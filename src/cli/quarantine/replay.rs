//! Applies records once more: first a rehearsal, then the deed, which a daemon does.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::select::CaseSelection;
use super::sheet::{self, PlanRow};
use super::watch;
use crate::cli::print::Output;
use crate::cli::progress;
use crate::cli::session::Session;
use crate::cli::wait;
use crate::config;
use crate::ingest::Route;
use crate::replay;
use crate::store::inbox::Replay;
use crate::store::report::quarantine::Case;
use crate::store::report::{self, decisions};
use rules::ids::{CaseId, DecisionId};
use rules::problem::{Code, Problem};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --execute each record is rehearsed with the mapping and the settings of
this configuration, rolled back, and nothing changes. With it the request is
written down, as `SELECT makegood.replay(ID)` does; a running daemon carries it
out with its own mapping (send it SIGHUP after a change), and one that is down
finds it when it starts. The payment decides, not the event: what has its
purchase by now gets no second one. A record that was discarded can be taken
back by its --id. Exits with 1 if a record could not be applied.

Examples:
  makegood quarantine replay --id 42,43
  makegood quarantine replay --reason not_json --since 24h --execute \\
    --why 'producer mended'")]
pub struct Args {
    #[command(flatten)]
    which: CaseSelection,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// How long to wait for a running daemon to do it; 0s does not wait
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = config::duration)]
    timeout: Duration,
    #[command(flatten)]
    output: Output,
}

pub async fn run(session: &Session, args: &Args) -> Result<ExitCode, Problem> {
    let cases = args.which.find(session, true).await?;
    if cases.is_empty() {
        sheet::print(&[], args.output.output)?;
        say!("no such record waits in quarantine");
        return Ok(ExitCode::SUCCESS);
    }
    if args.execute {
        execute(session, args, &cases).await
    } else {
        plan(session, args, &cases).await
    }
}

/// Shows what would come of it.
async fn plan(session: &Session, args: &Args, cases: &[Case]) -> Result<ExitCode, Problem> {
    let mut lines: Vec<PlanRow<'_>> = Vec::with_capacity(cases.len());
    let mut routes: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        routes.entry(&case.route).or_default().push(case);
    }
    for (route, cases) in routes {
        lines.extend(rehearse(session, route, &cases).await?);
    }
    lines.sort_by_key(|line| line.case.id);
    sheet::print(&lines, args.output.output)?;
    say!("{}; nothing was changed, --execute has a daemon do it", sheet::in_words(&lines));
    Ok(ExitCode::SUCCESS)
}

async fn rehearse<'a>(
    session: &Session,
    route: &str,
    cases: &[&'a Case],
) -> Result<Vec<PlanRow<'a>>, Problem> {
    let settings = session.route(Some(route))?;
    let (mapping, source) = session.mapping(settings).await?;
    let mapping = Arc::new(mapping);
    let known = report::route_key(&session.store, route).await.map_err(super::unreadable)?;
    let Some((id, _)) = known else {
        return Err(Problem::new(Code::NotFound, format!("no daemon ever ran the route {route}")));
    };
    let route = Route::unwatched(id, settings.clone());
    let with = Replay {
        route: id,
        rules: &route.rules,
        mapping: &mapping,
        source: source.as_ref(),
        now: Timestamp::now(),
    };
    let ids: Vec<CaseId> = cases.iter().map(|case| case.id).collect();
    progress::step(format!("rehearsing {} records", ids.len()));
    let would = replay::rehearse(&session.store, &with, &ids).await.map_err(|fault| {
        let Problem { reason, advice, .. } = fault.diagnosis();
        Problem::new(Code::Postgres, format!("cannot rehearse the replay: {reason}")).advice(advice)
    })?;
    let would: BTreeMap<_, _> = would.into_iter().map(|one| (one.id, one)).collect();
    let line = |case: &&'a Case| {
        let one = would.get(&case.id)?;
        let (outcome, detail) = (Some(one.outcome.as_str().to_owned()), one.detail.clone());
        Some(PlanRow { case, state: "rehearsed".to_owned(), outcome, detail })
    };
    Ok(cases.iter().filter_map(line).collect())
}

/// Asks for it, and waits for the daemon.
async fn execute<'a>(
    session: &Session,
    args: &Args,
    cases: &'a [Case],
) -> Result<ExitCode, Problem> {
    let ids: Vec<CaseId> = cases.iter().map(|case| case.id).collect();
    let asked = decisions::replay(&session.store, &ids, args.why.as_deref()).await;
    let asked = asked.map_err(|fault| fault.problem("cannot ask for the replay"))?;
    let noted = asked.iter().filter(|(_, decision)| decision.is_none()).count();
    if noted > 0 {
        return Err(super::noted(noted));
    }
    let asked: BTreeMap<CaseId, DecisionId> =
        asked.into_iter().filter_map(|(id, decision)| Some((id, decision?))).collect();
    let watched = async {
        let is_waited_for = watch::announce(session, cases).await? && !args.timeout.is_zero();
        let timeout = if is_waited_for { args.timeout } else { Duration::ZERO };
        Ok((is_waited_for, watch::watch(session, &asked, timeout).await?))
    };
    let (is_waited_for, ended) = wait::until_ctrl_c(
        watched,
        "what was asked for is replayed all the same",
        "the view makegood.quarantine_decisions follows it",
    )
    .await?;
    let ended: BTreeMap<_, _> = ended.into_iter().map(|d| (d.decision, d)).collect();
    let line = |case: &'a Case| {
        let found = ended.get(asked.get(&case.id)?)?;
        let detail = found.detail.clone().or_else(|| found.held.clone());
        Some(PlanRow { case, state: found.state.clone(), outcome: found.outcome.clone(), detail })
    };
    let lines: Vec<PlanRow<'_>> = cases.iter().filter_map(line).collect();
    sheet::print(&lines, args.output.output)?;
    say!("{}", sheet::in_words(&lines));
    let waiting = lines.iter().filter(|line| line.state != "done").count();
    if is_waited_for && waiting > 0 {
        let held = ended.values().find_map(|d| d.held.clone());
        let cause = format!("{waiting} of {} replays were not done in time", lines.len());
        return Err(Problem::new(Code::TimedOut, cause).advice(format!(
            "they stay asked for, and are done as soon as that is possible{}",
            held.map(|why| format!("; held: {why}")).unwrap_or_default()
        )));
    }
    if lines.iter().any(PlanRow::failed) {
        say!("those stay in quarantine with their newest reason: makegood quarantine list");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
