//! Lets a route go on that is held for too many suspects.

use serde_json::json;

use crate::cli::print::{self, Format, Output};
use crate::cli::session::Session;
use crate::store::report::{self, decisions};
use rules::problem::{Code, Problem};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A route is held while too many refused records wait for a proof that the world
works. Better than this: mend what refuses them, and they are made good by
themselves. Accepting puts what is refused into quarantine without that proof;
it is valid until a record is applied, and written down. What was put away is
still tried again by itself.

Examples:
  makegood quarantine accept purchase-confirmed
  makegood quarantine accept purchase-confirmed --execute \\
    --why 'the producer sends them again'")]
pub struct Args {
    /// The route that is held
    route: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    output: Output,
}

pub async fn run(session: &Session, args: &Args) -> Result<(), Problem> {
    let route = &args.route;
    let status = report::read(&session.store).await.map_err(super::unreadable)?;
    if !status.routes.iter().any(|known| known.name == *route) {
        let known: Vec<&str> = status.routes.iter().map(|r| r.name.as_str()).collect();
        return Err(Problem::new(Code::NotFound, format!("no daemon ever ran a route {route}"))
            .advice(format!("the routes are: {}", known.join(", "))));
    }
    let Some(waiting) = status.suspects.iter().find(|suspects| suspects.route == *route) else {
        return Err(Problem::new(
            Code::NotFound,
            format!("no refused record of the route {route} waits for a verdict; there is nothing to accept"),
        )
        .advice("`makegood status` says what it is at"));
    };
    say!("{} refused records of {route} wait for a verdict: {}", waiting.records, waiting.detail);
    if !args.execute {
        say!(
            "--execute has them put into quarantine, and what is refused after them, until a record is applied"
        );
        return Ok(());
    }
    let accepted = decisions::accept(&session.store, route, args.why.as_deref()).await;
    let Some(decision) = accepted.map_err(|fault| fault.problem("cannot accept"))? else {
        return Err(super::noted(1));
    };
    match args.output.output {
        Format::Table => print::data(&format!("decision {decision}\n"))?,
        Format::Json => print::document(json!({ "decision": decision, "route": route }))?,
        Format::Jsonl => {
            print::lines(std::iter::once(json!({ "decision": decision, "route": route })))?
        }
    }
    say!("accepted; the route goes on within ten seconds");
    Ok(())
}
