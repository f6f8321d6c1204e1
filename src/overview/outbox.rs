//! The outbox's part of the overview. Its database may be away while the routes can be asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Sources, evaluate};
use crate::heartbeats::Heartbeats;
use crate::meter::recent;
use crate::store::outbox::report::{self, HeldTopic, RelayStatus, Status};
use rules::health::{Health, Verdict, outbox as health};
use rules::problem::Problem;

/// The outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The database it is in.
    pub place: String,
    /// The verdict.
    pub health: Health,
    /// What the database said, or why it said nothing.
    pub status: Result<Status, Problem>,
    /// How soon Kafka acknowledges what this process relays: half of it, and 99 of 100.
    pub acknowledging: Option<(Duration, Duration)>,
}

/// The most shards that an outbox may have.
const MOST_SHARDS: i16 = 8;

/// The name under which a relay shows signs of life.
pub fn relay_name(shard: i16) -> String {
    format!("relay {shard}")
}

/// Asks the database with the outbox; `None` where it is turned off.
pub(super) async fn gather(sources: &Sources) -> Option<Outbox> {
    let base = sources.outbox.as_ref()?;
    let status = base.ask(sources.patience, "the outbox", report::status).await;
    let health = match &status {
        Ok(status) => judge(status),
        Err(problem) => evaluate::unreachable(problem),
    };
    let acknowledging = recent::acknowledging();
    Some(Outbox { place: base.place(), health, status, acknowledging })
}

fn judge(status: &Status) -> Health {
    let length = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    health::judge(&health::OutboxFacts {
        relays: status.relays.len(),
        shards: usize::try_from(status.shards).unwrap_or_default(),
        seen: status.seen_age.map(length),
        held: status.trouble.as_ref().map(|(reason, advice)| (reason.as_str(), advice.as_str())),
        pending: status.pending,
        oldest: status.oldest_age.map(length),
        refused: status.refused,
        behind: status.parked - status.refused,
        was_relayed: status.was_relayed,
        unclaimed: status.unclaimed.as_ref().map(|unclaimed| {
            let refusal = unclaimed.refusal.as_ref();
            (unclaimed.sessions, refusal.map(|(reason, advice)| (reason.as_str(), advice.as_str())))
        }),
        topic: status.held.first().map(|held| {
            (held.topic.as_str(), held.events, held.reason.as_str(), held.advice.as_str())
        }),
        topics: status.held.len(),
        remark: status.remark.as_deref(),
        notify_queue: status.notify_queue,
        start: super::start(),
    })
}

impl Outbox {
    /// What keeps this process from relaying, where the database does not know of it.
    pub(super) fn add_own_trouble(&mut self, liveness: &Heartbeats) {
        let is_down = self.health.verdict == Verdict::Down;
        if !is_down && self.health.verdict >= Verdict::Held {
            return;
        }
        let mut shards = (0..MOST_SHARDS).map(relay_name);
        let Some(trouble) = shards.clone().find_map(|name| liveness.trouble(&name)) else {
            // This process runs: whatever the database knows of it, nobody need start it.
            if is_down && shards.any(|name| liveness.runs(&name)) {
                let sentence = "joining: this daemon is to relay the outbox and does not yet; if this lasts, its log says why";
                self.health = Health::new(Verdict::Joining, sentence);
            }
            return;
        };
        let (since, why) = (trouble.since, trouble.diagnosis);
        let said = format!("held: {}. {}", why.reason, why.advice);
        let sentence = said.trim_end().trim_end_matches('.').to_owned();
        self.health = Health::new(Verdict::Held, sentence)
            .because(&why.reason, &why.advice)
            .lasting(Some(since.elapsed()));
    }

    /// For a program.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "database": self.place, "verdict": self.health.verdict.as_str(),
            "ok": self.health.verdict.is_fine(), "sentence": self.health.sentence,
            "error": self.status.as_ref().err().map(|problem| &problem.reason),
        });
        if let Ok(s) = &self.status {
            let relay = |r: &RelayStatus| json!({"shard": r.shard, "host": r.host, "pid": r.pid, "epoch": r.epoch});
            object["pending"] = json!(s.pending);
            object["pending_bytes"] = json!(s.pending_bytes);
            object["oldest_age_seconds"] = json!(s.oldest_age);
            object["in_flight"] = json!(s.in_flight);
            object["parked"] = json!(s.parked);
            object["refused"] = json!(s.refused);
            object["published"] = json!(s.published);
            object["reason"] = json!(s.trouble.as_ref().map(|(reason, _)| reason));
            object["advice"] = json!(s.trouble.as_ref().map(|(_, advice)| advice));
            object["shards"] = json!(s.shards);
            object["relays"] = s.relays.iter().map(relay).collect();
            let topic = |h: &HeldTopic| json!({"topic": h.topic, "events": h.events, "reason": h.reason, "advice": h.advice, "held_seconds": h.held_for});
            object["held_topics"] = s.held.iter().map(topic).collect();
            object["remark"] = json!(s.remark);
            object["notify_queue_usage"] = json!(s.notify_queue);
            object["relay_seen_at"] = json!(s.seen_at);
        }
        object
    }
}
