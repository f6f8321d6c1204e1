//! Joins what the database knows with what Kafka says, and judges it.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future;
use jiff::{SignedDuration, Timestamp};

use super::look::{TopicSnapshot, look};
use super::{Overview, RouteOverview, Sources, outbox};
use crate::config::Config;
use crate::store::ignored_types::IgnoredType;
use crate::store::report::{self, Report, Worker};
use rules::health::duty::{self, Duties, Late, RunFacts};
use rules::health::{self, Facts, Health, Held, Kafka, Verdict};
use rules::outcome::Counter;
use rules::problem::{Code, Problem};
use rules::states::{FindingKind, WorkerState};

/// How far a producer's clock may be ahead of the database's and its records' times still count.
const CLOCKS: SignedDuration = SignedDuration::from_secs(60);

impl Sources {
    /// Reads the databases, looks at Kafka, and judges every route and the outbox. Takes at most three times the
    /// patience; what is away is said in its place.
    pub async fn overview(&self) -> Overview {
        let (mut overview, outbox) = tokio::join!(self.routes(), outbox::gather(self));
        overview.outbox = outbox;
        overview
    }

    async fn routes(&self) -> Overview {
        let (mut report, mut here, mut trouble) = self.report().await;
        let looking = wanted(&self.config, &report).into_iter().map(async |route| {
            let look = self.look(&route).await;
            (route.name, look)
        });
        let mut looks: HashMap<String, _> = future::join_all(looking).await.into_iter().collect();
        if trouble.is_none() && looks.values().any(Result::is_err) {
            // Waiting for Kafka took its time, in which a daemon may have seen it, or nobody.
            (report, here, trouble) = self.report().await;
        }
        let seen = wanted(&self.config, &report).into_iter().filter_map(|mut route| {
            route.look = looks.remove(&route.name)?;
            refresh(&mut route, report.now);
            route.health = match &trouble {
                Some(problem) => unreachable(problem),
                None => judge(&route, &report),
            };
            Some(route)
        });
        Overview {
            routes: seen.collect(),
            now: report.now,
            clock_ahead: here.duration_since(report.now).as_secs_f64(),
            database: self.purchases.place(),
            trouble,
            brokers: self.config.kafka.bootstrap_servers.clone(),
            jobs: report.jobs,
            outbox: None,
        }
    }

    /// What the database knows, or nothing and why, and what this machine's clock shows at that moment.
    async fn report(&self) -> (Report, Timestamp, Option<Problem>) {
        let asked = self.purchases.ask(self.patience, "the status", report::read).await;
        let here = Timestamp::now();
        match asked {
            Ok(report) => (report, here, None),
            Err(problem) => (Report::nothing(here), here, Some(problem)),
        }
    }

    async fn look(&self, route: &RouteOverview) -> Result<TopicSnapshot, Problem> {
        let next = route.partitions.iter().map(|p| (p.partition, p.next_offset)).collect();
        let of = route.partitions.first().map(|p| p.topic_id);
        look(self.eye(&route.topic, &route.group), next, of, self.patience).await
    }
}

/// The verdict where the database with the positions cannot be asked.
pub(super) fn unreachable(problem: &Problem) -> Health {
    let verdict = match problem.code {
        Code::PostgresUnreachable => Verdict::Unreachable,
        _ => Verdict::Unknown,
    };
    let sentence = health::unasked(verdict, &problem.reason, &problem.advice);
    Health::new(verdict, sentence).because(&problem.reason, &problem.advice)
}

/// The configured routes, then those that only a daemon elsewhere has.
fn wanted(config: &Config, report: &Report) -> Vec<RouteOverview> {
    let configured = config.inbox.iter().map(|r| (&r.name, &r.topic, &r.group));
    let running = (report.routes.iter())
        .filter(|r| config.inbox.iter().all(|c| c.name != r.name))
        .filter(|r| report.workers.iter().any(|w| w.alive && w.route == r.name))
        .map(|r| (&r.name, &r.topic, &r.group));
    configured
        .chain(running)
        .map(|(name, topic, group)| route(config, report, name, topic, group))
        .collect()
}

/// The jobs of a route that are configured; one that is no more has a row all the same.
fn jobs_of<'a>(
    config: &'a Config,
    report: &'a Report,
    route: &'a str,
) -> impl Iterator<Item = &'a report::JobStatus> {
    let is_configured =
        |job: &&report::JobStatus| config.reconcile.iter().any(|c| c.name == job.name);
    report.jobs.iter().filter(move |job| job.route == route).filter(is_configured)
}

/// When the route's payments without a purchase were last counted.
fn counted_at(config: &Config, report: &Report, route: &str) -> Option<Timestamp> {
    let configured = config.reconcile.iter().filter(|job| job.inbox == route);
    let looked = configured
        .map(|configured| report.jobs.iter().find(|job| job.name == configured.name)?.looked_at);
    looked.min()?
}

