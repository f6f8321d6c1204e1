//! `makegood outbox`: what is on its way to Kafka, and what Kafka refused.

mod discard;
mod retry;
mod select;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::print::{self, Format, Output};
use super::{Globals, logging, session};
use crate::store::outbox::report::{self, Event};
use crate::store::{Fault, Store};
use rules::problem::Problem;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List events that are not with Kafka: first those parked, then those that are on their way.
    #[command(after_help = "\
The states:
  refused  Kafka refused it for its own sake, see its reason; it waits for
           `makegood outbox retry`
  behind   it waits behind a refused event of its key
  held     its topic takes nothing, see the reason; it goes by itself as soon as
           the topic does
  pending  the relay has not sent it yet, or Kafka has not acknowledged it

Examples:
  makegood outbox list
  makegood outbox list --parked \\
    --key 5b8f1c9e-1f0a-4c57-9a55-0d7a3a1f2c44 -o json")]
    List(ListEvents),
    /// Show one event with its headers and payload, where it is, and what to do; they may hold personal data.
    #[command(after_help = "Example:\n  makegood outbox show 0b8f1c9e-1f0a-4c57-9a55-0d7a3a1f2c44")]
    Show {
        /// The event's id, as makegood.publish returned it
        event_id: Uuid,
        #[command(flatten)]
        output: Output,
    },
    /// Send again what was parked. Only says what would be sent, unless told to --execute.
    #[command(after_help = "\
Events of one key go in their order, and those that wait behind them go after
them. An event's id stands for its whole key. A topic that takes nothing is
tried again by itself; --to-topic sends its events to another one, where the
name was wrong.

Examples:
  makegood outbox retry --all
  makegood outbox retry 5b8f1c9e-1f0a-4c57-9a55-0d7a3a1f2c44 --execute
  makegood outbox retry --topic purchase-confirmd \\
    --to-topic purchase-confirmed --execute --confirm purchase-confirmd")]
    Retry(retry::Args),
    /// Give up events that were parked: Kafka never gets them. Only says which, unless told to --execute.
    #[command(after_help = "\
They are kept with their contents and your reason, and `makegood outbox show`
finds them. What waited behind them goes.

Examples:
  makegood outbox discard --topic purchase-confirmd
  makegood outbox discard --topic purchase-confirmd --why 'a test' \\
    --execute --confirm purchase-confirmd")]
    Discard(discard::Args),
}

#[derive(Debug, clap::Args)]
pub struct ListEvents {
    /// Only events of this key
    #[arg(long)]
    key: Option<String>,
    /// Only events of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only events parked
    #[arg(long, conflicts_with = "pending")]
    parked: bool,
    /// Only events on their way
    #[arg(long)]
    pending: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    let config = session::load(globals)?;
    let store = session::outbox(&config).await?;
    match action {
        Action::List(args) => list(&store, &args).await?,
        Action::Show { event_id, output } => {
            show::run(&store, &config, event_id, output.output).await?;
        }
        Action::Retry(args) => retry::run(&store, &args).await?,
        Action::Discard(args) => discard::run(&store, &args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(store: &Store, args: &ListEvents) -> Result<(), Problem> {
    let (key, topic, limit) = (args.key.as_deref(), args.topic.as_deref(), args.limit as usize);
    let mut events = Vec::new();
    if !args.pending {
        events = report::parked(store, key, topic, limit as i64).await.map_err(unreadable)?;
    }
    if !args.parked && events.len() < limit {
        let room = (limit - events.len()) as i64;
        events.extend(report::pending(store, key, topic, room).await.map_err(unreadable)?);
    }
    match args.output.output {
        Format::Table if events.is_empty() => {
            say!("no such event waits in the outbox");
            Ok(())
        }
        Format::Table => {
            if events.len() == limit {
                say!("only the first {limit} are shown; --limit shows more");
            }
            table(&events)
        }
        Format::Json => print::json("events", events.iter().map(object).collect()),
        Format::Jsonl => print::lines(events.iter().map(object)),
    }
}

fn unreadable(fault: Fault) -> Problem {
    fault.problem("cannot read the outbox")
}

/// Events, one a line.
fn table(events: &[Event]) -> Result<(), Problem> {
    let headings = ["STATE", "AGE", "TOPIC", "KEY", "TYPE", "EVENT ID", "REASON"];
    let rows = events.iter().map(|e| {
        vec![
            e.state.clone(),
            print::seconds(e.age),
            e.topic.clone(),
            print::or_dash(e.key.clone()),
            e.event_type.clone(),
            e.event_id.to_string(),
            e.reason.clone().unwrap_or_default(),
        ]
    });
    print::table(&headings, rows)
}

fn object(e: &Event) -> Value {
    json!({
        "event_id": e.event_id, "topic": e.topic, "key": e.key, "event_type": e.event_type,
        "state": e.state, "reason": e.reason, "advice": e.advice, "age_seconds": e.age,
        "created_at": e.created_at, "parked_at": e.parked_at, "retry_asked_at": e.retry_at,
    })
}
