//! Lets a route go on that is held for too many bad records.

use serde_json::json;

use crate::cli::print::{self, Format, Output};
use crate::cli::session::Session;
use crate::pure::problem::{Code, Problem};
use crate::store::report::{self, decisions};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A route holds when most of what it read lately cannot be applied (max_quarantine). Better than this: mend the
mapping, send the daemon SIGHUP, and the route goes on by itself. Accepting puts the bad records into
quarantine, from which they can be replayed; it is valid until fewer of them are bad, and written down.

Examples:
  makegood quarantine accept purchase-confirmed
  makegood quarantine accept purchase-confirmed --execute --why 'the producer sends them again'")]
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
            .hint(format!("the routes are: {}", known.join(", "))));
    }
    let reasons = status.workers.iter().filter(|w| w.alive && w.route == *route);
    let held = reasons.filter_map(|w| w.reason.as_ref()).find(|r| r.contains("max_quarantine"));
    let Some(held) = held else {
        return Err(Problem::new(
            Code::NotFound,
            format!("the route {route} is not held for bad records; there is nothing to accept"),
        )
        .hint("`makegood status` says what it is at"));
    };
    eprintln!("{route} is held: {held}");
    if !args.execute {
        eprintln!("--execute has them put into quarantine, until fewer are bad");
        return Ok(());
    }
    let accepted = decisions::accept(&session.store, route, args.why.as_deref()).await;
    let decision = accepted.map_err(|fault| fault.problem("cannot accept"))?;
    match args.output.output {
        Format::Table => print::data(&format!("decision {decision}\n"))?,
        Format::Json => print::document(json!({ "decision": decision, "route": route }))?,
        Format::Jsonl => {
            print::lines(std::iter::once(json!({ "decision": decision, "route": route })))?
        }
    }
    eprintln!("accepted; the route goes on within ten seconds");
    Ok(())
}