/// Why no job covers what the route never read. A job that is there and cannot is told by what it has not done.
fn uncovered(config: &Config, route: &str) -> Option<String> {
    let known = config.inbox.iter().any(|inbox| inbox.name == route);
    let has_job = config.reconcile.iter().any(|job| job.inbox == route);
    (known && !has_job).then(|| format!("no job does, for `reconcile` turns {route}'s off"))
}

/// What a configured job of the route has not done in time. One that has no row yet never did anything.
fn late(config: &Config, report: &Report, route: &str) -> Option<Late> {
    let alive = report.workers.iter().filter(|w| w.alive && w.route == route);
    let watched = age(report.now, alive.map(|w| w.started_at).min()?);
    let age = |at: Timestamp| age(report.now, at);
    let configured = config.reconcile.iter().filter(|job| job.inbox == route);
    let late = configured.filter_map(|configured| {
        let job = report.jobs.iter().find(|job| job.name == configured.name);
        let run = job.and_then(|job| job.run.as_ref());
        duty::late(&Duties {
            watched,
            looked: job.and_then(|job| job.looked_at).map(age),
            notice: job.and_then(|job| job.notice.as_deref()),
            run: run.map(|run| RunFacts {
                number: run.run,
                moved: run.moved_at.map_or(watched, age),
                waits: run.held.as_deref(),
            }),
            asked: job.and_then(|job| job.asked_at).map(age),
        })
    });
    late.max_by_key(|late| late.since)
}

/// Of the types that the route ignores and that nobody has said are none of its business: the most frequent one, and
/// the records of all of them.
fn unknown_type(config: &Config, report: &Report, route: &str) -> Option<(String, i64)> {
    let settings = config.inbox.iter().find(|inbox| inbox.name == route)?;
    let ours = settings.event_type.as_deref()?;
    let is_unknown = |of: &&IgnoredType| of.event_type != ours && !settings.ignores(&of.event_type);
    let unknown: Vec<&IgnoredType> =
        report.ignored.iter().filter(|of| of.route == route).filter(is_unknown).collect();
    let records = unknown.iter().map(|of| of.records).sum();
    Some((unknown.first()?.event_type.clone(), records))
}

fn mismatches(config: &Config, report: &Report, route: &str) -> i64 {
    let findings = jobs_of(config, report, route).flat_map(|job| &job.findings);
    findings.filter(|(kind, _)| kind.parse::<FindingKind>().is_err()).map(|(_, n)| n).sum()
}

fn route(config: &Config, report: &Report, name: &str, topic: &str, group: &str) -> RouteOverview {
    let known = report.routes.iter().find(|r| r.name == name);
    RouteOverview {
        name: name.to_owned(),
        topic: topic.to_owned(),
        group: group.to_owned(),
        health: Health::new(health::Verdict::Unknown, ""),
        counts: known.map(|r| r.counts.clone()).unwrap_or_default(),
        quarantine: (report.quarantine.iter())
            .filter(|(route, ..)| route == name)
            .map(|(_, reason, records, _)| (reason.clone(), *records))
            .collect(),
        quarantined_at: (report.quarantine.iter())
            .filter(|(route, ..)| route == name)
            .map(|(.., newest)| *newest)
            .max(),
        ignored: report.ignored.iter().filter(|t| t.route == name).cloned().collect(),
        unknown_type: unknown_type(config, report, name),
        suspects: report.suspects.iter().find(|s| s.route == name).cloned(),
        believes: known.and_then(|r| r.believes.clone()),
        gaps: (report.gaps.iter().filter(|open| open.route == name))
            .map(|open| open.gap.clone())
            .collect(),
        unpurchased: known.map_or((0, None), |r| (r.unpurchased, r.unpurchased_since)),
        counted_at: counted_at(config, report, name),
        uncovered: uncovered(config, name),
        late: late(config, report, name),
        mismatches: mismatches(config, report, name),
        statuses: jobs_of(config, report, name).find_map(|job| job.statuses.clone()),
        failed: jobs_of(config, report, name).find_map(|job| job.failed.clone()),
        partitions: report.positions.iter().filter(|p| p.route == name).cloned().collect(),
        workers: report.workers.iter().filter(|w| w.route == name).cloned().collect(),
        look: Ok(TopicSnapshot::default()),
    }
}

