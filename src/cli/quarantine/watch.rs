//! Waiting for replays, which a daemon does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::unreadable;
use crate::cli::print;
use crate::cli::session::Session;
use crate::overview::start;
use crate::store::report::decisions::{self, Decision};
use crate::store::report::{self, quarantine::Case};
use rules::ids::{CaseId, DecisionId};
use rules::problem::Problem;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is told where nobody looks at a screen.
const TELL: Duration = Duration::from_secs(10);

/// Says who carries it out; returns whether every route has a daemon.
pub async fn announce(session: &Session, cases: &[Case]) -> Result<bool, Problem> {
    let status = report::read(&session.store).await.map_err(unreadable)?;
    let routes: BTreeSet<&str> = cases.iter().map(|case| case.route.as_str()).collect();
    let mut all = true;
    for route in routes {
        let mut workers = status.workers.iter().filter(|w| w.alive && w.route == route);
        match workers.next() {
            Some(w) => {
                let others = if workers.next().is_some() { " or another one" } else { "" };
                say!(
                    "asked for; the daemon on {} (pid {}){others} replays those of route {route}",
                    w.host,
                    w.pid
                );
            }
            None => {
                all = false;
                say!(
                    "asked for; no daemon runs the route {route}, they are replayed as soon as one does ({})",
                    start()
                );
            }
        }
    }
    Ok(all)
}

/// Waits until the decisions are done, at most `timeout`; the requests stay in any case.
pub async fn watch(
    session: &Session,
    decisions: &BTreeMap<CaseId, DecisionId>,
    timeout: Duration,
) -> Result<Vec<Decision>, Problem> {
    let numbers: Vec<DecisionId> = decisions.values().copied().collect();
    let screen = std::io::stderr().is_terminal();
    let (began, mut told) = (Instant::now(), Instant::now());
    loop {
        let found = decisions::show(&session.store, &numbers).await.map_err(unreadable)?;
        let done = found.iter().filter(|d| d.state == "done").count();
        let is_over = done == numbers.len() || began.elapsed() >= timeout;
        let line = line(&found, done);
        if screen && !timeout.is_zero() {
            print::progress(&line, is_over);
        } else if !is_over && told.elapsed() >= TELL {
            say!("{line}");
            told = Instant::now();
        }
        if is_over {
            return Ok(found);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn line(found: &[Decision], done: usize) -> String {
    let held = found.iter().find_map(|d| d.held.as_ref());
    let why = held.map(|why| format!("; waits: {why}")).unwrap_or_default();
    format!("{done} of {} replayed{why}", found.len())
}
