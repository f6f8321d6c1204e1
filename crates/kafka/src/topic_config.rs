//! A topic's settings, as the brokers apply them.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use tokio::runtime::Handle;

use super::complaint::{Asker, attend};
use super::settings;
use rules::problem::{Code, Problem};

const DOING: &str = "cannot read the topic's settings";

/// Reads a topic's settings, by Kafka's names. It takes the right to describe its configuration. The client is opened,
/// asked and closed where waiting is allowed: each of these may hang.
pub async fn settings(
    kafka: &config::Kafka,
    topic: &str,
    timeout: Duration,
) -> Result<BTreeMap<String, String>, Problem> {
    let (kafka, topic, here) = (kafka.clone(), topic.to_owned(), Handle::current());
    let asking = tokio::task::spawn_blocking(move || here.block_on(ask(&kafka, &topic, timeout)));
    match tokio::time::timeout(timeout * 2, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(e)) => Err(Problem::new(Code::System, format!("{DOING}: {e}"))),
        Err(_) => Err(Problem::new(Code::KafkaUnreachable, format!("{DOING}: timed out"))),
    }
}

async fn ask(
    kafka: &config::Kafka,
    topic: &str,
    timeout: Duration,
) -> Result<BTreeMap<String, String>, Problem> {
    let settings = settings::base(kafka, "makegood-check");
    let client: AdminClient<Asker> = settings
        .create_with_context(Asker::default())
        .map_err(|e| super::unusable(&settings, &e))?;
    attend(client.inner(), &settings);
    let options = AdminOptions::new().request_timeout(Some(timeout));
    let wanted = [ResourceSpecifier::Topic(topic)];
    let answer = client.describe_configs(&wanted, &options).await;
    let mut found = BTreeMap::new();
    for resource in answer.map_err(|e| super::problem(&e, DOING))? {
        let resource = resource.map_err(|code| {
            Problem::new(Code::Kafka, format!("{DOING}: {code}")).advice(super::advice(Some(code)))
        })?;
        let entries = resource.entries.into_iter();
        found.extend(entries.filter_map(|entry| Some((entry.name, entry.value?))));
    }
    Ok(found)
}
