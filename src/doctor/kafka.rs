//! Kafka: the brokers, and a route's topic and group.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Check, Round, failed};
use crate::config::Config;
use crate::ingest::Route;
use crate::kafka::probe::Probe;
use crate::kafka::{connectivity, topic_config};
use crate::stop::blocking;
use rules::checkup::group::{self, Group};
use rules::checkup::server;
use rules::checkup::topic::{self, Topic, Wants};
use rules::problem::Problem;

/// How long the brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the brokers, and the addresses that they advertise, can be reached; told, and returned.
pub(super) async fn reach(config: &Config, round: &Round) -> bool {
    let (name, kafka) = ("kafka.reach", config.kafka.clone());
    let servers = kafka.bootstrap_servers.clone();
    let looking = blocking(move || connectivity::check(&kafka, PATIENCE));
    match round.wait((name, ""), &[], looking).await {
        Some(Ok(())) => {
            let says =
                format!("Kafka at {servers} answers, and so do the addresses that it advertises");
            round.tell(Check::pass(name, says));
            true
        }
        Some(Err(problem)) => {
            round.tell(failed(name, problem));
            false
        }
        None => false,
    }
}

/// What was found of a route's topic and group.
struct Found {
    topic: Topic,
    group: Result<Group, Problem>,
    newest: Option<i64>,
}

/// Checks a route's topic and group; whether the topic exists.
pub(super) async fn route(config: &Config, route: &Arc<Route>, round: &Round) -> bool {
    let of = route.settings.name.as_str();
    let Some((exists, own)) =
        round.wait(("kafka.topic", of), &[], topic_and_group(config, route)).await
    else {
        return false;
    };
    own.into_iter().for_each(|check| round.tell(check.of(of)));
    exists
}

async fn topic_and_group(config: &Config, route: &Arc<Route>) -> (bool, Vec<Check>) {
    let settings = &route.settings;
    let (kafka, topic, name) =
        (config.kafka.clone(), settings.topic.clone(), settings.group.clone());
    let found = blocking(move || {
        let probe = Probe::new(&kafka, &topic, &name)?;
        let topic = probe.topic()?;
        let newest = if topic.partitions > 0 { newest(&probe)? } else { None };
        Ok(Found { topic, group: probe.group(), newest })
    });
    let mut own = Vec::new();
    let exists = match found.await {
        Ok(Found { topic, .. }) if topic.partitions == 0 => {
            own.push(Check::fail(
                "kafka.topic",
                format!("the topic {} does not exist, or this user may not see it", settings.topic),
                format!(
                    "kafka-topics --create --topic {} --partitions 3 --replication-factor 3; or correct \"topic\", \
                     or grant Describe",
                    settings.topic
                ),
            ));
            false
        }
        Ok(mut found) => {
            let (topic, count) = (&settings.topic, found.topic.partitions);
            let plural = if count == 1 { "" } else { "s" };
            own.push(Check::pass(
                "kafka.topic",
                format!("topic {topic} has {count} partition{plural}"),
            ));
            // Without the right to read them there are none, and the rules say so.
            found.topic.settings = topic_config::settings(&config.kafka, &settings.topic, PATIENCE)
                .await
                .unwrap_or_default();
            let wants =
                Wants { inbox_retention: config.retention.inbox, max_record: settings.max_record };
            own.extend(topic::checks(&found.topic, wants));
            own.push(match found.group {
                Ok(found) => group::check(&settings.group, &found),
                Err(problem) => failed("kafka.group", problem),
            });
            own.extend(found.newest.map(clock));
            true
        }
        Err(problem) => {
            own.push(failed("kafka.topic", problem));
            false
        }
    };
    (exists, own)
}

/// The time of the newest record at the partitions' ends, in milliseconds.
fn newest(probe: &Probe) -> Result<Option<i64>, Problem> {
    let mut last = std::collections::BTreeMap::new();
    for partition in probe.partitions()? {
        let ends = probe.watermarks(partition)?;
        if ends.high > ends.low {
            last.insert(partition, ends.high - 1);
        }
    }
    let found = probe.records_at(&last)?.records;
    Ok(found.values().filter_map(|record| record.timestamp_ms).max())
}

/// Kafka tells nobody its time; but a record from the future gives a clock away.
fn clock(newest: i64) -> Check {
    let ahead = (newest - Timestamp::now().as_millisecond()) as f64 / 1000.0;
    if ahead <= 0.0 {
        return Check::pass("kafka.clock", "the newest record is not from the future");
    }
    server::clock("kafka.clock", "the newest record's", ahead, 0.0)
}
