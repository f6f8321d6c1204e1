//! `makegood inbox`: what was taken in, and what came of it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use super::Globals;
use super::print::{self, Format, Output};
use super::session::Session;
use crate::config;
use crate::store::report::inbox::{self, Event, EventFilter};
use rules::envelope;
use rules::outcome::Outcome;
use rules::problem::{Code, Problem};

/// How far back a list goes by itself; with a business key it has no bound.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List events, the newest first.
    #[command(after_help = "\
Examples:
  makegood inbox list --outcome conflict --since 7d
  makegood inbox list --key 5b8f1c9e-1f0a-4c57-9a55-0d7a3a1f2c44 -o json")]
    List(ListInbox),
    /// Show one event by its id, in whatever form the producer sent it.
    #[command(after_help = "Example:\n  makegood inbox show 0b8f1c9e-1f0a-4c57-9a55-0d7a3a1f2c44")]
    Show {
        /// The event's id; a text that is no UUID is looked up as the daemon would store it
        event_id: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, clap::Args)]
pub struct ListInbox {
    /// Only events of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only events that ended so
    #[arg(long, value_parser = kept_outcome())]
    outcome: Option<Outcome>,
    /// Only events of this business key: the payment's id, with the mapping as shipped
    #[arg(long, value_name = "BUSINESS_KEY")]
    key: Option<String>,
    /// Only events taken in since then, such as 30m or 7d [default: 24h; all with --key]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    since: Option<Duration>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    output: Output,
}

/// Reads what the inbox keeps as what came of an event.
fn kept_outcome() -> impl TypedValueParser<Value = Outcome> {
    let value = |outcome: Outcome| PossibleValue::new(outcome.as_str()).help(outcome.about());
    PossibleValuesParser::new(Outcome::kept().map(value)).try_map(|word| word.parse::<Outcome>())
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    match action {
        Action::List(list) => self::list(&session, list).await?,
        Action::Show { event_id, output } => show(&session, &event_id, output.output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(session: &Session, args: ListInbox) -> Result<(), Problem> {
    let filter = EventFilter {
        since: args.since.or_else(|| args.key.is_none().then_some(DAY)),
        route: args.route,
        outcome: args.outcome,
        key: args.key,
        limit: i64::from(args.limit),
    };
    let events = inbox::list(&session.store, &filter).await.map_err(unreadable)?;
    let full = events.len() == args.limit as usize;
    match (args.output.output, filter.since) {
        (Format::Table, _) if full => {
            say!("only the newest {} are shown; --limit shows more", args.limit);
        }
        (Format::Table, Some(since)) if events.is_empty() => {
            let age = config::show_duration(since);
            say!("no such event within {age}; --since looks further back");
        }
        (Format::Table, None) if events.is_empty() => say!("no such event"),
        _ => {}
    }
    match args.output.output {
        Format::Table if events.is_empty() => Ok(()),
        Format::Table => table(&events),
        Format::Json => print::json("events", events.iter().map(object).collect()),
        Format::Jsonl => print::lines(events.iter().map(object)),
    }
}

async fn show(session: &Session, text: &str, format: Format) -> Result<(), Problem> {
    let id = envelope::id_as_given(text);
    let events = inbox::show(&session.store, id).await.map_err(unreadable)?;
    if events.is_empty() {
        return Err(Problem::new(Code::NotFound, format!("the inbox has no event {id}")).advice(
            "it may not have come yet, may wait in quarantine, or may be older than the inbox keeps;\n\
             `makegood inbox list --key BUSINESS_KEY` looks for its payment, `makegood status` says what waits",
        ));
    }
    match format {
        Format::Table => print::data(&events.iter().map(sheet).collect::<Vec<_>>().join("\n")),
        Format::Json => print::json("events", events.iter().map(object).collect()),
        Format::Jsonl => print::lines(events.iter().map(object)),
    }
}

fn unreadable(fault: crate::store::Fault) -> Problem {
    fault.problem("cannot read the inbox")
}

fn table(events: &[Event]) -> Result<(), Problem> {
    let headings = [
        "APPLIED AT (UTC)",
        "ROUTE",
        "OUTCOME",
        "BUSINESS KEY",
        "EVENT ID",
        "PARTITION/OFFSET",
        "DETAIL",
    ];
    let rows = events.iter().map(|e| {
        vec![
            print::short(e.applied_at),
            e.route.clone(),
            e.outcome.clone(),
            print::or_dash(e.business_key.clone()),
            e.event_id.to_string(),
            place(e),
            e.detail.clone().unwrap_or_default(),
        ]
    });
    print::table(&headings, rows)
}

fn sheet(e: &Event) -> String {
    print::sheet(&[
        ("route", e.route.clone()),
        ("event id", e.event_id.to_string()),
        ("outcome", e.outcome.clone()),
        ("business key", print::or_dash(e.business_key.clone())),
        ("detail", print::or_dash(e.detail.clone())),
        ("origin", e.origin.clone()),
        ("partition/offset", place(e)),
        ("record's time", print::or_dash(e.event_at.map(print::short))),
        ("applied at", print::short(e.applied_at)),
        ("id reused", print::or_dash(e.reused_id.map(|id| id.to_string()))),
    ])
}

/// Partition and offset; an event that did not come through Kafka has neither.
fn place(e: &Event) -> String {
    print::or_dash(
        e.partition.zip(e.offset).map(|(partition, offset)| format!("{partition}/{offset}")),
    )
}

fn object(e: &Event) -> Value {
    json!({
        "route": e.route, "event_id": e.event_id, "outcome": e.outcome,
        "business_key": e.business_key, "detail": e.detail, "partition": e.partition,
        "offset": e.offset, "event_at": e.event_at, "applied_at": e.applied_at,
        "reused_id": e.reused_id, "origin": e.origin,
    })
}
