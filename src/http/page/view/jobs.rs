//! Reconciliation: how far the run at hand is, and what is left for people.

use jiff::Timestamp;

use super::MomentView;
use super::words::{length, number};
use crate::store::report::{JobStatus, Running};
use rules::ids::RunId;
use rules::states::Phase;

/// One job.
pub struct JobView<'a> {
    pub name: &'a str,
    pub looked: Option<MomentView>,
    pub succeeded: Option<MomentView>,
    pub took: Option<String>,
    pub notice: Option<&'a str>,
    pub held: i64,
    pub findings: Vec<(&'a str, String)>,
    pub run: Option<RunView<'a>>,
}

/// The run at hand.
pub struct RunView<'a> {
    pub number: RunId,
    pub phase: &'a str,
    pub compared: String,
    pub missing: String,
    pub made_good: String,
    /// How much is done of what can be told, in percent.
    pub percent: Option<u8>,
    pub waits: Option<&'a str>,
}

impl<'a> JobView<'a> {
    pub(super) fn new(job: &'a JobStatus, now: Timestamp) -> JobView<'a> {
        JobView {
            name: &job.name,
            looked: job.looked_at.map(|at| MomentView::new(at, now)),
            succeeded: job.succeeded_at.map(|at| MomentView::new(at, now)),
            took: job.took.map(length),
            notice: job.notice.as_deref(),
            held: job.held_runs,
            findings: job.findings.iter().map(|(kind, n)| (kind.as_str(), number(*n))).collect(),
            run: job.run.as_ref().map(|run| RunView {
                number: run.run,
                phase: run.phase.as_str(),
                compared: number(run.compared),
                missing: number(run.missing),
                made_good: number(run.made_good),
                percent: percent(run),
                waits: run.held.as_deref(),
            }),
        }
    }
}

/// While it compares, how far in time it has come; while it makes good, how many of the missing it has made.
fn percent(run: &Running) -> Option<u8> {
    let (done, of) = match run.phase {
        Phase::Compare => {
            let (since, until, place) = (run.since?, run.until?, run.place_at?);
            (place.duration_since(since).as_secs(), until.duration_since(since).as_secs())
        }
        _ => (run.made_good, run.missing),
    };
    u8::try_from(done.max(0).saturating_mul(100).checked_div(of)?.min(100)).ok()
}
