//! The life of one payment: everything that any table knows of it, and a sentence. Nothing here writes, no statement
//! runs for long, and each part is looked at for itself: what could not be looked at is said, and nothing is claimed of
//! it.

mod payments;
mod routes;
mod sentence;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::config::Inbox;

use crate::store::mapping::Looks;
use crate::store::report::reconcile as report;
pub use crate::store::report::reconcile::Trace;
use crate::store::{Fault, Store};
pub use payments::MOST;
pub use routes::{Others, traces};
use rules::envelope;
pub use sentence::sentence;

/// What people call the row of a payment, unless the mapping has another word.
const PURCHASE: &str = "purchase";
/// The longest text that is looked for.
pub const LONGEST: usize = 200;

/// Where to look, for one route.
#[derive(Clone)]
pub struct ExplainSources {
    /// The route, by whose mapping the host's tables are read.
    pub route: Inbox,
    /// What belongs to other routes, and says nothing of this one's row.
    pub others: Others,
    /// The database with the purchases.
    pub store: Store,
    /// The payments' database, if it is another one.
    pub source: Option<Store>,
    /// The outbox's database, if it is to be asked.
    pub outbox: Option<Store>,
    /// How the host's tables are read; or why that is not known.
    pub looks: Result<Looks, String>,
    /// Whether payments may be found by more than their own ids: by the outbox's keys, and by whatever lookup.sql takes. That
    /// may be a person's, whose payments are no stranger's business.
    pub by_person: bool,
    /// How long each part may take.
    pub patience: Duration,
    /// How long all may take together.
    pub until: Instant,
}

impl ExplainSources {
    /// What people call the row that an event of the route makes.
    pub fn row(&self) -> &str {
        self.looks.as_ref().ok().and_then(|looks| looks.row.as_deref()).unwrap_or(PURCHASE)
    }
}

/// Whether a text can be looked for at all.
pub fn is_usable(id: &str) -> bool {
    !id.trim().is_empty() && id.len() <= LONGEST && !id.contains(char::is_control)
}

/// Where something of a payment can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What makegood took in, put away or found.
    Own,
    /// The payment's row.
    Payment,
    /// The purchase's row.
    Purchase,
    /// Payments by something else than their ids.
    Lookup,
    /// Events on their way to Kafka.
    Outbox,
    /// Events on their way from Kafka.
    Kafka,
}

impl Part {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Part::Own => "makegood's own tables",
            Part::Payment => "the payment",
            Part::Purchase => "the purchase",
            Part::Lookup => "payments by anything but their ids",
            Part::Outbox => "the outbox",
            Part::Kafka => "Kafka",
        }
    }
}

/// A part that could not be looked at, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPart {
    /// Which.
    pub part: Part,
    /// Why.
    pub why: String,
}

impl MissingPart {
    /// As a line for people.
    pub fn line(&self) -> String {
        format!("not looked at: {} ({})", self.part.words(), self.why.trim_end_matches('.'))
    }
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// In the order of time.
    pub traces: Vec<Trace>,
    /// What could not be looked at.
    pub unseen: Vec<MissingPart>,
    /// The ids by which it was looked for.
    pub keys: Vec<String>,
    /// How many payments are not told of, for there are too many.
    pub more: usize,
    /// Whether there may be still more.
    pub may_be_more: bool,
    /// What people call the row that an event makes.
    pub row: String,
    /// The job that makes it good, where there are several.
    pub job: Option<String>,
}

/// Everything known, in the order of time. An event's id leads to its payment by the inbox, a purchase's, or whatever else
/// lookup.sql takes, by the host's tables, and the payments to all the rest.
pub async fn explain(places: &ExplainSources, id: &str) -> Life {
    let mut asked = vec![id.to_owned()];
    let event = envelope::id_as_given(id).to_string();
    if event != id {
        asked.push(event);
    }
    let (row, job) = (places.row().to_owned(), places.others.own_job());
    let mut life = Life { keys: asked.clone(), row, job, ..Life::default() };
    // The first round finds the payments' keys, the second everything under each.
    for key in &asked {
        life.own(places, key).await;
        life.host(places, key).await;
    }
    if !places.by_person {
        life.narrow(&asked);
    }
    life.keep(MOST);
    let found = life.payments();
    for key in found.iter().filter(|key| !asked.contains(key)) {
        life.own(places, key).await;
        life.host(places, key).await;
    }
    life.keep(MOST);
    life.tell_states(places).await;
    let known = life.payments();
    life.keys.extend(known.iter().cloned());
    let events = life.traces.iter().filter_map(|t| t.contents["eventId"].as_str());
    let events: Vec<String> = events.map(str::to_owned).collect();
    life.keys.extend(events);
    life.keys.sort();
    life.keys.dedup();
    if let Some(outbox) = &places.outbox {
        let payments = if places.by_person { life.keys.clone() } else { known };
        let asked = report::explain_outbox(outbox, &payments, &life.keys);
        match bounded(places, asked).await {
            Ok(found) => life.extend(places, found),
            Err(why) => life.hides(Part::Outbox, why),
        }
    }
    life.tidy();
    life
}

