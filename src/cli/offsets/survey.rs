//! What is known of a route's partitions, and who reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::cli::session::Session;
use crate::config;
use crate::ingest::Route;
use crate::ingest::partition_state::{self, PartitionsSnapshot, Surveyed};
use crate::kafka::probe::Probe;
use crate::stop::blocking;
use crate::store::report::{self, Worker};
use rules::checkup::group::Group;
use rules::health;
use rules::problem::{Code, Problem};

/// Everything about one route.
pub(super) struct RouteSurvey {
    pub route: Arc<Route>,
    /// Whether a daemon has ever registered the route; its key is 0 otherwise.
    pub registered: bool,
    pub probe: Arc<Probe>,
    pub look: PartitionsSnapshot,
    pub partitions: BTreeMap<i32, Surveyed>,
    pub owners: Owners,
}

/// Who reads the route's partitions.
pub(super) struct Owners {
    group: Group,
    /// makegood's own daemons, seen within thirty seconds, and how long ago.
    workers: Vec<(Worker, String)>,
}

/// Looks at Kafka and PostgreSQL.
pub(super) async fn survey(
    session: &Session,
    inbox: &config::Inbox,
) -> Result<RouteSurvey, Problem> {
    let key = report::route_key(&session.store, &inbox.name)
        .await
        .map_err(|f| f.problem("cannot read the route"))?;
    let route = Route::unwatched(key.as_ref().map(|key| key.0).unwrap_or_default(), inbox.clone());
    let route = Arc::new(route.on(&session.config.kafka));
    let probe = Arc::new(Probe::new(&session.config.kafka, &inbox.topic, &inbox.group)?);
    let asked = probe.clone();
    let (partitions, group) = blocking(move || Ok((asked.partitions()?, asked.group()?))).await?;
    if partitions.is_empty() {
        let cause = format!("Kafka has no topic {}", inbox.topic);
        return Err(Problem::new(Code::NotFound, cause)
            .advice("create it with kafka-topics --create, or correct \"topic\""));
    }
    let (look, partitions) =
        partition_state::survey(&route, &session.store, &probe, &partitions).await?;
    let owners = Owners { group, workers: workers(session, &inbox.name).await? };
    Ok(RouteSurvey { route, registered: key.is_some(), probe, look, partitions, owners })
}

async fn workers(session: &Session, route: &str) -> Result<Vec<(Worker, String)>, Problem> {
    let report =
        report::read(&session.store).await.map_err(|f| f.problem("cannot read the daemons"))?;
    let alive = report.workers.into_iter().filter(|w| w.alive && w.route == route);
    let seen = |w: &Worker| {
        let ago = report.now.duration_since(w.seen_at);
        health::age(ago.try_into().unwrap_or_default())
    };
    Ok(alive.map(|w| (w.clone(), seen(&w))).collect())
}

impl RouteSurvey {
    /// The topic's id, by which PostgreSQL keeps positions.
    pub fn topic_id(&self) -> Uuid {
        self.look.log.topic_id
    }
}

impl Owners {
    /// Who reads a partition, as far as anybody says.
    pub fn of(&self, partition: i32) -> Option<String> {
        let ours = self.workers.iter().find(|(w, _)| w.partitions.contains(&partition));
        let theirs = self.group.members.iter().find(|m| m.partitions.contains(&partition));
        ours.map(|(w, _)| format!("makegood on {}, pid {}", w.host, w.pid))
            .or_else(|| theirs.map(|m| format!("{} at {}", m.client_id, address(&m.host))))
    }

    /// Why positions cannot be moved now, and what to do, if there is anybody.
    pub fn hinder(&self, group: &str) -> Option<Problem> {
        let ours = self.workers.iter().map(|(w, seen)| {
            let reads = numbers(&w.partitions);
            format!("makegood on {}, pid {} ({reads}, seen {seen} ago)", w.host, w.pid)
        });
        let others = self.group.members.iter().map(|m| {
            let reads = numbers(&m.partitions);
            format!("member {} at {} ({reads})", m.client_id, address(&m.host))
        });
        // A daemon is a member too; one that still joins, or whose database is another, only that.
        let all: Vec<String> = ours.chain(others).collect();
        let is_moving = !["", "Empty", "Dead"].contains(&self.group.state.as_str());
        if all.is_empty() && !is_moving {
            return None;
        }
        let who = match all.is_empty() {
            true => format!("Kafka calls it {}", self.group.state),
            false => all.join(", "),
        };
        Some(Problem::new(Code::Owned, format!("group {group} is at work: {who}")).advice(
            "stop every worker of the group first; one that was killed is believed to live for up to 30 s\n\
             and its session in Kafka for session.timeout.ms",
        ))
    }
}

fn numbers(partitions: &[i32]) -> String {
    match partitions {
        [] => "no partition".to_owned(),
        [one] => format!("partition {one}"),
        many => {
            let list: Vec<String> = many.iter().map(ToString::to_string).collect();
            format!("partitions {}", list.join(","))
        }
    }
}

/// A host as Kafka has it, without Java's slash.
fn address(host: &str) -> &str {
    host.trim_start_matches('/')
}
