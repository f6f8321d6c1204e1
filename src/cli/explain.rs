//! `makegood explain ID`: the life of one payment on one screen.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Globals;
use super::print::{self, Format, Output};
use super::session::{self, Session};
use crate::config::Inbox;
use crate::doctor::waiting;
use crate::explain::{self, Life, Part, Places, Trace, Unseen};
use crate::ingest::Route;
use crate::store::inbox::Entry;
use crate::store::mapping::{Looks, Mapping};
use rules::ids::RouteId;
use rules::problem::{Code, Problem};
use rules::record::Record;

/// How long each part may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A key of so many characters stands in a text for itself.
const LONG_ENOUGH: usize = 8;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The rows of your own tables come through the mapping's lookup.sql, or
payments.sql and purchases.sql, the rest from the inbox, the outbox, and the
records in Kafka that are not read yet. What could not be looked at is said.

Examples:
  makegood explain 6ba7b810-9dad-11d1-80b4-00c04fd430c8
  makegood explain 6ba7b810-9dad-11d1-80b4-00c04fd430c8 -o json")]
pub struct Args {
    /// The id of a payment, an event or a purchase
    id: String,
    /// The route; not needed if there is only one
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    let route = session.route(args.route.as_deref())?;
    let (places, hidden) = places(&session, route).await?;
    let mut life = explain::explain(&places, &args.id).await;
    if let Some(why) = hidden {
        life.hides(Part::Outbox, why);
    }
    if life.has("purchase").is_none() && life.has("inbox").is_none() {
        search(&session, route, &mut life).await;
    }
    let sentence = explain::sentence(&life);
    if life.traces.is_empty() {
        let (cause, hint) = match life.unseen.is_empty() {
            true => ("", "no payment, purchase or event has this id; one that has only just been paid may be on its way".to_owned()),
            false => (" where it could be looked", lines(&life)),
        };
        let cause = format!("nothing is known of {}{cause}", args.id);
        return Err(Problem::new(Code::NotFound, cause).advice(hint));
    }
    match args.output.output {
        Format::Table => {
            print::data(&screen(&args.id, &life.traces, &sentence))?;
            if !life.unseen.is_empty() {
                say!("{}", lines(&life));
            }
        }
        Format::Json => print::document(json!({
            "id": args.id, "sentence": sentence,
            "events": life.traces.iter().map(object).collect::<Vec<_>>(),
            "unseen": life.unseen.iter().map(Unseen::line).collect::<Vec<_>>(),
        }))?,
        Format::Jsonl => print::lines(life.traces.iter().map(object))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What could not be looked at, a line each.
fn lines(life: &Life) -> String {
    life.unseen.iter().map(Unseen::line).collect::<Vec<_>>().join("\n")
}

/// The databases that know of it; and why the outbox's does not answer, which may be another one.
async fn places(session: &Session, route: &Inbox) -> Result<(Places, Option<String>), Problem> {
    let outbox = match session.config.outbox.enabled {
        true => Some(session::outbox(&session.config).await),
        false => None,
    };
    let (outbox, hidden) = match outbox.transpose() {
        Ok(outbox) => (outbox, None),
        Err(problem) => (None, Some(problem.reason)),
    };
    let places = Places {
        store: session.store.clone(),
        source: session.source(route)?,
        outbox,
        looks: Looks::of(route.mapping.as_deref()).map_err(|problem| problem.reason),
        by_key: true,
        patience: PATIENCE,
    };
    Ok((places, hidden))
}

/// Looks for its event among those that the route has not read yet.
async fn search(session: &Session, route: &Inbox, life: &mut Life) {
    let route =
        Arc::new(Route::unwatched(RouteId::default(), route.clone()).on(&session.config.kafka));
    let wanted = Arc::new(Wanted::new(route.clone(), life.keys.clone()));
    let searched_for = wanted.clone();
    let kafka = &session.config.kafka;
    let searching =
        waiting::search(&route, kafka, &session.store, PATIENCE, move |r| searched_for.is(r));
    match tokio::time::timeout(PATIENCE * 2, searching).await {
        Ok(Ok(searched)) => {
            if searched.left > 0 && searched.found.is_empty() {
                let left = searched.left;
                life.hides(Part::Kafka, format!("the time was up with {left} records to go"));
            }
            let found = searched.found.iter();
            life.add(found.map(|record| trace(&route, record, wanted.key(record))));
        }
        Ok(Err(problem)) => life.hides(Part::Kafka, problem.reason),
        Err(_) => life.hides(Part::Kafka, "there was no answer in time".to_owned()),
    }
}

/// Whose event is searched for.
struct Wanted {
    route: Arc<Route>,
    mapping: Option<Mapping>,
    keys: Vec<String>,
}

impl Wanted {
    fn new(route: Arc<Route>, keys: Vec<String>) -> Wanted {
        let mapping = Mapping::load(route.settings.mapping.as_deref()).ok();
        Wanted { route, mapping, keys }
    }

    fn key(&self, record: &Record) -> Option<String> {
        let mapping = self.mapping.as_ref()?;
        Entry::decode(record, Uuid::nil(), &self.route.reader(mapping)).business_key(mapping)
    }

    /// By its ids where it can be read; else a text that is no number by chance.
    fn is(&self, record: &Record) -> bool {
        if let Some(mapping) = &self.mapping {
            let entry = Entry::decode(record, Uuid::nil(), &self.route.reader(mapping));
            let key = entry.business_key(mapping);
            let payment = key.as_ref().and_then(|key| mapping.key.parts(key)?.into_iter().next());
            let ids = [Some(entry.event_id.to_string()), key, payment];
            return ids.into_iter().flatten().any(|id| self.keys.contains(&id));
        }
        let value = record.value.as_deref().unwrap_or_default();
        let is_in = |key: &&String| {
            key.len() >= LONG_ENOUGH && value.windows(key.len()).any(|w| w == key.as_bytes())
        };
        self.keys.iter().any(|key| is_in(&key))
    }
}

fn trace(route: &Route, record: &Record, business_key: Option<String>) -> Trace {
    Trace {
        at: record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        part: "kafka".to_owned(),
        what: "unread".to_owned(),
        business_key,
        contents: json!({
            "topic": route.settings.topic, "partition": record.partition, "offset": record.offset,
        }),
    }
}

fn screen(id: &str, traces: &[Trace], sentence: &str) -> String {
    let rows = traces.iter().map(|t| {
        vec![
            print::or_dash(t.at.map(print::short)),
            t.part.clone(),
            t.what.clone(),
            explain::details(&t.contents),
        ]
    });
    let said = print::visible(&format!("{id}: {sentence}"), true);
    let table = print::table_text(&["WHEN (UTC)", "WHERE", "WHAT", "DETAILS"], rows);
    format!("{}\n\n{table}", print::folded(&said))
}

fn object(t: &Trace) -> Value {
    json!({
        "at": t.at, "part": t.part, "what": t.what, "business_key": t.business_key,
        "contents": t.contents,
    })
}
