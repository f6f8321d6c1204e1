//! Waiting for a run: a line that moves on a terminal, a line every ten seconds otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::unreadable;
use crate::cli::print;
use crate::cli::session::Session;
use crate::store::report::reconcile::{self as report, RunSummary};
use rules::health;
use rules::ids::RunId;
use rules::problem::Problem;
use rules::states::{Phase, RunState};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is told where nobody looks at a screen.
const TELL: Duration = Duration::from_secs(10);
const BAR: usize = 24;

/// Waits until a run is done, failed or held.
pub async fn watch(session: &Session, run: RunId) -> Result<RunSummary, Problem> {
    let screen = std::io::stderr().is_terminal();
    let (began, mut told) = (Instant::now(), None::<Instant>);
    let mut first = None;
    loop {
        let found = report::run(&session.store, run).await.map_err(unreadable)?;
        let now = report::now(&session.store).await.map_err(unreadable)?;
        let Some(found) = found else {
            return Err(Problem::new(rules::problem::Code::NotFound, format!("run {run} is gone")));
        };
        if first.is_none() {
            first = found.place_at;
        }
        let is_over = found.state.is_over();
        let line = line(&found, first, now, began.elapsed());
        if screen {
            print::progress(&line, is_over);
        } else if is_over || told.is_none_or(|at| at.elapsed() >= TELL) {
            say!("{line}");
            told = Some(Instant::now());
        }
        if is_over {
            return Ok(found);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a run is at, how fast, and how long it may still take.
fn line(run: &RunSummary, first: Option<Timestamp>, now: Timestamp, waited: Duration) -> String {
    let what = match (run.state, run.phase, &run.held) {
        (RunState::Requested, ..) => {
            let waited = health::age(waited);
            return format!("run {}: waits for a daemon ({waited})", run.run);
        }
        (RunState::Running, _, Some(why)) => return format!("run {}: waits, {why}", run.run),
        (RunState::Running, Phase::MakeGood, _) => "making good",
        (RunState::Running, Phase::Conflicts, _) => "looking for contradictions",
        (RunState::Running, Phase::Compare, _) => "comparing",
        (state, ..) => state.as_str(),
    };
    let counts = format!(
        "{} compared, {} missing, {} made good, {} conflicts",
        run.compared, run.missing, run.made_good, run.conflicts
    );
    let bar = match share(run, first) {
        Some(share) if run.state == RunState::Running => format!("{} ", bar(share)),
        _ => String::new(),
    };
    format!("run {}: {bar}{what}: {counts}{}", run.run, pace(run, first, now))
}

/// How far the phase has come between the first payment seen and the last one wanted, by their times.
fn share(run: &RunSummary, first: Option<Timestamp>) -> Option<f64> {
    let (first, place, until) = (run.since.or(first)?, run.place_at?, run.until?);
    let whole = until.duration_since(first).as_secs_f64();
    (whole > 0.0).then(|| (place.duration_since(first).as_secs_f64() / whole).clamp(0.0, 1.0))
}

fn pace(run: &RunSummary, first: Option<Timestamp>, now: Timestamp) -> String {
    let Some(started) = run.started_at else { return String::new() };
    let end = run.finished_at.unwrap_or(now);
    let seconds = end.duration_since(started).as_secs_f64().max(0.001);
    let rate = format!(", {:.0}/s", run.compared as f64 / seconds);
    match share(run, first) {
        Some(share)
            if run.state == RunState::Running && run.phase == Phase::Compare && share > 0.01 =>
        {
            let left = Duration::from_secs_f64(seconds * (1.0 - share) / share);
            format!("{rate}, about {} left", health::age(left))
        }
        _ => rate,
    }
}

fn bar(share: f64) -> String {
    let full = (share * BAR as f64).round() as usize;
    format!("[{}{}] {:3.0}%", "#".repeat(full), ".".repeat(BAR - full.min(BAR)), share * 100.0)
}
