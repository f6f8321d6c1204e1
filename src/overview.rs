//! How everything stands: what the databases know, joined with what Kafka says. `makegood status`, the HTTP
//! side and the metrics all show this one picture, so that they cannot disagree.

mod connections;
mod evaluate;
mod history;
mod json;
mod look;
mod outbox;
pub mod readiness;
mod snapshot;
mod start;

use jiff::{SignedDuration, Timestamp};

use crate::store::gaps::Gap;
use crate::store::ignored_types::IgnoredType;
use crate::store::report::{JobStatus, PositionStatus, Suspects, Worker};
use rules::health::duty::Late;
use rules::health::{self, Health, Verdict};
use rules::outcome::Counter;
use rules::problem::Problem;

pub use connections::Sources;
pub use evaluate::{age, made_anew};
pub use history::{History, Sample};
pub use look::TopicSnapshot;
pub use outbox::{Outbox, relay_name};
pub use snapshot::{Refresher, Snapshot, loop_name};
pub use start::start;

/// Everything that `status` shows.
#[derive(Clone, Debug)]
pub struct Overview {
    /// When the parts that come from the database with the purchases were read, by its clock.
    pub now: Timestamp,
    /// How far this machine's clock is ahead of that one, in seconds.
    pub clock_ahead: f64,
    /// The database with the purchases, as host, port and name.
    pub database: String,
    /// Why that database said nothing just now. What is shown of it is then older, as `now` says.
    pub trouble: Option<Problem>,
    /// The brokers that were asked.
    pub brokers: String,
    /// The routes: those configured here, and those that a living daemon runs.
    pub routes: Vec<RouteOverview>,
    /// The reconciliation jobs.
    pub jobs: Vec<JobStatus>,
    /// The outbox, unless it is turned off here.
    pub outbox: Option<Outbox>,
}

/// One route.
#[derive(Clone, Debug)]
pub struct RouteOverview {
    /// Its name.
    pub name: String,
    /// The topic it reads.
    pub topic: String,
    /// The consumer group it reads in.
    pub group: String,
    /// The verdict.
    pub health: Health,
    /// What its records came to, by the column's name.
    pub counts: Vec<(Counter, i64)>,
    /// Open quarantine: reason and records.
    pub quarantine: Vec<(String, i64)>,
    /// When the newest record in it was put there.
    pub quarantined_at: Option<Timestamp>,
    /// The types of records it has ignored, and how many of each.
    pub ignored: Vec<IgnoredType>,
    /// Those of them that are not known to be of no interest: the most frequent, and the records of all of them.
    pub unknown_type: Option<(String, i64)>,
    /// Refused records that wait for a verdict.
    pub suspects: Option<Suspects>,
    /// Why its events are believed without a look at their payments, if they are.
    pub believes: Option<String>,
    /// Offsets that were never read and that no sweep has covered yet.
    pub gaps: Vec<Gap>,
    /// Payments without a purchase, and when the oldest became paid.
    pub unpurchased: (i64, Option<Timestamp>),
    /// When they were last counted; `None` if one of its jobs never did, or it has none.
    pub counted_at: Option<Timestamp>,
    /// Why nobody covers what was never read, if nobody does.
    pub uncovered: Option<String>,
    /// What its reconciliation jobs have not done in time.
    pub late: Option<Late>,
    /// What is wrong with the words in the payments' status.
    pub statuses: Option<String>,
    /// Purchases that contradict their payments.
    pub mismatches: i64,
    /// Why the last run of one of its jobs failed, if it did.
    pub failed: Option<String>,
    /// Its partitions that have a position.
    pub partitions: Vec<PositionStatus>,
    /// Its daemons.
    pub workers: Vec<Worker>,
    /// What Kafka said, or why it said nothing.
    pub look: Result<TopicSnapshot, Problem>,
}

impl Overview {
    /// Whether nobody needs to do anything.
    pub fn is_fine(&self) -> bool {
        let routes = self.routes.iter().map(|route| &route.health);
        let outbox = self.outbox.iter().map(|outbox| &outbox.health);
        routes.chain(outbox).all(|health| health.verdict.is_fine())
    }

    /// Why Kafka said nothing of a route whose topic no daemon has seen lately either.
    pub fn unseen(&self) -> Option<&Problem> {
        let unseen = |route: &&RouteOverview| evaluate::kafka(route, self.now).is_unseen();
        self.routes.iter().filter(unseen).find_map(|route| route.look.as_ref().err())
    }

    /// Whether the database with the purchases has never said anything here.
    pub fn is_blank(&self) -> bool {
        let is_empty =
            |route: &RouteOverview| route.partitions.is_empty() && route.workers.is_empty();
        self.trouble.is_some() && self.jobs.is_empty() && self.routes.iter().all(is_empty)
    }

    /// The worst verdict of all routes and the outbox; `None` without any.
    pub fn worst(&self) -> Option<Verdict> {
        let routes = self.routes.iter().map(|route| route.health.verdict);
        routes.chain(self.outbox.iter().map(|outbox| outbox.health.verdict)).max()
    }

    /// What the database's clock shows now, as far as can be told without asking it.
    pub fn present(&self) -> Timestamp {
        let ahead = SignedDuration::try_from_secs_f64(self.clock_ahead).unwrap_or_default();
        Timestamp::now().saturating_sub(ahead).unwrap_or(self.now).max(self.now)
    }

    /// The verdict in one sentence: the worst of all routes and the outbox.
    pub fn headline(&self) -> String {
        let routes: Vec<(&str, &Health)> =
            self.routes.iter().map(|r| (r.name.as_str(), &r.health)).collect();
        health::headline(&routes, self.outbox.as_ref().map(|outbox| &outbox.health))
    }
}
