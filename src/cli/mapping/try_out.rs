//! The mapping tried on events from a file, or on those that wait in the topic.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::{fs, io};

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::print::{self, Format, Output, visible};
use super::super::session::{self, Session};
use super::super::{Globals, progress};
use crate::doctor::tryout::{self, Tried};
use crate::doctor::waiting;
use crate::ingest::Route;
use rules::ids::{Offset, RouteId};
use rules::outcome::Attempted;
use rules::problem::{Code, Problem};
use rules::record::Record;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Nothing is written, claimed or committed. Triggers of your tables run, and are
rolled back as well.

Examples:
  makegood mapping try
  makegood mapping try --waiting 100 -o json
  makegood mapping try --file events.jsonl
  makegood quarantine show 42 --raw | makegood mapping try --file -")]
pub struct Args {
    /// The route; not needed if there is only one
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Try the events in this file (- for standard input), one JSON event a line
    #[arg(long, value_name = "FILE", conflicts_with = "waiting")]
    file: Option<PathBuf>,
    /// Try so many of the events that wait in the topic, read without joining the group
    #[arg(long, value_name = "N", default_value_t = 10)]
    waiting: usize,
    /// Exit with 3 if an event would go to quarantine
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    let config = session::load(globals)?;
    let store = session::unchecked(&config.postgres).await?;
    let session = Session { config, store };
    let settings = session.route(args.route.as_deref())?;
    let (mapping, source) = session.mapping(settings).await?;
    let route =
        Arc::new(Route::unwatched(RouteId::default(), settings.clone()).on(&session.config.kafka));
    let (topic_id, records) = match &args.file {
        Some(file) => (Uuid::nil(), lines(file)?),
        None => {
            let kafka = &session.config.kafka;
            progress::step(format!("reading the records that wait in {}", settings.topic));
            let found = waiting::look(&route, kafka, &session.store, args.waiting).await?;
            let shown = found.records.len();
            say!("{} of {} waiting in {}", shown, found.total, settings.topic);
            (found.preview.log.topic_id, found.records)
        }
    };
    progress::step(format!("trying {} events", records.len()));
    let tried = tryout::run(&route, &session.store, source.as_ref(), &mapping, topic_id, &records)
        .await
        .map_err(|fault| fault.problem("the mapping cannot be tried"))?;
    show(&tried, args)?;
    Ok(match args.exit_code {
        _ if tried.iter().any(|t| t.outcome == Attempted::Failed) => ExitCode::FAILURE,
        true if tried.iter().any(|t| t.outcome.is_put_away()) => ExitCode::from(3),
        _ => ExitCode::SUCCESS,
    })
}

/// One record a line, at the offset of its line; empty lines are left out.
fn lines(file: &Path) -> Result<Vec<Record>, Problem> {
    let mut bytes = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => io::stdin().read_to_end(&mut bytes).map(|_| ()),
        false => fs::read(file).map(|all| bytes = all),
    };
    read.map_err(|e| Problem::new(Code::Usage, format!("cannot read {}: {e}", file.display())))?;
    let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    let record = |(line, number): (&[u8], i64)| Record {
        offset: Offset(number),
        value: Some(line.trim_ascii().to_vec()),
        ..Record::default()
    };
    Ok(lines.map(record).collect())
}

fn show(tried: &[Tried], args: &Args) -> Result<(), Problem> {
    let place = |t: &Tried| match args.file {
        Some(_) => json!({ "line": t.offset }),
        None => json!({ "partition": t.partition, "offset": t.offset }),
    };
    let object = |t: &Tried| {
        let mut object = place(t);
        for (name, value) in [
            ("event_id", json!(t.event_id)),
            ("outcome", json!(t.outcome.as_str())),
            ("business_key", json!(t.business_key)),
            ("detail", json!(t.detail)),
            ("fix", json!(t.fix)),
            ("rows", Value::from(t.rows.clone())),
        ] {
            object[name] = value;
        }
        object
    };
    match args.output.output {
        Format::Table => {
            print::data(&tried.iter().map(|t| block(t, args.file.is_some())).collect::<String>())?
        }
        Format::Json => print::json("events", tried.iter().map(object).collect())?,
        Format::Jsonl => print::lines(tried.iter().map(object))?,
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in tried {
        *counts.entry(one.outcome.as_str()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
    say!(
        "{}; everything was rolled back",
        if counts.is_empty() { "no events".to_owned() } else { counts.join(", ") }
    );
    Ok(())
}

/// One event for people: what came of it, and below it the rows.
fn block(tried: &Tried, is_line: bool) -> String {
    let place = match is_line {
        true => format!("line {}", tried.offset),
        false => format!("partition {}, offset {}", tried.partition, tried.offset),
    };
    let key = tried.business_key.as_deref().unwrap_or("-");
    let detail = tried.detail.as_deref().map(|d| format!("  {d}")).unwrap_or_default();
    let mut text = format!(
        "{place}: {}  {}{}\n",
        tried.outcome.as_str(),
        visible(key, false),
        visible(&detail, false)
    );
    if let Some(fix) = &tried.fix {
        text.push_str(&format!("    fix: {}\n", visible(fix, false)));
    }
    let verb = if tried.outcome == Attempted::Applied { "would write" } else { "is there" };
    for row in &tried.rows {
        text.push_str(&format!("    {verb}: {}\n", visible(&row.to_string(), false)));
    }
    text
}
