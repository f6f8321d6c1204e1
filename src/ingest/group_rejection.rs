//! A group that does not take our member in. The client goes on asking every second or two; until it gets in, the
//! route is shown as stalled, with who is in the way. Not as held: reconciliation would hold with it, and what a
//! worker in the group leaves behind would wait too.

use std::time::{Duration, Instant};

use tracing::warn;

use super::Ingest;
use super::lane::LaneReport;
use crate::stop::blocking;
use crate::store::workers::State;
use rules::checkup::group;
use rules::diagnosis::Diagnosis;
use rules::problem::Problem;

/// A refusal that is not repeated for so long no longer is what keeps us out. The client says the same error of a
/// connection every 30 seconds only.
const LASTS: Duration = Duration::from_secs(45);

/// Why the group does not take us in, and when it last said so.
pub(super) struct Bar {
    why: Diagnosis,
    said: Instant,
}

impl Bar {
    /// How the route is shown.
    pub(super) fn state(&self) -> State {
        State::Stalled(self.why.clone())
    }
}

impl Ingest {
    /// Kafka refused our member. Looks who is in the group, and answers with [`LaneReport::Barred`].
    pub(super) fn on_refusal(&mut self, problem: Problem) {
        if !self.machine.partitions().is_empty() {
            self.on_trouble(problem, true);
            return;
        }
        let (group, probe, reports) =
            (self.route.settings.group.clone(), self.probe.clone(), self.reports.clone());
        tokio::spawn(async move {
            let seen = blocking(move || probe.group()).await;
            let way = seen.ok().and_then(|seen| group::in_the_way(&group, &seen));
            let told = match way {
                Some((who, advice)) => {
                    let cause = format!("{}; {who}", problem.reason);
                    Problem { reason: cause, ..problem }.advice(advice)
                }
                None => problem,
            };
            let _ = reports.send(LaneReport::Barred(told));
        });
    }

    /// What the look gave, unless the group has taken us in meanwhile.
    pub(super) fn on_barred(&mut self, problem: Problem) {
        if !self.machine.partitions().is_empty() {
            return;
        }
        if self.beating.is_news(&problem) {
            let (route, code, hint) =
                (&self.route.settings.name, problem.code.as_str(), &problem.advice);
            warn!(route, code, hint, "not let into the group: {}", problem.reason);
        }
        let why = problem;
        // The watchdog knows by it that no new client would help.
        self.vitals.trouble(why.clone());
        self.barred = Some(Bar { why, said: Instant::now() });
        self.show_state();
    }

    /// Forgets a refusal that Kafka no longer repeats.
    pub(super) fn forget_old_bar(&mut self) {
        if self.barred.as_ref().is_some_and(|bar| bar.said.elapsed() > LASTS) {
            self.barred = None;
            self.show_state();
        }
    }
}
