//! What somebody is told: the verdict, and nothing of any payment.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::overview::{Overview, RouteOverview, Snapshot};
use rules::alarm::Call;

/// What to do where the sentence does not say it.
const ADVICE: &str = "look at `makegood status`, then at docs/runbook.md";

/// One word to somebody.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub call: Call,
    /// The verdict in one sentence, as `makegood status` has it.
    pub sentence: String,
    /// The verdict in a word.
    pub verdict: &'static str,
    since: Timestamp,
    host: String,
    advice: String,
    routes: Vec<Value>,
}

impl Message {
    pub(super) fn new(call: Call, snapshot: &Snapshot, overview: &Overview, host: &str) -> Message {
        let mut routes: Vec<Value> = overview.routes.iter().map(route).collect();
        routes.extend(overview.outbox.iter().map(|outbox| {
            let health = &outbox.health;
            json!({ "route": null, "verdict": health.verdict.as_str(), "sentence": health.sentence })
        }));
        Message {
            call,
            sentence: overview.headline(),
            verdict: overview.worst().map_or("ok", |verdict| verdict.as_str()),
            since: snapshot.since,
            host: host.to_owned(),
            advice: if call == Call::Well { String::new() } else { advice(overview) },
            routes,
        }
    }

    /// For programs and chats; the names are stable, new ones may come.
    pub(super) fn json(&self) -> Value {
        let well = if self.call == Call::Well { "well again: " } else { "" };
        json!({
            "schema_version": 1,
            "event": self.call.as_str(),
            "ok": self.call == Call::Well,
            // What chats show of a webhook.
            "text": format!("makegood on {}: {well}{}", self.host, self.sentence),
            "sentence": self.sentence,
            "verdict": self.verdict,
            "since": self.since,
            "host": self.host,
            "advice": self.advice,
            "parts": self.routes,
        })
    }

    /// For the environment of a command.
    pub(super) fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("MAKEGOOD_ALERT_EVENT", self.call.as_str().to_owned()),
            ("MAKEGOOD_ALERT_VERDICT", self.verdict.to_owned()),
            ("MAKEGOOD_ALERT_SENTENCE", self.sentence.replace('\0', " ")),
            ("MAKEGOOD_ALERT_HOST", self.host.clone()),
        ]
    }
}

fn route(route: &RouteOverview) -> Value {
    let health = &route.health;
    json!({
        "route": route.name, "verdict": health.verdict.as_str(), "sentence": health.sentence,
    })
}

/// What a daemon says to do, or what would mend the refusal of a suspect.
fn route_advice(route: &RouteOverview) -> Option<&str> {
    let mut alive = route.workers.iter().filter(|worker| worker.alive);
    let said = alive.find_map(|worker| worker.advice.as_deref());
    said.or_else(|| route.suspects.as_ref().map(|suspects| suspects.advice.as_str()))
}

/// What whoever holds the worst route says to do, or the one who could not be reached.
fn advice(overview: &Overview) -> String {
    let trouble = overview.trouble.as_ref().map(|problem| problem.advice.as_str());
    let mut routes =
        overview.routes.iter().filter(|route| Some(route.health.verdict) == overview.worst());
    let said = trouble.or_else(|| routes.find_map(route_advice));
    said.filter(|text| !text.is_empty()).unwrap_or(ADVICE).to_owned()
}
