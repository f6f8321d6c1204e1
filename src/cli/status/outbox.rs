//! The outbox's part of the overview. Its database may be away while the routes can be asked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{print, session};
use crate::config::Config;
use crate::pure::problem::Problem;
use crate::pure::standing::{Standing, outbox as standing};
use crate::store::connect;
use crate::store::outbox::report::{self, Relay, Status};

/// The outbox.
pub struct Outbox {
    /// The database it is in.
    place: String,
    pub standing: Standing,
    /// What the database said, or why it said nothing.
    status: Result<Status, Problem>,
}

/// Asks the database with the outbox; `None` where it is turned off.
pub async fn gather(config: &Config) -> Option<Outbox> {
    if !config.outbox.enabled {
        return None;
    }
    let status = ask(config).await;
    let standing = match &status {
        Ok(status) => judge(status),
        Err(Problem { cause, hint, .. }) if hint.is_empty() => standing::unknown(cause),
        Err(Problem { cause, hint, .. }) => standing::unknown(&format!("{cause}; {hint}")),
    };
    Some(Outbox { place: connect::place(config.outbox_database()), standing, status })
}

async fn ask(config: &Config) -> Result<Status, Problem> {
    let store = session::outbox(config).await?;
    report::status(&store).await.map_err(|fault| fault.problem("cannot read the outbox"))
}

fn judge(status: &Status) -> Standing {
    let length = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    standing::judge(&standing::Outbox {
        relays: status.relays.len(),
        shards: usize::try_from(status.shards).unwrap_or_default(),
        seen: status.seen_age.map(length),
        held: status.trouble.as_ref().map(|(reason, advice)| (reason.as_str(), advice.as_str())),
        pending: status.pending,
        oldest: status.oldest_age.map(length),
        refused: status.refused,
        behind: status.set_aside - status.refused,
    })
}

impl Outbox {
    /// For a screen.
    pub fn screen(&self) -> String {
        let head = format!("\noutbox (in {})\n{}\n", self.place, self.standing.sentence);
        let mut text = print::visible(&head, true);
        let Ok(status) = &self.status else { return text };
        let relay = |r: &Relay| {
            let shard = match status.shards {
                1 => String::new(),
                _ => format!("shard {}: ", r.shard),
            };
            format!("{shard}{}, process {}, epoch {}", r.host, r.pid, r.epoch)
        };
        let relays: Vec<String> = status.relays.iter().map(relay).collect();
        let pending = match status.pending {
            0 => "0".to_owned(),
            n => format!("{n} ({} bytes)", status.pending_bytes),
        };
        let aside = match status.set_aside {
            0 => "0".to_owned(),
            n => format!("{n}, of which Kafka refused {}", status.refused),
        };
        text.push('\n');
        text += &print::sheet(&[
            ("pending", pending),
            ("oldest", print::or_dash(status.oldest_age.map(print::seconds))),
            ("in flight", status.in_flight.to_string()),
            ("set aside", aside),
            ("published", status.published.to_string()),
            ("relayed by", print::or_dash((!relays.is_empty()).then(|| relays.join("; ")))),
        ]);
        text
    }

    /// For a program.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "database": self.place, "verdict": self.standing.word.as_str(),
            "ok": self.standing.word.is_fine(), "sentence": self.standing.sentence,
            "error": self.status.as_ref().err().map(|problem| &problem.cause),
        });
        if let Ok(s) = &self.status {
            let relay = |r: &Relay| json!({"shard": r.shard, "host": r.host, "pid": r.pid, "epoch": r.epoch});
            object["pending"] = json!(s.pending);
            object["pending_bytes"] = json!(s.pending_bytes);
            object["oldest_age_seconds"] = json!(s.oldest_age);
            object["in_flight"] = json!(s.in_flight);
            object["set_aside"] = json!(s.set_aside);
            object["refused"] = json!(s.refused);
            object["published"] = json!(s.published);
            object["reason"] = json!(s.trouble.as_ref().map(|(reason, _)| reason));
            object["advice"] = json!(s.trouble.as_ref().map(|(_, advice)| advice));
            object["shards"] = json!(s.shards);
            object["relays"] = s.relays.iter().map(relay).collect();
            object["relay_seen_at"] = json!(s.seen_at);
        }
        object
    }
}