impl Life {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, traces: impl IntoIterator<Item = Trace>) {
        self.traces.extend(traces);
        self.tidy();
    }

    /// Says that a part could not be looked at.
    pub fn hides(&mut self, part: Part, why: String) {
        if self.is_seen(part) {
            self.unseen.push(MissingPart { part, why });
            self.unseen.sort_by_key(|unseen| unseen.part);
        }
    }

    /// Whether a part was looked at.
    pub fn is_seen(&self, part: Part) -> bool {
        self.unseen.iter().all(|unseen| unseen.part != part)
    }

    /// The first trace of this part.
    pub fn has(&self, part: &str) -> Option<&Trace> {
        self.traces.iter().find(|t| t.part == part)
    }

    fn tidy(&mut self) {
        let exact =
            |t: &Trace| (t.at, t.part.clone(), t.contents.to_string(), t.business_key.clone());
        self.traces.sort_by_cached_key(exact);
        self.traces.dedup_by(|a, b| exact(a) == exact(b));
    }

    /// Adds what is not another route's.
    fn extend(&mut self, places: &ExplainSources, found: Vec<Trace>) {
        self.traces.extend(places.others.leave(&places.route, found));
    }

    async fn own(&mut self, places: &ExplainSources, key: &str) {
        if !self.is_seen(Part::Own) {
            return;
        }
        match bounded(places, report::explain(&places.store, key)).await {
            Ok(found) => self.extend(places, found),
            Err(why) => self.hides(Part::Own, why),
        }
    }

    /// The host's rows: both by `lookup.sql` where payments and purchases are side by side, else each by its own file.
    async fn host(&mut self, places: &ExplainSources, key: &str) {
        let looks = match &places.looks {
            Ok(looks) => looks,
            Err(why) => {
                self.hides(Part::Payment, why.clone());
                return self.hides(Part::Purchase, why.clone());
            }
        };
        let (store, source) = (&places.store, places.source.as_ref().unwrap_or(&places.store));
        if let (None, Some(sql), true) = (&places.source, &looks.lookup, self.is_seen(Part::Lookup))
        {
            match bounded(places, report::lookup(store, sql, key)).await {
                Ok(found) => {
                    self.may_be_more |= found.len() >= report::MOST_ROWS;
                    return self.traces.extend(found);
                }
                Err(why) => self.hides(Part::Lookup, format!("lookup.sql: {why}")),
            }
        }
        let parts = [
            (Part::Payment, "payment", "payments.sql", source, &looks.payments),
            (Part::Purchase, "purchase", "purchases.sql", store, &looks.purchases),
        ];
        for (part, name, file, store, sql) in parts {
            if !self.is_seen(part) {
                continue;
            }
            let Some(sql) = sql else {
                let lacks = format!("the mapping has no {file}");
                self.hides(part, lacks);
                continue;
            };
            let key = [key.to_owned()];
            match bounded(places, report::of_part(store, looks.ask(sql), name, &key)).await {
                Ok(found) => self.traces.extend(found),
                Err(why) => self.hides(part, format!("{file}: {why}")),
            }
        }
    }

    /// Whether a payment counts as paid is what `payments.sql` says, if it says anything.
    async fn tell_states(&mut self, places: &ExplainSources) {
        let Ok(looks) = &places.looks else { return };
        let Some(sql) = &looks.payments else { return };
        let untold = self.traces.iter().filter(|t| t.part == "payment" && t.what.is_empty());
        let keys: BTreeSet<String> = untold.filter_map(|t| t.business_key.clone()).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        if keys.is_empty() {
            return;
        }
        let asked = report::of_part(&places.store, looks.ask(sql), "payment", &keys);
        let states = bounded(places, asked).await.unwrap_or_default();
        for payment in self.traces.iter_mut().filter(|t| t.part == "payment" && t.what.is_empty()) {
            let state = states.iter().find(|state| state.business_key == payment.business_key);
            payment.what = state.map(|state| state.what.clone()).unwrap_or_default();
        }
    }
}

/// An answer within the patience, or why there is none.
async fn bounded<T>(
    places: &ExplainSources,
    asked: impl Future<Output = Result<T, Fault>>,
) -> Result<T, String> {
    let until = places.until.min(Instant::now() + places.patience);
    match tokio::time::timeout_at(until, asked).await {
        Ok(answer) => answer.map_err(|fault| fault.to_string()),
        Err(_) => Err("there was no answer in time".to_owned()),
    }
}

/// What is filled of an object, as `name value` pairs.
pub fn details(contents: &Value) -> String {
    let Value::Object(fields) = contents else { return contents.to_string() };
    let pair = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    };
    fields.iter().filter_map(pair).collect::<Vec<_>>().join(", ")
}