/// Puts Kafka's own words in the place of what a daemon saw, if the topic is still the same.
fn refresh(route: &mut RouteOverview, now: Timestamp) {
    if made_anew(route) {
        return;
    }
    let Ok(look) = &route.look else { return };
    for position in &mut route.partitions {
        let Some(ends) = look.ends.get(&position.partition) else { continue };
        position.log_start = Some(ends.low);
        position.log_end = Some(ends.high);
        let is_all_read = look.all_read.contains(&position.partition);
        position.lag = Some(ends.lag(position.next_offset, is_all_read));
        position.log_seen_at = Some(now);
    }
}

/// Whether the topic in Kafka is another one than that of the positions.
pub fn made_anew(route: &RouteOverview) -> bool {
    let found = route.look.as_ref().ok().and_then(|look| look.topic_id);
    let known = route.partitions.first().map(|p| p.topic_id);
    found.is_some() && known.is_some() && found != known
}

/// What a look at the route's topic gave.
pub(super) fn kafka(route: &RouteOverview, now: Timestamp) -> Kafka {
    let looked = route.partitions.iter().filter_map(|p| p.log_seen_at).min();
    match &route.look {
        Err(_) => Kafka::Unreachable(looked.map(|at| age(now, at))),
        Ok(look) if look.ends.is_empty() => Kafka::NoTopic,
        Ok(_) if made_anew(route) => Kafka::Recreated,
        Ok(_) => Kafka::Same,
    }
}

fn judge(route: &RouteOverview, report: &Report) -> Health {
    let age = |at: Timestamp| age(report.now, at);
    let alive: Vec<&Worker> = route.workers.iter().filter(|w| w.alive).collect();
    let kept = |state: WorkerState| {
        alive.iter().find(|w| w.state == state).map(|w| Held {
            age: age(w.state_since),
            reason: w.reason.as_deref().unwrap_or("no reason was given"),
            advice: w.advice.as_deref().unwrap_or_default(),
        })
    };
    let is_joining = !alive.is_empty() && alive.iter().all(|w| w.state == WorkerState::Joining);
    let partitions: Vec<health::Partition> = (route.partitions.iter())
        .map(|p| health::Partition {
            number: p.partition,
            lag: p.lag,
            waiting: (route.look.as_ref().ok())
                .and_then(|look| look.waiting_since.get(&p.partition))
                // A record from the future does not tell since when it waits.
                .filter(|at| at.duration_since(report.now) < CLOCKS)
                .map(|at| age(*at)),
            progress: p.progress_at.map(age),
        })
        .collect();
    let known = report.routes.iter().find(|r| r.name == route.name);
    health::judge(&Facts {
        topic: &route.topic,
        group: &route.group,
        alive: alive.len(),
        seen: known.and_then(|r| r.seen_at).map(age),
        held: kept(WorkerState::Held),
        stalled: kept(WorkerState::Stalled),
        joining: is_joining
            .then(|| alive.iter().map(|w| age(w.state_since)).max().unwrap_or_default()),
        kafka: kafka(route, report.now),
        partitions: &partitions,
        unread: &unread(route, &alive),
        unseen: (route.look.as_ref().ok())
            .and_then(|look| look.silent.iter().next())
            .map(|(partition, why)| (*partition, why.reason.as_str())),
        taken: route.counts.iter().filter(|c| c.0 != Counter::OtherType).map(|c| c.1).sum(),
        other_type: route.counts.iter().filter(|c| c.0 == Counter::OtherType).map(|c| c.1).sum(),
        unknown_type: route.unknown_type.as_ref().map(|(name, records)| (name.as_str(), *records)),
        quarantined: route.quarantine.iter().map(|q| q.1).sum(),
        suspects: route.suspects.as_ref().map(|s| {
            let held = Held { age: age(s.since), reason: &s.detail, advice: &s.advice };
            (s.records, held)
        }),
        gaps: (route.gaps.len(), route.gaps.iter().map(|gap| gap.to - gap.from).sum()),
        gap: (route.gaps.first()).map(|gap| (gap.partition, gap.from, gap.to, gap.reason.as_str())),
        uncovered: route.uncovered.as_deref(),
        unpurchased: known.map_or((0, None), |r| (r.unpurchased, r.unpurchased_since.map(age))),
        late: route.late.as_ref().map(|late| late.what.as_str()),
        statuses: route.statuses.as_deref(),
        failed: route.failed.as_deref(),
        mismatches: route.mismatches,
        start: super::start(),
    })
}

/// Kafka's partitions that no living daemon says it reads.
fn unread(route: &RouteOverview, alive: &[&Worker]) -> Vec<i32> {
    let Ok(look) = &route.look else { return Vec::new() };
    let is_read = |partition: &i32| alive.iter().any(|w| w.partitions.contains(partition));
    look.ends.keys().chain(look.silent.keys()).filter(|p| !is_read(p)).copied().collect()
}

/// How long ago; a time that is still to come counts as now.
pub fn age(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}
