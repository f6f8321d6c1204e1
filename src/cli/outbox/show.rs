//! One event of the outbox: its contents, where it is, and what to do about it.

use serde_json::json;
use uuid::Uuid;

use super::super::print::{self, Format};
use crate::config::{self, Config};
use crate::overview::start;
use crate::store::Store;
use crate::store::outbox::report::{self, Status, WholeEvent};
use rules::problem::{Code, Problem};

pub(super) async fn run(
    store: &Store,
    config: &Config,
    id: Uuid,
    format: Format,
) -> Result<(), Problem> {
    let found = report::show(store, id).await.map_err(super::unreadable)?;
    if found.is_empty() {
        let kept = config::show_duration(config.retention.outbox);
        return Err(Problem::new(Code::NotFound, format!("the outbox has no event {id}")).advice(
            format!(
                "its transaction may have been rolled back or be open still; published events are kept for {kept}\n\
                 (retention.outbox); `makegood inbox show {id}` says what came of it"
            ),
        ));
    }
    let status = report::status(store).await.map_err(super::unreadable)?;
    let advised = |whole: &WholeEvent| advice(whole, &status, config);
    let objects = found.iter().map(|whole| {
        let mut object = super::object(&whole.event);
        object["headers"] = json!(whole.headers);
        object["payload"] = json!(whole.payload);
        object["waits_for"] = json!(whole.waits_for);
        object["what_to_do"] = json!(advised(whole));
        object
    });
    match format {
        Format::Table => {
            let sheets: Vec<String> = found.iter().map(|w| sheet(w, &advised(w))).collect();
            print::data(&sheets.join("\n"))
        }
        Format::Json => print::json("events", objects.collect()),
        Format::Jsonl => print::lines(objects),
    }
}

/// What to do, in a sentence.
fn advice(whole: &WholeEvent, status: &Status, config: &Config) -> String {
    let event = &whole.event;
    let again = match &event.key {
        Some(key) => format!("makegood outbox retry {key} --execute"),
        None => format!("makegood outbox retry {} --execute", event.event_id),
    };
    match (event.state.as_str(), &whole.waits_for, event.retry_at) {
        ("published", ..) if config.inbox.iter().any(|route| route.topic == event.topic) => {
            format!(
                "nothing, Kafka has it; `makegood inbox show {}` says what came of it",
                event.event_id
            )
        }
        ("published", ..) => "nothing, Kafka has it".to_owned(),
        ("discarded", ..) => "nothing, it was given up".to_owned(),
        ("held", ..) => format!(
            "{}; it goes by itself as soon as its topic takes it; or makegood outbox retry --topic {} --to-topic OTHER, or makegood outbox discard {}",
            event.advice.as_deref().unwrap_or_default(),
            event.topic,
            event.event_id
        )
        .trim_start_matches("; ")
        .to_owned(),
        ("behind", Some(first), _) => {
            format!("see what it waits for: makegood outbox show {first}")
        }
        ("refused" | "behind", _, Some(_)) => "wait for the relay to send it again".to_owned(),
        ("refused" | "behind", ..) => {
            let first = event.advice.as_deref().unwrap_or_default();
            format!("{first}, then: {again}").trim_start_matches(", then: ").to_owned()
        }
        _ if (status.relays.len() as i64) < status.shards => {
            format!("start a daemon, none relays the outbox: {}", start())
        }
        _ => match &status.trouble {
            Some((reason, advice)) => format!("the outbox is held: {reason}. {advice}"),
            None => "nothing, it is on its way".to_owned(),
        },
    }
}

fn sheet(whole: &WholeEvent, advice: &str) -> String {
    let e = &whole.event;
    let mut text = print::sheet(&[
        ("event id", e.event_id.to_string()),
        ("type", e.event_type.clone()),
        ("topic", e.topic.clone()),
        ("key", print::or_dash(e.key.clone())),
        ("state", e.state.clone()),
        ("reason", print::or_dash(e.reason.clone())),
        ("waits for", print::or_dash(whole.waits_for.map(|id| id.to_string()))),
        ("what to do", advice.to_owned()),
        ("published at", print::short(e.created_at)),
        ("parked at", print::or_dash(e.parked_at.map(print::short))),
        ("retry asked at", print::or_dash(e.retry_at.map(print::short))),
    ]);
    for (name, value) in &whole.headers {
        text += &print::visible(&format!("header          {name}: {value}"), false);
        text.push('\n');
    }
    let payload = print::visible(&whole.payload, true);
    text + &format!("payload         {} bytes\n{payload}\n", whole.payload.len())
}
