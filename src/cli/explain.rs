//! `makegood explain ID`: the life of one payment, or of those of a student, on one screen.

mod answer;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::print::{self, Format, Output};
use super::session::{self, Session};
use super::{Globals, progress};
use crate::config::Inbox;
use crate::doctor::waiting;
use crate::explain::{self, ExplainSources, LONGEST, Life, Others, Part, Trace};
use crate::ingest::Route;
use crate::store::Store;
use crate::store::inbox::Entry;
use crate::store::mapping::{Looks, Mapping};
use answer::RouteAnswer;
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
Where lookup.sql says how, ID is a student, an e-mail address or an invoice as
well: examples/support has one. The latest 20 payments are told of.

Examples:
  makegood explain 6ba7b810-9dad-11d1-80b4-00c04fd430c8
  makegood explain 6ba7b810-9dad-11d1-80b4-00c04fd430c8 -o json
  makegood explain maria@example.org")]
pub struct Args {
    /// The id of a payment, an event or a purchase, or what else lookup.sql takes
    id: String,
    /// One route only; without it every route is asked
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    if !explain::is_usable(&args.id) {
        let cause = format!(
            "that is no id: one has at most {LONGEST} characters, and no control characters"
        );
        return Err(Problem::new(Code::Usage, cause));
    }
    let session = Session::open_to_read(globals).await?;
    let routes = match args.route.as_deref() {
        Some(name) => vec![session.route(Some(name))?],
        None => session.config.inbox.iter().collect(),
    };
    let (outbox, hidden) = outbox(&session).await;
    let each = routes.into_iter().map(|route| tell(&session, route, outbox.clone(), &args.id));
    let mut answers = futures_util::future::try_join_all(each).await?;
    if let Some(why) = hidden {
        answers.iter_mut().for_each(|(_, life)| life.hides(Part::Outbox, why.clone()));
    }
    let unseen = answer::unseen(&answers);
    if answers.iter().all(|(_, life)| life.traces.is_empty()) {
        let (cause, hint) = match unseen.is_empty() {
            true => ("", "no payment, purchase or event has this id; one that has only just been paid may be on its way".to_owned()),
            false => (" where it could be looked", unseen.join("\n")),
        };
        let cause = format!("nothing is known of {}{cause}", args.id);
        return Err(Problem::new(Code::NotFound, cause).advice(hint));
    }
    match args.output.output {
        Format::Table => {
            print::data(&answer::screen(&args.id, &answers))?;
            if !unseen.is_empty() {
                say!("{}", unseen.join("\n"));
            }
        }
        Format::Json => print::document(answer::document(&args.id, &answers))?,
        Format::Jsonl => print::lines(answer::objects(&answers).into_iter())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The outbox's database; or why it does not answer, which may be another one than that with the purchases.
async fn outbox(session: &Session) -> (Option<Store>, Option<String>) {
    if !session.config.outbox.enabled {
        return (None, None);
    }
    match session::outbox(&session.config).await {
        Ok(outbox) => (Some(outbox), None),
        Err(problem) => (None, Some(problem.reason)),
    }
}

/// What one route knows.
async fn tell(
    session: &Session,
    route: &Inbox,
    outbox: Option<Store>,
    id: &str,
) -> Result<RouteAnswer, Problem> {
    let places = ExplainSources {
        route: route.clone(),
        others: Others::than(route, &session.config),
        store: session.store.clone(),
        source: session.source(route)?,
        outbox,
        looks: Looks::of(route.mapping.as_deref()).map_err(|problem| problem.reason),
        by_person: true,
        patience: PATIENCE,
        until: Instant::now() + PATIENCE * 4,
    };
    let mut life = explain::explain(&places, id).await;
    if !life.is_settled() {
        search(session, route, &mut life).await;
    }
    Ok((route.name.clone(), life))
}

/// Looks for its event among those that the route has not read yet.
async fn search(session: &Session, route: &Inbox, life: &mut Life) {
    let route =
        Arc::new(Route::unwatched(RouteId::default(), route.clone()).on(&session.config.kafka));
    progress::step(format!(
        "searching the records of {} that are not read yet",
        route.settings.topic
    ));
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
