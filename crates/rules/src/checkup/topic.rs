//! What a topic's settings mean for the promise.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Check;

/// Below this an outage over a long weekend loses events.
const LONGEST_OUTAGE: Duration = Duration::from_hours(4 * 24);

/// A topic, as the brokers describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// How many partitions it has; none: it does not exist.
    pub partitions: usize,
    /// How many brokers have the partition that the fewest have.
    pub replicas: usize,
    /// How many of them are in sync, where the fewest are.
    pub in_sync: usize,
    /// Its settings by Kafka's names; empty if they may not be read.
    pub settings: BTreeMap<String, String>,
}

/// What a route wants of its topic.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// How long inbox rows are to be kept.
    pub inbox_retention: Duration,
    /// The largest record applied, in bytes.
    pub max_record: usize,
}

/// Judges a topic that exists.
pub fn checks(topic: &Topic, wants: Wants) -> Vec<Check> {
    let mut checks = vec![replication(topic)];
    if topic.settings.is_empty() {
        checks.push(Check::warn(
            "kafka.settings",
            "the topic's settings cannot be read, so retention and sizes are not checked",
            "grant this user DescribeConfigs on the topic",
        ));
        return checks;
    }
    checks.extend([retention(topic), inbox(topic, wants), cleanup(topic), size(topic, wants)]);
    checks
}

fn number(topic: &Topic, name: &str) -> Option<i64> {
    topic.settings.get(name)?.parse().ok()
}

fn replication(topic: &Topic) -> Check {
    let name = "kafka.replication";
    let Topic { replicas, in_sync, .. } = topic;
    let least = number(topic, "min.insync.replicas").unwrap_or(1);
    let plural = if *replicas == 1 { "" } else { "s" };
    let says =
        format!("{replicas} replica{plural}, {in_sync} in sync, min.insync.replicas {least}");
    if i64::try_from(*in_sync).is_ok_and(|in_sync| in_sync < least) {
        let fix = "bring the missing brokers back: until then the topic takes no events";
        return Check::fail(name, says, fix);
    }
    if in_sync < replicas {
        return Check::warn(name, says, "bring the missing brokers back");
    }
    if *replicas < 2 || least < 2 {
        return Check::warn(
            name,
            format!("{says}: one broker's disk has all there is"),
            "in production: replication factor 3, min.insync.replicas 2; until then reconciliation is what \
             makes lost events good",
        );
    }
    Check::pass(name, says)
}

/// How long the topic keeps an event; `None` for ever.
fn kept(topic: &Topic) -> Option<Duration> {
    let millis = number(topic, "retention.ms").unwrap_or(-1);
    u64::try_from(millis).ok().map(Duration::from_millis)
}

fn retention(topic: &Topic) -> Check {
    let name = "kafka.retention";
    if let Some(bytes) = number(topic, "retention.bytes").filter(|bytes| *bytes >= 0) {
        return Check::warn(
            name,
            format!("retention.bytes is {bytes}: a burst may delete events that nobody has read"),
            "remove it and keep events by time: kafka-configs --alter --delete-config retention.bytes",
        );
    }
    match kept(topic) {
        None => Check::pass(name, "the topic keeps events for ever"),
        Some(kept) if kept < LONGEST_OUTAGE => Check::warn(
            name,
            format!(
                "the topic keeps events for {}; an outage that lasts longer loses them",
                age(kept)
            ),
            "keep them longer than the longest outage, a week at least: \
             kafka-configs --alter --add-config retention.ms=604800000",
        ),
        Some(kept) => Check::pass(name, format!("the topic keeps events for {}", age(kept))),
    }
}

/// An event that can come again must be known, so no inbox row is removed while Kafka has its record.
fn inbox(topic: &Topic, wants: Wants) -> Check {
    let name = "retention.inbox";
    let ours = age(wants.inbox_retention);
    let shorter = "keep events for less than retention.inbox: kafka-configs --alter --add-config retention.ms=604800000";
    match kept(topic) {
        Some(kept) if kept < wants.inbox_retention => {
            Check::pass(name, format!("inbox rows are kept for {ours}, events for {}", age(kept)))
        }
        Some(kept) => Check::fail(
            name,
            format!(
                "the topic keeps events for {}, and retention.inbox is {ours}: rows stay until Kafka has removed their \
                 records",
                age(kept)
            ),
            format!("set retention.inbox to more than {}; or {shorter}", age(kept)),
        ),
        None => Check::warn(
            name,
            format!(
                "the topic keeps events for ever, so no inbox row is ever removed, whatever retention.inbox ({ours}) \
                 says, and the inbox grows"
            ),
            shorter,
        ),
    }
}

