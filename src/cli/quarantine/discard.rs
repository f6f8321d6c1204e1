//! Gives records up: first a plan, then the deed, which a person confirms.

use std::collections::BTreeSet;

use super::select::CaseSelection;
use super::sheet::records;
use crate::cli::print::{self, Format, Output};
use crate::cli::session::Session;
use crate::store::report::decisions;
use crate::store::report::quarantine::Case;
use rules::ids::CaseId;
use rules::problem::{Code, Problem};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A record that is given up stays where it is, with its bytes, its date and your
reason, and is not asked about any more; `quarantine replay --id` takes it back.
If its payment stands in the payments table, the reconciler may still make it
good; an event that was made from a payment is given up together with its
finding.

Examples:
  makegood quarantine discard --reason schema_framing
  makegood quarantine discard --id 42 --why 'a test of the billing team' \\
    --execute --confirm purchase-confirmed")]
pub struct Args {
    #[command(flatten)]
    which: CaseSelection,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// The route whose payments are given up
    #[arg(long, value_name = "ROUTE")]
    confirm: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub async fn run(session: &Session, args: &Args) -> Result<(), Problem> {
    let cases = args.which.find(session, false).await?;
    let objects = || cases.iter().map(super::object);
    match args.output.output {
        Format::Table if cases.is_empty() => {}
        Format::Table => super::table(&cases, false)?,
        Format::Json => print::json("records", objects().collect())?,
        Format::Jsonl => print::lines(objects())?,
    }
    let Some(route) = route_of(&cases)? else {
        say!("no such record waits in quarantine");
        return Ok(());
    };
    let what = format!("{} of the route {route}", records(cases.len()));
    if !args.execute {
        say!("{what} would be given up; --execute --confirm {route} --why TEXT does it");
        return Ok(());
    }
    let why = args.why.as_deref().map(str::trim).filter(|why| !why.is_empty());
    match (why, args.confirm.as_deref()) {
        (Some(why), Some(confirmed)) if confirmed == route => {
            let ids: Vec<CaseId> = cases.iter().map(|case| case.id).collect();
            let done = decisions::discard(&session.store, &ids, why).await;
            let done = done.map_err(|fault| fault.problem("nothing was given up"))?;
            if done < ids.len() {
                return Err(super::noted(ids.len() - done));
            }
            say!("{what} given up");
            Ok(())
        }
        (None, _) => Err(Problem::new(Code::Usage, "--why is missing")
            .advice("say why, for those who look at it later: --why TEXT")),
        _ => Err(Problem::new(Code::Confirmation, format!("{what}: this gives up payments"))
            .advice(format!("if that is meant, add --confirm {route}"))),
    }
}

/// The one route that the records are of.
fn route_of(cases: &[Case]) -> Result<Option<&str>, Problem> {
    let routes: BTreeSet<&str> = cases.iter().map(|case| case.route.as_str()).collect();
    if routes.len() > 1 {
        let list = routes.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Problem::new(
            Code::Usage,
            format!("these records are of several routes: {list}"),
        )
        .advice("give up those of one route at a time: --route NAME"));
    }
    Ok(routes.into_iter().next())
}
