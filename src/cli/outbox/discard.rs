//! Gives events up: first a plan, then the deed, which a person confirms.

use super::super::print::Output;
use super::select::{EventSelection, confirmed, in_words, topic_of};
use crate::store::Store;
use crate::store::outbox::report;
use rules::problem::{Code, Problem};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: EventSelection,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// The topic whose events are given up
    #[arg(long, value_name = "TOPIC")]
    confirm: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(store: &Store, args: &Args) -> Result<(), Problem> {
    let (numbers, events) = args.which.find(store, &args.output).await?;
    if events.is_empty() {
        return Ok(());
    }
    let (what, topic) = (in_words(&events), topic_of(&events)?);
    if !args.execute {
        say!("{what} would be given up; --execute --confirm {topic} --why TEXT does it");
        return Ok(());
    }
    let Some(why) = args.why.as_deref().map(str::trim).filter(|why| !why.is_empty()) else {
        return Err(Problem::new(Code::Usage, "--why is missing")
            .advice("say why, for those who look at it later: --why TEXT"));
    };
    confirmed(topic, args.confirm.as_deref(), &format!("{what}: this gives up payments"))?;
    let done = report::discard(store, &numbers, why).await;
    let done = done.map_err(|fault| fault.problem("nothing was given up"))?;
    say!("gave up {done} of {what}; the rest had gone by then");
    Ok(())
}
