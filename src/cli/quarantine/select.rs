//! Which records a command is about.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::session::Session;
use crate::config;
use crate::store::report::quarantine::{self, Case, CaseFilter};
use rules::ids::CaseId;
use rules::problem::{Code, Problem};

/// Options that `list`, `replay` and `discard` share.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// These records, by the numbers that `quarantine list` shows, separated by commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<CaseId>,
    /// Only records of this route
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Only records put away for this reason
    #[arg(long)]
    reason: Option<String>,
    /// Only records put away since then, such as 30m or 7d
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    since: Option<Duration>,
    /// Only records put away longer ago than that
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    until: Option<Duration>,
}

impl Selection {
    /// As the store takes it.
    pub fn filter(&self, limit: Option<u32>, resolved: bool) -> CaseFilter {
        CaseFilter {
            route: self.route.clone(),
            reason: self.reason.clone(),
            since: self.since,
            until: self.until,
            ids: (!self.id.is_empty()).then(|| self.id.clone()),
            limit: limit.map_or(i64::MAX, i64::from),
            resolved,
        }
    }

    fn is_empty(&self) -> bool {
        self.id.is_empty()
            && self.route.is_none()
            && self.reason.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// The options of a decision on many records.
#[derive(Debug, clap::Args)]
pub struct CaseSelection {
    #[command(flatten)]
    pub selection: Selection,
    /// At most so many, the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Everything that waits in quarantine
    #[arg(long)]
    all: bool,
}

impl CaseSelection {
    /// The records, the oldest first. `taken_back` also finds those that were named and dealt with.
    pub async fn find(&self, session: &Session, taken_back: bool) -> Result<Vec<Case>, Problem> {
        if self.selection.is_empty() && self.limit.is_none() && !self.all {
            return Err(Problem::new(Code::Usage, "which records?")
                .advice("name some with --id, narrow with --route, --reason, --since or --until, or say --all"));
        }
        let wanted = &self.selection.id;
        let filter = self.selection.filter(self.limit, taken_back && !wanted.is_empty());
        let mut cases =
            quarantine::list(&session.store, &filter).await.map_err(super::unreadable)?;
        cases.reverse();
        let found: BTreeSet<CaseId> = cases.iter().map(|case| case.id).collect();
        match wanted.iter().find(|id| !found.contains(id)) {
            Some(id) if self.limit.is_none() => Err(Problem::new(
                Code::NotFound,
                format!("no such record {id} is in quarantine"),
            )
            .advice(
                "`makegood quarantine list --all` shows which there are, also those dealt with",
            )),
            _ => Ok(cases),
        }
    }
}
