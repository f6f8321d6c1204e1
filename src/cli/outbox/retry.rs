//! Sends again what was set aside: first a plan, then the deed.

use std::collections::BTreeSet;

use super::super::print::{self, Format, Output};
use crate::pure::problem::{Code, Problem};
use crate::store::Store;
use crate::store::outbox::report::{self, Event};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A key, or an event's id
    #[arg(value_name = "KEY_OR_ID", required_unless_present = "all", conflicts_with = "all")]
    of: Option<String>,
    /// Everything that was set aside
    #[arg(long)]
    all: bool,
    /// Do it
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(store: &Store, args: &Args) -> Result<(), Problem> {
    let plan = report::parked(store, args.of.as_deref(), None).await.map_err(super::unreadable)?;
    let (numbers, events): (Vec<i64>, Vec<Event>) = plan.into_iter().unzip();
    if let Some(of) = args.of.as_ref().filter(|_| events.is_empty()) {
        let cause = format!("nothing of key or id {of} is set aside");
        return Err(Problem::new(Code::NotFound, cause)
            .hint("`makegood outbox list --set-aside` shows what is"));
    }
    match args.output.output {
        Format::Table if events.is_empty() => {}
        Format::Table => super::table(&events)?,
        Format::Json => print::json("events", events.iter().map(super::object).collect())?,
        Format::Jsonl => print::lines(events.iter().map(super::object))?,
    }
    if events.is_empty() {
        eprintln!("nothing is set aside");
        return Ok(());
    }
    let what = in_words(&events);
    if !args.execute {
        eprintln!("{what} would be sent again, those of a key in this order; --execute does it");
        return Ok(());
    }
    let asked = report::retry(store, &numbers, None).await;
    asked.map_err(|fault| fault.problem("cannot ask for it to be sent again"))?;
    let status = report::status(store).await.map_err(super::unreadable)?;
    let when = match (status.relays.len() as i64) < status.shards {
        true => "no daemon relays the outbox, they go as soon as one does (makegood run)",
        false => "the relay sends them now",
    };
    eprintln!(
        "asked for {what}: {when}; what Kafka refuses once more stays in `makegood outbox list --set-aside`"
    );
    Ok(())
}

/// How many events of how many keys.
fn in_words(events: &[Event]) -> String {
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
