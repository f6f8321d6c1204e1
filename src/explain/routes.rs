//! Several routes may have rows for the same payment. What makegood noted of one says nothing of another's.

use std::collections::BTreeSet;

use crate::config::{Config, Inbox};
use crate::explain::{Life, Trace};

/// What the routes know, each thing once, in the order of time: a payment is known to every route.
pub fn traces(lives: &[(String, Life)]) -> Vec<&Trace> {
    let mut traces: Vec<&Trace> = lives.iter().flat_map(|(_, life)| &life.traces).collect();
    traces.sort_by_cached_key(|t| {
        (t.at, t.part.clone(), t.business_key.clone(), t.contents.to_string())
    });
    let exact = |t: &Trace| (t.at, t.part.clone(), t.business_key.clone(), t.contents.clone());
    traces.dedup_by(|a, b| exact(a) == exact(b));
    traces
}

/// The other routes, and their jobs.
#[derive(Clone, Debug, Default)]
pub struct Others {
    routes: Vec<Inbox>,
    jobs: BTreeSet<String>,
    own_job: Option<String>,
}

impl Others {
    /// Those beside one of the configured routes.
    pub fn than(route: &Inbox, config: &Config) -> Others {
        let routes =
            config.inbox.iter().filter(|other| other.name != route.name).cloned().collect();
        let jobs = config.reconcile.iter().filter(|job| job.inbox != route.name);
        let jobs = jobs.map(|job| job.name.clone()).collect();
        let own = config.reconcile.iter().find(|job| job.inbox == route.name);
        let own_job = own.filter(|_| config.reconcile.len() > 1).map(|job| job.name.clone());
        Others { routes, jobs, own_job }
    }

    /// The route's own job, where it must be named.
    pub(super) fn own_job(&self) -> Option<String> {
        self.own_job.clone()
    }

    /// What is not theirs.
    pub(super) fn leave(&self, route: &Inbox, traces: Vec<Trace>) -> Vec<Trace> {
        if self.routes.is_empty() {
            return traces;
        }
        let (theirs, own): (Vec<_>, Vec<_>) =
            traces.into_iter().partition(|trace| self.is_theirs(route, trace));
        // A decision names its case only.
        let case = |trace: &Trace| trace.contents["quarantineId"].as_i64();
        let cases: BTreeSet<i64> = theirs.iter().filter_map(case).collect();
        let is_own = |trace: &Trace| case(trace).is_none_or(|case| !cases.contains(&case));
        own.into_iter().filter(is_own).collect()
    }

    fn is_theirs(&self, route: &Inbox, trace: &Trace) -> bool {
        let text = |name: &str| trace.contents[name].as_str();
        match trace.part.as_str() {
            "finding" => text("job").is_some_and(|job| self.jobs.contains(job)),
            "outbox" => {
                let takes = |route: &Inbox| {
                    let kinds = route.event_type.as_deref().zip(text("type"));
                    text("topic") == Some(&route.topic)
                        && kinds.is_none_or(|(takes, is)| takes == is)
                };
                !takes(route) && self.routes.iter().any(takes)
            }
            _ => {
                text("route").is_some_and(|name| self.routes.iter().any(|other| other.name == name))
            }
        }
    }
}
