//! A topic's settings, as the brokers apply them.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};

use super::complaint::{Asker, attend};
use super::settings;
use rules::problem::{Code, Problem};

/// Reads a topic's settings, by Kafka's names. It takes the right to describe its configuration.
pub async fn settings(
    kafka: &config::Kafka,
    topic: &str,
    timeout: Duration,
) -> Result<BTreeMap<String, String>, Problem> {
    let doing = "cannot read the topic's settings";
    let settings = settings::base(kafka, "makegood-check");
    let client: AdminClient<Asker> = settings
        .create_with_context(Asker::default())
        .map_err(|e| super::unusable(&settings, &e))?;
    attend(client.inner(), &settings);
    let options = AdminOptions::new().request_timeout(Some(timeout));
    let wanted = [ResourceSpecifier::Topic(topic)];
    let answer = client.describe_configs(&wanted, &options).await;
    let mut found = BTreeMap::new();
    for resource in answer.map_err(|e| super::problem(&e, doing))? {
        let resource = resource.map_err(|code| {
            Problem::new(Code::Kafka, format!("{doing}: {code}")).advice(super::advice(Some(code)))
        })?;
        let entries = resource.entries.into_iter();
        found.extend(entries.filter_map(|entry| Some((entry.name, entry.value?))));
    }
    Ok(found)
}
