//! What the brokers say of a route's topic, asked where it matters. Whether a record without a value can be a tombstone:
//! only where the log is compacted, anywhere else it is an event that lost its value and must not be passed over in
//! silence. And whether its format can be why the client says nothing.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::config;
use crate::kafka::topic_config;
use crate::store::inbox::{Entry, Kind};
use crate::store::quarantine::Refusal;
use rules::decode_error::{Reason, Rejection};
use rules::error_policy::kafka::{self as error_policy, OLD_FORMAT, OLD_FORMAT_ADVICE};
use rules::problem::{Code, Problem};

/// How long it is believed that a topic is compacted.
const KNOWN: Duration = Duration::from_secs(60);
/// How long the brokers may take to tell, and how often they are asked while they are out of reach.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: usize = 3;

/// The topic, and when it was last seen to be compacted.
#[derive(Default)]
pub struct TopicSettings {
    topic: Option<(config::Kafka, String)>,
    seen: Mutex<Option<Instant>>,
}

impl TopicSettings {
    /// Of a topic on these brokers.
    pub fn of(kafka: &config::Kafka, topic: &str) -> TopicSettings {
        TopicSettings { topic: Some((kafka.clone(), topic.to_owned())), seen: Mutex::default() }
    }

    /// Refuses the records without a value where there can be no tombstones.
    pub async fn judge(&self, entries: &mut [Entry<'_>]) {
        let has_no_value = |entry: &Entry<'_>| entry.kind == Kind::Tombstone;
        if !entries.iter().any(has_no_value) {
            return;
        }
        let Some(why) = self.why_not().await else { return };
        let Rejection { reason, detail } = Rejection::new(Reason::NoValue, why);
        for entry in entries.iter_mut().filter(|entry| has_no_value(entry)) {
            entry.kind = Kind::Undecodable(Refusal::own(reason.as_str(), detail.clone()));
        }
    }

    /// Whether the topic is known to be compacted, so that a record that was there may be gone.
    pub(super) async fn is_compacted(&self) -> bool {
        self.why_not().await.is_none()
    }

    /// Why there can be none; what nobody tells counts as that.
    async fn why_not(&self) -> Option<String> {
        let mut seen = self.seen.lock().await;
        if seen.is_some_and(|at| at.elapsed() < KNOWN) {
            return None;
        }
        let mut why = "nobody has looked whether the topic is compacted".to_owned();
        let Some((kafka, topic)) = &self.topic else { return Some(why) };
        for _ in 0..TRIES {
            match topic_config::settings(kafka, topic, PATIENCE).await {
                Ok(settings) => {
                    let policy = settings.get("cleanup.policy").map_or("", String::as_str);
                    if policy.split(',').any(|word| word.trim() == "compact") {
                        *seen = Some(Instant::now());
                        return None;
                    }
                    return Some(format!("the topic is not compacted (cleanup.policy = {policy})"));
                }
                Err(problem) => {
                    why =
                        format!("nobody tells whether the topic is compacted: {}", problem.reason);
                    if problem.code != Code::KafkaUnreachable {
                        break;
                    }
                }
            }
        }
        Some(why)
    }
}

impl TopicSettings {
    /// Why nothing is heard of a partition, where the records' format explains it: of compressed ones in an old format
    /// the client neither hands anything over nor complains.
    pub(super) async fn explain(&self, silence: Problem) -> Problem {
        let Some((kafka, topic)) = &self.topic else { return silence };
        if silence.code != Code::KafkaUnreachable {
            return silence;
        }
        let settings = topic_config::settings(kafka, topic, PATIENCE).await.unwrap_or_default();
        let format = settings.get("message.format.version").map_or("", String::as_str);
        if error_policy::is_old_format(format) {
            let cause = format!("{}: {OLD_FORMAT} ({format})", silence.reason);
            return Problem::new(Code::Kafka, cause).advice(OLD_FORMAT_ADVICE);
        }
        silence
    }
}
