//! Sends again what was parked, perhaps to another topic: first a plan, then the deed.

use super::super::print::Output;
use super::select::{EventSelection, confirmed, in_words, topic_of};
use crate::overview::start;
use crate::store::Store;
use crate::store::outbox::report;
use rules::problem::{Code, Problem};
use rules::produce_error::topic_fault;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: EventSelection,
    /// Send them to this topic instead
    #[arg(long, value_name = "TOPIC", requires = "topic")]
    to_topic: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// The topic whose events are sent to another one
    #[arg(long, value_name = "TOPIC", requires = "to_topic")]
    confirm: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(store: &Store, args: &Args) -> Result<(), Problem> {
    let to = args.to_topic.as_deref();
    if let Some(fault) = to.and_then(topic_fault) {
        return Err(Problem::new(Code::Usage, format!("no topic can have that name: {fault}")));
    }
    let (numbers, events) = args.which.find(store, &args.output).await?;
    if events.is_empty() {
        return Ok(());
    }
    let what = in_words(&events);
    if !args.execute {
        match to {
            None => {
                say!("{what} would be sent again, those of a key in this order; --execute does it")
            }
            Some(to) => say!(
                "{what} would be sent to topic {to}; --execute --confirm {} does it",
                topic_of(&events)?
            ),
        }
        return Ok(());
    }
    if let Some(to) = to {
        let does = format!("{what} go to topic {to} instead, for good");
        confirmed(topic_of(&events)?, args.confirm.as_deref(), &does)?;
    }
    let asked = report::retry(store, &numbers, to).await;
    asked.map_err(|fault| fault.problem("cannot ask for it to be sent again"))?;
    let status = report::status(store).await.map_err(super::unreadable)?;
    let when = match (status.relays.len() as i64) < status.shards {
        true => format!("no daemon relays the outbox, they go as soon as one does ({})", start()),
        false => "the relay sends them now".to_owned(),
    };
    say!("asked for {what}: {when}; what Kafka refuses once more stays in `makegood outbox list`");
    Ok(())
}
