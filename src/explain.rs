//! The life of one payment: everything that any table knows of it, and a sentence. Nothing here writes, no statement
//! runs for long, and each part is looked at for itself: what could not be looked at is said, and nothing is claimed of
//! it.

mod sentence;

use std::time::Duration;

use serde_json::Value;

use crate::store::mapping::Looks;
use crate::store::report::reconcile as report;
pub use crate::store::report::reconcile::Trace;
use crate::store::{Fault, Store};
use rules::envelope;
pub use sentence::sentence;

/// Where to look.
#[derive(Clone)]
pub struct Places {
    /// The database with the purchases.
    pub store: Store,
    /// The payments' database, if it is another one.
    pub source: Option<Store>,
    /// The outbox's database, if it is to be asked.
    pub outbox: Option<Store>,
    /// How the host's tables are read; or why that is not known.
    pub looks: Result<Looks, String>,
    /// Whether the outbox's events may be found by any key. It may be a person's, whose events are no stranger's business;
    /// by the key of a payment that is known they always may.
    pub by_key: bool,
    /// How long each part may take.
    pub patience: Duration,
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
            Part::Outbox => "the outbox",
            Part::Kafka => "Kafka",
        }
    }
}

/// A part that could not be looked at, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Which.
    pub part: Part,
    /// Why.
    pub why: String,
}

impl Unseen {
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
    pub unseen: Vec<Unseen>,
    /// The ids by which it was looked for.
    pub keys: Vec<String>,
}

/// Everything known, in the order of time. An event's id leads to its payment by the inbox, a
/// purchase's by the host's tables, and the payment to all the rest.
pub async fn explain(places: &Places, id: &str) -> Life {
    let mut life = Life { keys: vec![id.to_owned()], ..Life::default() };
    let event = envelope::id_as_given(id).to_string();
    if event != id {
        life.keys.push(event);
    }
    // The first round finds the payment's key, the second everything under it.
    for _ in 0..2 {
        life.traces.clear();
        for key in life.keys.clone() {
            life.own(places, &key).await;
            life.host(places, &key).await;
        }
        let known = life.traces.iter().filter_map(|t| t.business_key.clone());
        life.keys = known.chain(std::mem::take(&mut life.keys)).collect();
        life.keys.sort();
        life.keys.dedup();
    }
    let known: Vec<String> = life.traces.iter().filter_map(|t| t.business_key.clone()).collect();
    let events = life.traces.iter().filter_map(|t| t.contents["eventId"].as_str());
    let events: Vec<String> = events.map(str::to_owned).collect();
    life.keys.extend(events);
    if let Some(outbox) = &places.outbox {
        let payments = if places.by_key { life.keys.clone() } else { known };
        let asked = report::explain_outbox(outbox, &payments, &life.keys);
        match bounded(places, asked).await {
            Ok(found) => life.traces.extend(found),
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
            self.unseen.push(Unseen { part, why });
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
        self.traces.sort_by(|a, b| (a.at, &a.part).cmp(&(b.at, &b.part)));
        self.traces.dedup_by(|a, b| a.part == b.part && a.at == b.at && a.contents == b.contents);
    }

    async fn own(&mut self, places: &Places, key: &str) {
        if !self.is_seen(Part::Own) {
            return;
        }
        match bounded(places, report::explain(&places.store, key)).await {
            Ok(found) => self.traces.extend(found),
            Err(why) => self.hides(Part::Own, why),
        }
    }

    /// The host's rows: both by `lookup.sql` where payments and purchases are side by side, else each by its own file.
    async fn host(&mut self, places: &Places, key: &str) {
        let looks = match &places.looks {
            Ok(looks) => looks,
            Err(why) => {
                self.hides(Part::Payment, why.clone());
                return self.hides(Part::Purchase, why.clone());
            }
        };
        let (store, source) = (&places.store, places.source.as_ref().unwrap_or(&places.store));
        if let (None, Some(sql)) = (&places.source, &looks.lookup)
            && let Ok(mut found) = bounded(places, report::lookup(store, sql, key)).await
        {
            self.tell_state(places, looks, &mut found).await;
            return self.traces.extend(found);
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
            match bounded(places, report::by_key(store, looks.ask(sql), name, key)).await {
                Ok(found) => self.traces.extend(found),
                Err(why) => self.hides(part, format!("{file}: {why}")),
            }
        }
    }

    /// Whether a payment counts as paid is what `payments.sql` says, if it says anything.
    async fn tell_state(&self, places: &Places, looks: &Looks, found: &mut [Trace]) {
        let payment = found.iter_mut().find(|t| t.part == "payment");
        let (Some(payment), Some(sql)) = (payment, &looks.payments) else { return };
        let Some(key) = payment.business_key.clone() else { return };
        let asked =
            bounded(places, report::by_key(&places.store, looks.ask(sql), "payment", &key)).await;
        if let Some(state) = asked.unwrap_or_default().first() {
            payment.what = state.what.clone();
        }
    }
}

/// An answer within the patience, or why there is none.
async fn bounded<T>(
    places: &Places,
    asked: impl Future<Output = Result<T, Fault>>,
) -> Result<T, String> {
    match tokio::time::timeout(places.patience, asked).await {
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
