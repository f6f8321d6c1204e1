//! `makegood quarantine`: the records that could not be applied, their exact bytes, and what to do with them.

mod accept;
mod discard;
mod replay;
mod select;
mod sheet;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Globals;
use super::print::{self, Format, Output};
use super::session::Session;
use crate::store::report::quarantine::{self, Case};
use rules::framing;
use rules::ids::CaseId;
use rules::problem::{Code, Problem};
use rules::record::Record;
use select::Selection;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List records that wait for a decision, the newest first.
    #[command(after_help = "\
Examples:
  makegood quarantine list
  makegood quarantine list --reason not_json --since 24h -o jsonl")]
    List(ListCases),
    /// Show one record with its key, headers and value; they may hold personal data.
    #[command(after_help = "\
Examples:
  makegood quarantine show 42
  makegood quarantine show 42 --raw > value.bin")]
    Show {
        /// The number that `quarantine list` shows
        id: CaseId,
        /// Write the exact bytes of the value, and nothing else
        #[arg(long, conflicts_with = "output")]
        raw: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Apply records again, with the mapping of today.
    Replay(replay::Args),
    /// Give records up.
    Discard(discard::Args),
    /// Let a route go on that is held for too many bad records.
    Accept(accept::Args),
}

#[derive(Debug, clap::Args)]
pub struct ListCases {
    #[command(flatten)]
    selection: Selection,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Also records that have been dealt with
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    match action {
        Action::List(list) => self::list(&session, list).await?,
        Action::Show { id, raw, output } => show(&session, id, raw, output.output).await?,
        Action::Replay(args) => return replay::run(&session, &args).await,
        Action::Discard(args) => discard::run(&session, &args).await?,
        Action::Accept(args) => accept::run(&session, &args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(session: &Session, args: ListCases) -> Result<(), Problem> {
    let filter = args.selection.filter(Some(args.limit), args.all);
    let cases = quarantine::list(&session.store, &filter).await.map_err(unreadable)?;
    match args.output.output {
        Format::Table if cases.is_empty() => {
            say!("no such record in quarantine");
            Ok(())
        }
        Format::Table => {
            if cases.len() == args.limit as usize {
                say!("only the newest {} are shown; --limit shows more", args.limit);
            }
            table(&cases, args.all)?;
            say!("`quarantine show ID` shows one; mend what is wrong, then `quarantine replay`");
            Ok(())
        }
        Format::Json => print::json("records", cases.iter().map(object).collect()),
        Format::Jsonl => print::lines(cases.iter().map(object)),
    }
}

async fn show(session: &Session, id: CaseId, raw: bool, format: Format) -> Result<(), Problem> {
    let found = quarantine::show(&session.store, id).await.map_err(unreadable)?;
    let Some((case, topic_id, record)) = found else {
        return Err(Problem::new(Code::NotFound, format!("quarantine has no record {id}"))
            .advice("`makegood quarantine list --all` shows which there are"));
    };
    if raw {
        if record.value.is_none() {
            say!("this record has no value (null)");
        }
        return print::bytes(record.value.as_deref().unwrap_or_default());
    }
    let event = inside(session, &case, &record);
    if format == Format::Table {
        let event = event.map(|event| print::visible(&print::text_or_hex(&event).1, true));
        let event =
            event.map(|event| format!("event           what the envelopes hold\n{event}\n"));
        return print::data(&(sheet(&case, &record) + &event.unwrap_or_default()));
    }
    let mut whole = object(&case);
    whole["topic_id"] = json!(topic_id);
    whole["key"] = content(record.key.as_deref());
    whole["value"] = content(record.value.as_deref());
    if let Some(event) = event {
        whole["event"] = content(Some(&event));
    }
    let headers = record
        .headers
        .iter()
        .map(|h| json!({"name": content(Some(&h.name)), "value": content(h.value.as_deref())}));
    whole["headers"] = headers.collect();
    match format {
        Format::Jsonl => print::lines(std::iter::once(whole)),
        _ => print::document(json!({ "record": whole })),
    }
}

/// What the route's envelopes hold of a record, if it has any.
fn inside(session: &Session, case: &Case, record: &Record) -> Option<Vec<u8>> {
    let rules = session.config.inbox.iter().find(|route| route.name == case.route)?.rules();
    let value = record.value.as_deref().filter(|_| record.cut.is_none())?;
    let inside = framing::unwrap(value, &rules.envelopes, rules.max_bytes).ok()?.value?;
    (inside.as_ref() != value).then(|| inside.into_owned())
}

/// So many were noted and are not done: somebody else has to ask for the same.
fn noted(records: usize) -> Problem {
    let cause = format!(
        "noted, not done ({records}): decisions take two roles here (makegood.require_four_eyes)"
    );
    Problem::new(Code::Confirmation, cause).advice(
        "another role must ask for the same within a day; what waits: SELECT * FROM makegood.asks_waiting;",
    )
}

fn unreadable(fault: crate::store::Fault) -> Problem {
    fault.problem("cannot read the quarantine")
}

fn table(cases: &[Case], all: bool) -> Result<(), Problem> {
    let mut headings =
        vec!["ID", "QUARANTINED AT (UTC)", "ROUTE", "REASON", "PARTITION/OFFSET", "BYTES"];
    headings.extend(all.then_some("DEALT WITH AT (UTC)"));
    headings.push("DETAIL");
    let rows = cases.iter().map(|c| {
        let mut row = vec![
            c.id.to_string(),
            print::short(c.quarantined_at),
            c.route.clone(),
            c.reason.clone(),
            place(c),
            print::or_dash(c.value_bytes.map(|n| n.to_string())),
        ];
        row.extend(all.then(|| print::or_dash(c.resolved_at.map(print::short))));
        row.push(detail(c));
        row
    });
    print::table(&headings, rows)
}

/// Partition and offset, or the payment that the event was made from.
fn place(c: &Case) -> String {
    match c.partition.zip(c.offset) {
        Some((partition, offset)) => format!("{partition}/{offset}"),
        None => format!("payment {}", c.business_key.as_deref().unwrap_or_default()),
    }
}

/// The sentence, with PostgreSQL's code if it was PostgreSQL that refused.
fn detail(c: &Case) -> String {
    let text = c.detail.clone().unwrap_or_default();
    match &c.sqlstate {
        Some(code) if !text.contains(code.as_str()) => format!("{text} (SQLSTATE {code})"),
        _ => text,
    }
}

fn sheet(c: &Case, record: &Record) -> String {
    let shown = |bytes: Option<&[u8]>| match bytes.map(print::text_or_hex) {
        None => "null".to_owned(),
        Some((true, text)) => text,
        Some((false, hex)) => format!("hex {hex}"),
    };
    let mut text = print::sheet(&[
        ("id", c.id.to_string()),
        ("route", c.route.clone()),
        ("reason", c.reason.clone()),
        ("detail", detail(c)),
        ("quarantined at", print::short(c.quarantined_at)),
        ("replays", c.attempts.to_string()),
        ("dealt with at", print::or_dash(c.resolved_at.map(print::short))),
        ("how", print::or_dash(c.resolution.clone())),
        ("topic", c.topic.clone()),
        ("partition/offset", place(c)),
        ("record's time", print::or_dash(c.record_at.map(print::short))),
        ("event id", c.event_id.to_string()),
        ("key", shown(record.key.as_deref())),
    ]);
    for header in &record.headers {
        let (_, name) = print::text_or_hex(&header.name);
        let value = shown(header.value.as_deref());
        text += &print::visible(&format!("header          {name}: {value}"), false);
        text.push('\n');
    }
    let kept = record.value.as_ref().map_or(0, Vec::len);
    let bytes = match record.cut {
        Some(whole) => format!("{} bytes, of which these are the first {kept}", whole.bytes),
        None => format!("{kept} bytes"),
    };
    let value = print::visible(&shown(record.value.as_deref()), true);
    text + &format!("value           {bytes}\n{value}\n")
}

/// Bytes in JSON: as `text` if they are UTF-8, else as `hex`, and null for null.
fn content(bytes: Option<&[u8]>) -> Value {
    match bytes.map(print::text_or_hex) {
        None => Value::Null,
        Some((true, text)) => json!({ "text": text }),
        Some((false, hex)) => json!({ "hex": hex }),
    }
}

fn object(c: &Case) -> Value {
    json!({
        "id": c.id, "route": c.route, "reason": c.reason, "sqlstate": c.sqlstate,
        "detail": c.detail, "topic": c.topic, "business_key": c.business_key,
        "partition": c.partition, "offset": c.offset,
        "event_id": c.event_id, "value_bytes": c.value_bytes, "record_at": c.record_at,
        "quarantined_at": c.quarantined_at, "attempts": c.attempts, "resolved_at": c.resolved_at,
        "resolution": c.resolution,
    })
}
