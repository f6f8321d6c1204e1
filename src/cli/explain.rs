//! `makegood explain ID`: the life of one payment on one screen.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Globals;
use super::print::{self, Format, Output};
use super::session::{self, Session};
use crate::explain::{self, Life, Places};
use crate::pure::problem::{Code, Problem};
use crate::store::Store;
use crate::store::mapping::{Looks, Mapping};
use crate::store::report::reconcile::Trace;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The rows of your own tables come through the mapping's lookup.sql, the rest through the inbox and the outbox.

Examples:
  makegood explain 6ba7b810-9dad-11d1-80b4-00c04fd430c8
  makegood explain 6ba7b810-9dad-11d1-80b4-00c04fd430c8 -o json")]
pub struct Args {
    /// The id of a payment, an event or a purchase
    id: String,
    /// The route; not needed if there is only one
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    let route = session.route(args.route.as_deref())?;
    let mapping = Mapping::load(route.mapping.as_deref())?;
    let source = session.source(route)?;
    if source.is_none() && mapping.looks.lookup.is_none() {
        say!("the mapping has no lookup.sql: rows of your own tables are not shown");
    }
    let places = places(&session, mapping.looks, source).await;
    let Life { traces, unseen } = explain::explain(&places, &args.id).await?;
    if let Some(problem) = unseen {
        untold(&problem);
    }
    if traces.is_empty() {
        return Err(Problem::new(Code::NotFound, format!("nothing is known of {}", args.id)).hint(
            "no payment, purchase or event has this id; one that has only just been paid may be on its way",
        ));
    }
    let verdict = explain::verdict(&traces);
    match args.output.output {
        Format::Table => print::data(&screen(&args.id, &traces, &verdict))?,
        Format::Json => print::document(json!({
            "id": args.id, "sentence": verdict,
            "events": traces.iter().map(object).collect::<Vec<_>>(),
        }))?,
        Format::Jsonl => print::lines(traces.iter().map(object))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The databases that know of it.
async fn places(session: &Session, looks: Looks, source: Option<Store>) -> Places {
    let outbox = match session.config.outbox.enabled {
        true => session::outbox(&session.config).await.map_err(|problem| untold(&problem)).ok(),
        false => None,
    };
    Places { store: session.store.clone(), source, outbox, looks, by_key: true }
}

/// The outbox's database may be another one, and away: then the rest is shown alone.
fn untold(problem: &Problem) {
    say!("the outbox is not shown: {}", problem.cause);
}

fn screen(id: &str, traces: &[Trace], verdict: &str) -> String {
    let mut text = format!("{verdict}\n\n");
    let rows = traces.iter().map(|t| {
        vec![
            print::or_dash(t.at.map(print::short)),
            t.part.clone(),
            t.what.clone(),
            explain::details(&t.contents),
        ]
    });
    text += &print::table_text(&["WHEN (UTC)", "WHERE", "WHAT", "DETAILS"], rows);
    print::visible(&format!("{id}: "), false) + &text
}

fn object(t: &Trace) -> Value {
    json!({
        "at": t.at, "part": t.part, "what": t.what, "business_key": t.business_key,
        "contents": t.contents,
    })
}
