//! Which of the events that do not go a command is about.

use std::collections::BTreeSet;

use super::super::print::{self, Format, Output};
use crate::store::Store;
use crate::store::outbox::report::{self, Event};
use rules::problem::{Code, Problem};

#[derive(Debug, clap::Args)]
pub struct EventSelection {
    /// A key, or an event's id
    #[arg(value_name = "KEY_OR_ID", required_unless_present_any = ["all", "topic"], conflicts_with = "all")]
    of: Option<String>,
    /// Only events of this topic
    #[arg(long, conflicts_with = "all")]
    topic: Option<String>,
    /// Everything that was parked or is held
    #[arg(long)]
    all: bool,
}

impl EventSelection {
    /// Finds and prints them, each with its number; none where nothing waits at all.
    pub(super) async fn find(
        &self,
        store: &Store,
        output: &Output,
    ) -> Result<(Vec<i64>, Vec<Event>), Problem> {
        let found = report::retryable(store, self.of.as_deref(), self.topic.as_deref()).await;
        let (numbers, events): (Vec<i64>, Vec<Event>) =
            found.map_err(super::unreadable)?.into_iter().unzip();
        if events.is_empty() && !self.all {
            let parts = [("key or id", &self.of), ("topic", &self.topic)];
            let parts =
                parts.iter().filter_map(|(what, name)| Some(format!("{what} {}", name.as_ref()?)));
            let cause = format!("nothing of {} is parked", parts.collect::<Vec<_>>().join(", "));
            return Err(
                Problem::new(Code::NotFound, cause).advice("`makegood outbox list` shows what is")
            );
        }
        match output.output {
            Format::Table if events.is_empty() => {}
            Format::Table => super::table(&events)?,
            Format::Json => print::json("events", events.iter().map(super::object).collect())?,
            Format::Jsonl => print::lines(events.iter().map(super::object))?,
        }
        if events.is_empty() {
            say!("nothing is parked");
        }
        Ok((numbers, events))
    }
}

/// How many events of how many keys.
pub(super) fn in_words(events: &[Event]) -> String {
    let keys: BTreeSet<_> = events.iter().filter(|e| e.key.is_some()).map(place).collect();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match keys.len() {
        0 => count(events.len(), "event"),
        n => format!("{} of {}", count(events.len(), "event"), count(n, "key")),
    }
}

fn place(event: &Event) -> (&str, Option<&str>) {
    (&event.topic, event.key.as_deref())
}

/// The one topic that the events are of: what is done to it takes its name to confirm.
pub(super) fn topic_of(events: &[Event]) -> Result<&str, Problem> {
    let topics: BTreeSet<&str> = events.iter().map(|event| event.topic.as_str()).collect();
    match topics.iter().next() {
        Some(topic) if topics.len() == 1 => Ok(topic),
        _ => {
            let list = topics.into_iter().collect::<Vec<_>>().join(", ");
            Err(Problem::new(Code::Usage, format!("these events are of several topics: {list}"))
                .advice("take those of one topic at a time: --topic NAME"))
        }
    }
}

/// Whether the topic's name was given to confirm what `does` says.
pub(super) fn confirmed(topic: &str, given: Option<&str>, does: &str) -> Result<(), Problem> {
    if given == Some(topic) {
        return Ok(());
    }
    Err(Problem::new(Code::Confirmation, does.to_owned())
        .advice(format!("if that is meant, add --confirm {topic}")))
}
