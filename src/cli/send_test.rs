//! `makegood send-test`: does an event make it through Kafka, the daemon and the mapping, right now?

mod event;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ArgAction;
use serde_json::{Value, json};
use uuid::Uuid;

use super::print::{self, Format, Output};
use super::session::Session;
use super::{Globals, progress, status};
use crate::config;
use crate::kafka::produce::Producer;
use crate::overview::start;
use crate::store::report;
use crate::store::test_events::{self, AnsweredTest};
use rules::ids::{Offset, RouteId};
use rules::problem::{Code, Problem};
use rules::record::{Header, Record};

/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The record is a copy of the topic's last event under an event id of its own,
marked by a header that the daemon knows; the mapping runs on it, and what it
did is rolled back. Other consumers of the topic see the record too.

Examples:
  makegood send-test
  makegood send-test --event event.json --timeout 1m")]
pub struct Args {
    /// The route to test; not needed if there is only one
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Send the event in this file (- for standard input) instead of a copy of the last one
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// How long to wait for the answer
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = config::duration)]
    timeout: Duration,
    /// Whether to wait for the answer
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    wait: bool,
    #[command(flatten)]
    output: Output,
}

/// A record on its way.
struct Sent {
    test: Uuid,
    event_id: Uuid,
    partition: i32,
    offset: Offset,
    at: Instant,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    let route = session.route(args.route.as_deref())?;
    let key = route_key(&session, route).await?;
    let event_id = Uuid::new_v4();
    let kafka = &session.config.kafka;
    let record = match &args.event {
        Some(file) => event::from_file(file, route, event_id)?,
        None => event::from_topic(kafka, route, event_id).await?,
    };
    let sent = send(&session, route, key, record, event_id).await?;
    let tell = || {
        say!(
            "sent to topic {}, partition {}, offset {}; other consumers of this topic see the record too",
            route.topic,
            sent.partition,
            sent.offset
        );
    };
    let answer = match args.wait {
        true => {
            let goes_on = format!("test {} is answered all the same", sent.test);
            let follow = "`makegood status` says what keeps a daemon from it";
            let answer = async {
                tell();
                progress::step("waiting for a daemon's answer");
                wait(&session, route, args, &sent).await
            };
            Some(super::wait::until_ctrl_c(answer, &goes_on, follow).await?)
        }
        false => {
            tell();
            None
        }
    };
    show(route, &sent, answer.as_ref(), args.output.output)?;
    let is_bad = |a: &AnsweredTest| {
        a.outcome != "test" || a.mapping_outcome.as_deref().is_none_or(|o| o == "rejected")
    };
    Ok(if answer.as_ref().is_some_and(is_bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The route's key, which only a daemon creates: nobody else would answer.
async fn route_key(session: &Session, route: &config::Inbox) -> Result<RouteId, Problem> {
    let known = report::route_key(&session.store, &route.name)
        .await
        .map_err(|f| f.problem("cannot read the route"))?;
    match known {
        Some((key, topic)) if topic == route.topic => Ok(key),
        Some((_, topic)) => Err(Problem::new(
            Code::Usage,
            format!(
                "the daemon reads {topic} on the route {}, this configuration says {}",
                route.name, route.topic
            ),
        )
        .advice("give this command the daemon's configuration: --config FILE")),
        None => Err(Problem::new(
            Code::NotFound,
            format!("no daemon has ever run the route {}, so nobody would answer", route.name),
        )
        .advice(format!("start one with `{}`", start()))),
    }
}

/// Registers the test, then sends its record: only in this order it counts as a test.
async fn send(
    session: &Session,
    route: &config::Inbox,
    key: RouteId,
    mut record: Record,
    event_id: Uuid,
) -> Result<Sent, Problem> {
    let test = Uuid::new_v4();
    let producer = Producer::new(&session.config.kafka, &route.topic)?;
    test_events::register(&session.store, test, key)
        .await
        .map_err(|f| f.problem("cannot register the test"))?;
    record.headers.push(Header {
        name: test_events::HEADER.as_bytes().to_vec(),
        value: Some(test.to_string().into_bytes()),
    });
    let at = Instant::now();
    let (partition, offset) = producer.send(&record, Duration::from_secs(10)).await?;
    Ok(Sent { test, event_id, partition, offset, at })
}

/// Waits for the daemon's answer; without one, the route's standing is the best hint there is.
async fn wait(
    session: &Session,
    route: &config::Inbox,
    args: &Args,
    sent: &Sent,
) -> Result<AnsweredTest, Problem> {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    while sent.at.elapsed() < args.timeout {
        tick.tick().await;
        let answer = test_events::answered(&session.store, sent.test)
            .await
            .map_err(|f| f.problem("cannot read the answer"))?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
    let seconds = config::show_duration(args.timeout);
    let cause = format!("no answer to test {} within {seconds}", sent.test);
    let overview = status::sources(Arc::new(session.config.clone()))?.overview().await;
    let health = overview.routes.iter().find(|r| r.name == route.name);
    let sentence = health.map(|r| r.health.sentence.clone()).unwrap_or_default();
    Err(Problem::new(Code::TimedOut, cause).advice(format!(
        "{sentence}\nthe record stays in the topic and is still answered when a daemon gets to it; `makegood status` says more"
    )))
}

fn show(
    route: &config::Inbox,
    sent: &Sent,
    answer: Option<&AnsweredTest>,
    format: Format,
) -> Result<(), Problem> {
    match format {
        Format::Table => print::data(&match answer {
            Some(answer) => told(answer, sent.at.elapsed()),
            None => format!("test {} is on its way\n", sent.test),
        }),
        Format::Json => print::document(json!({ "test": object(route, sent, answer) })),
        Format::Jsonl => print::lines(std::iter::once(object(route, sent, answer))),
    }
}

fn told(answer: &AnsweredTest, took: Duration) -> String {
    let detail = answer.detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default();
    let text = match &answer.mapping_outcome {
        Some(outcome) if answer.outcome == "test" => format!(
            "test: the mapping answered {outcome}{detail}; rolled back, {} ms after sending\n",
            took.as_millis()
        ),
        _ => format!("failed: the record arrived, but the mapping did not answer{detail}\n"),
    };
    print::visible(&text, true)
}

fn object(route: &config::Inbox, sent: &Sent, answer: Option<&AnsweredTest>) -> Value {
    json!({
        "id": sent.test, "route": route.name, "topic": route.topic, "event_id": sent.event_id,
        "partition": sent.partition, "offset": sent.offset,
        "outcome": answer.map(|a| &a.outcome),
        "mapping_outcome": answer.and_then(|a| a.mapping_outcome.as_ref()),
        "detail": answer.and_then(|a| a.detail.as_ref()),
        "waited_ms": answer.map(|_| u64::try_from(sent.at.elapsed().as_millis()).unwrap_or(u64::MAX)),
    })
}
