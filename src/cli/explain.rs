//! `makegood explain ID`: the life of one payment on one screen.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Globals;
use super::print::{self, Format, Output};
use super::session::{self, Session};
use crate::pure::envelope;
use crate::pure::problem::{Code, Problem};
use crate::store::Store;
use crate::store::mapping::Mapping;
use crate::store::report::reconcile::{self as report, Trace};

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
    let mapping = Mapping::load(&route.mapping)?;
    let source = session.source(route)?;
    if source.is_none() && mapping.looks.lookup.is_none() {
        eprintln!("the mapping has no lookup.sql: rows of your own tables are not shown");
    }
    let traces = gather(&session, &mapping, source.as_ref(), &args.id).await?;
    if traces.is_empty() {
        return Err(Problem::new(Code::NotFound, format!("nothing is known of {}", args.id)).hint(
            "no payment, purchase or event has this id; one that has only just been paid may be on its way",
        ));
    }
    let verdict = verdict(&traces);
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

/// Everything known, in the order of time. An event's id leads to its payment by the inbox, a
/// purchase's by the host's tables, and the payment to all the rest.
async fn gather(
    session: &Session,
    mapping: &Mapping,
    source: Option<&Store>,
    id: &str,
) -> Result<Vec<Trace>, Problem> {
    let mut keys = vec![id.to_owned()];
    let event = envelope::id_as_given(id).to_string();
    if event != id {
        keys.push(event);
    }
    let mut traces: Vec<Trace> = Vec::new();
    // The first round finds the payment's key, the second everything under it.
    for _ in 0..2 {
        traces.clear();
        for key in &keys {
            traces.extend(report::explain(&session.store, key).await.map_err(unreadable)?);
            let host = match (source, &mapping.looks.lookup) {
                (Some(source), _) => {
                    report::lookup_elsewhere(&session.store, source, &mapping.looks, key).await
                }
                (None, Some(sql)) => report::lookup(&session.store, sql, key).await,
                (None, None) => Ok(Vec::new()),
            };
            traces.extend(host.map_err(|f| f.problem("the host's rows cannot be read"))?);
        }
        keys = traces.iter().filter_map(|t| t.business_key.clone()).chain(keys).collect();
        keys.sort();
        keys.dedup();
    }
    let events = traces.iter().filter_map(|t| t.contents["eventId"].as_str().map(str::to_owned));
    keys.extend(events.collect::<Vec<_>>());
    traces.extend(in_outbox(session, &keys).await);
    traces.sort_by(|a, b| (a.at, &a.part).cmp(&(b.at, &b.part)));
    traces.dedup_by(|a, b| a.part == b.part && a.at == b.at && a.contents == b.contents);
    Ok(traces)
}

/// What the outbox knows of it. Its database may be another one, and away: then the rest is shown alone.
async fn in_outbox(session: &Session, ids: &[String]) -> Vec<Trace> {
    if !session.config.outbox.enabled {
        return Vec::new();
    }
    let found = match session::outbox(&session.config).await {
        Ok(store) => report::explain_outbox(&store, ids).await.map_err(unreadable),
        Err(problem) => Err(problem),
    };
    found.unwrap_or_else(|problem| {
        eprintln!("the outbox is not shown: {}", problem.cause);
        Vec::new()
    })
}

/// One sentence: has it its purchase, and if not, where it stopped and what to do.
fn verdict(traces: &[Trace]) -> String {
    let has = |part: &str| traces.iter().find(|t| t.part == part);
    let open = |part: &str| {
        traces.iter().find(|t| {
            t.part == part
                && (t.what == "open" || t.contents["resolution"].as_str() == Some("open"))
        })
    };
    let text = |t: &Trace, name: &str| match &t.contents[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some(finding) =
        open("finding").filter(|f| !matches!(f.what.as_str(), "missing" | "gone"))
    {
        return format!(
            "The payment and its purchase contradict each other ({}): finding {} is for people; \
             correct one of them, or SELECT makegood.dismiss({}, 'why').",
            finding.what,
            text(finding, "finding"),
            text(finding, "finding")
        );
    }
    if has("purchase").is_some() {
        return match has("payment") {
            Some(_) => "The payment has its purchase.".to_owned(),
            None => "There is a purchase and no payment for it.".to_owned(),
        };
    }
    if let Some(case) = open("quarantine") {
        return format!(
            "There is no purchase: the event is in quarantine, {}. `makegood quarantine show {}` has it; \
             mend what is wrong, then `makegood quarantine replay --id {}`.",
            text(case, "detail"),
            text(case, "quarantineId"),
            text(case, "quarantineId")
        );
    }
    if let Some(case) = traces.iter().find(|t| t.part == "quarantine" && t.what == "discarded") {
        return format!(
            "There is no purchase: a person gave the event up. `makegood quarantine replay --id {}` takes it back.",
            text(case, "quarantineId")
        );
    }
    if let Some(event) = traces.iter().find(|t| t.part == "outbox" && t.what != "sent") {
        let id = text(event, "eventId");
        return match event.what.as_str() {
            "pending" => "There is no purchase: the event has not got to Kafka yet. `makegood status` says what it waits for.".to_owned(),
            _ => format!(
                "There is no purchase: the event was set aside on its way to Kafka. `makegood outbox show {id}` says why."
            ),
        };
    }
    if let Some(gone) = open("finding").filter(|f| f.what == "gone") {
        return format!(
            "There is no purchase any more: there was one, and it was removed. It is not made again by \
             itself; if that is right, SELECT makegood.dismiss({}, 'why').",
            text(gone, "finding")
        );
    }
    if has("payment").is_some() {
        return "There is no purchase. If the payment has succeeded, the reconciler makes it good; at \
                once with `makegood reconcile run --wait`."
            .to_owned();
    }
    "Only makegood's own tables know it: there is neither a payment nor a purchase.".to_owned()
}

fn screen(id: &str, traces: &[Trace], verdict: &str) -> String {
    let mut text = format!("{verdict}\n\n");
    let rows = traces.iter().map(|t| {
        vec![
            print::or_dash(t.at.map(print::short)),
            t.part.clone(),
            t.what.clone(),
            details(&t.contents),
        ]
    });
    text += &print::table_text(&["WHEN (UTC)", "WHERE", "WHAT", "DETAILS"], rows);
    print::visible(&format!("{id}: "), false) + &text
}

/// What is filled of an object, as `name value` pairs.
fn details(contents: &Value) -> String {
    let Value::Object(fields) = contents else { return contents.to_string() };
    let pair = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    };
    fields.iter().filter_map(pair).collect::<Vec<_>>().join(", ")
}

fn object(t: &Trace) -> Value {
    json!({
        "at": t.at, "part": t.part, "what": t.what, "business_key": t.business_key,
        "contents": t.contents,
    })
}

fn unreadable(fault: crate::store::Fault) -> Problem {
    fault.problem("cannot read what is known of it")
}