fn cleanup(topic: &Topic) -> Check {
    let name = "kafka.cleanup";
    let policy = topic.settings.get("cleanup.policy").map_or("delete", String::as_str);
    if policy.split(',').any(|one| one.trim() == "compact") {
        return Check::warn(
            name,
            format!(
                "cleanup.policy is {policy}: of several events with one key only the last stays"
            ),
            "use cleanup.policy=delete; compaction is safe only if each event's key is its payment",
        );
    }
    Check::pass(name, format!("cleanup.policy is {policy}"))
}

/// What Kafka adds to a record that is alone in its batch, at least: its limit is on the batch.
const BATCH_HEADER: usize = 61;

fn size(topic: &Topic, wants: Wants) -> Check {
    let name = "kafka.message_size";
    let limit = wants.max_record;
    match number(topic, "max.message.bytes") {
        Some(bytes)
            if usize::try_from(bytes)
                .is_ok_and(|bytes| bytes.saturating_sub(BATCH_HEADER) > limit) =>
        {
            Check::warn(
                name,
                format!(
                    "the topic takes messages of {bytes} bytes; larger ones than {limit} go to quarantine"
                ),
                "raise max_record of the route, or lower max.message.bytes of the topic",
            )
        }
        _ => Check::pass(
            name,
            format!(
                "a record of the largest batch that the topic takes, uncompressed, fits into max_record ({limit} bytes)"
            ),
        ),
    }
}

/// A time in its largest whole unit.
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    for (unit, length) in [("day", 86_400), ("hour", 3600), ("minute", 60)] {
        if seconds >= length && seconds.is_multiple_of(length) {
            let count = seconds / length;
            return format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
        }
    }
    format!("{seconds} seconds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::Level;

    const WANTS: Wants =
        Wants { inbox_retention: Duration::from_hours(30 * 24), max_record: 1_048_576 };

    fn topic(settings: &[(&str, &str)]) -> Topic {
        let good = [
            ("retention.ms", "604800000"),
            ("retention.bytes", "-1"),
            ("cleanup.policy", "delete"),
            ("max.message.bytes", "1048576"),
            ("min.insync.replicas", "2"),
        ];
        let all = good.iter().chain(settings);
        let settings = all.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Topic { partitions: 3, replicas: 3, in_sync: 3, settings }
    }

    fn found(topic: &Topic) -> Vec<(&'static str, Level)> {
        let bad = |check: &Check| check.level != Level::Pass;
        checks(topic, WANTS).into_iter().filter(bad).map(|c| (c.name, c.level)).collect()
    }

    #[test]
    fn a_good_topic_is_good() {
        assert_eq!(found(&topic(&[])), []);
    }

    #[test]
    fn an_inbox_that_does_not_outlast_its_topic_is_told_with_both_figures() {
        for (kept, level, says) in [
            ("604800000", Level::Pass, "kept for 30 days, events for 7 days"),
            ("2592000000", Level::Fail, "keeps events for 30 days, and retention.inbox is 30 days"),
            ("-1", Level::Warn, "for ever, so no inbox row is ever removed"),
        ] {
            let checks = checks(&topic(&[("retention.ms", kept)]), WANTS);
            let inbox = checks.iter().find(|check| check.name == "retention.inbox").unwrap();
            assert!(inbox.says.contains(says), "{kept}: {}", inbox.says);
            assert_eq!(inbox.level, level, "{kept}");
        }
    }

    #[test]
    fn each_setting_that_may_lose_events_is_found() {
        for (setting, value, name) in [
            ("retention.ms", "3600000", "kafka.retention"),
            ("retention.bytes", "1000", "kafka.retention"),
            ("cleanup.policy", "compact,delete", "kafka.cleanup"),
            ("max.message.bytes", "20000000", "kafka.message_size"),
            ("min.insync.replicas", "1", "kafka.replication"),
        ] {
            assert_eq!(
                found(&topic(&[(setting, value)])),
                [(name, Level::Warn)],
                "{setting} {value}"
            );
        }
    }

    /// 1 MiB and a little is Kafka's default; nobody need change anything for that.
    #[test]
    fn a_topic_with_kafkas_own_limit_takes_no_record_that_is_too_large() {
        assert_eq!(found(&topic(&[("max.message.bytes", "1048588")])), []);
        let more = topic(&[("max.message.bytes", "1048638")]);
        assert_eq!(found(&more), [("kafka.message_size", Level::Warn)]);
    }

    #[test]
    fn too_few_replicas_in_sync_is_a_failure_and_unread_settings_are_told() {
        let few = Topic { in_sync: 1, ..topic(&[]) };
        assert_eq!(found(&few), [("kafka.replication", Level::Fail)]);
        let lagging = Topic { in_sync: 2, ..topic(&[]) };
        assert_eq!(found(&lagging), [("kafka.replication", Level::Warn)]);
        let hidden = Topic { settings: BTreeMap::new(), ..topic(&[]) };
        assert!(found(&hidden).contains(&("kafka.settings", Level::Warn)));
    }
}
