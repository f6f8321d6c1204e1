//! What rounds gave: a line each, a file each, and all of them as a document.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use comfy_table::{Table, presets};
use failpoints::FailpointKind;
use serde_json::{Value, json};

use super::round::{Plan, Verdict};
use super::{faults, pairs};
use rules::problem::{Code, Problem};

/// The invariants, all judged from outside, and what each says.
const INVARIANTS: [(&str, &str); 18] = [
    ("I1", "nothing paid, and no record, is lost"),
    ("I2", "nothing takes effect twice"),
    ("I3", "nothing is bought that nobody paid for"),
    ("I4", "purchases say what their payments say"),
    ("I5", "inbox, purchase and position move together, at every look and at the end"),
    ("I6", "Kafka never knows a later offset than PostgreSQL"),
    ("I7", "committed events reach the topic"),
    ("I8", "events that were not committed do not"),
    ("I9", "the first copies of a key's events keep its order"),
    ("I10", "further copies are few, and the same byte for byte"),
    ("I11", "broken records are put away with their bytes, and stop nothing"),
    ("I12", "all becomes well without help, within 75 s of the last fault"),
    (
        "I13",
        "health tells the truth: not ready 10 s after nothing can be done, ready 30 s after it can",
    ),
    ("I14", "a broken world puts nothing away for good"),
    ("I15", "memory, files, threads, sessions and open transactions stay bounded"),
    ("I16", "no password and no personal data in logs, metrics and status"),
    ("I17", "a dry run changes nothing"),
    ("I18", "a stop takes less than 30 s and ends with 0, whatever is away"),
];

/// What was found on the way, in the words of those who mended it.
const FOUND: &str = include_str!("../../judge/found.md");
/// Which rules were taken back, and who noticed, written by `bin/mutants`.
const MUTANTS: &str = include_str!("../../mutants/found.md");

/// The table of faults.
pub fn list() -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["fault", "no.", "what it does", "here"]);
    for fault in faults::all() {
        let here = fault.cannot().map_or("yes".to_owned(), |why| format!("no: {why}"));
        table.add_row([fault.name, fault.number, fault.what, &here]);
    }
    table.trim_fmt()
}

/// One round in a line.
pub fn line(verdict: &Verdict) -> String {
    let d = &verdict.document;
    let held = if verdict.said.is_empty() { "held" } else { "BROKEN" };
    format!(
        "{held}: {} strikes, {} payments, {} records, {} looks, well after {:.1} s",
        strikes(d).map(|(_, n)| n).sum::<u64>(),
        d["payments"],
        d["records"],
        d["looks"],
        d["well_after"].as_f64().unwrap_or(f64::NAN)
    )
}

/// Keeps a round's verdict.
pub fn keep(folder: &Path, plan: &Plan, verdict: &Verdict) -> Result<Value, Problem> {
    let names: Vec<&str> = plan.faults.iter().map(|fault| fault.name).collect();
    let mut document = verdict.document.clone();
    document["drawn"] = json!(names);
    document["safety"] = json!(plan.safety.as_secs());
    let file = folder.join(format!("{}-{}.json", plan.seed, names.join("-")));
    fs::write(&file, format!("{document}\n")).map_err(|e| failed(&file, &e))?;
    Ok(document)
}

/// Whether a round that was kept broke an invariant.
pub fn is_broken(round: &Value) -> bool {
    broken_in(round).next().is_some()
}

/// All rounds that were kept.
pub fn read(rounds: &Path) -> Result<Vec<Value>, Problem> {
    let entries = fs::read_dir(rounds).map_err(|e| failed(rounds, &e))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    names.sort();
    let mut all: Vec<Value> = Vec::new();
    for name in names {
        let text = fs::read_to_string(&name).map_err(|e| failed(&name, &e))?;
        all.push(serde_json::from_str(&text).map_err(|e| {
            Problem::new(Code::System, format!("{} is no verdict: {e}", name.display()))
        })?);
    }
    Ok(all)
}

/// Writes the document from all rounds that were kept.
pub fn write(rounds: &Path, file: &Path) -> Result<(), Problem> {
    fs::write(file, document(&read(rounds)?)).map_err(|e| failed(file, &e))
}

fn document(all: &[Value]) -> String {
    let sum = |what: &str| all.iter().filter_map(|d| d[what].as_u64()).sum::<u64>();
    let broken: Vec<&Value> = all.iter().filter(|d| is_broken(d)).collect();
    let minutes = sum("safety") / 60;
    let mut text = format!(
        "# The proof\n\n\
         This page is written by `bin/torture --report docs/proof.md` from the verdicts of all rounds that were run.\n\n\
         Each round has a real PostgreSQL, a real Apache Kafka and the daemon as a process. A payment service and another \
         producer make payments and records, and write what they did into a ledger, on disk before and after each act. Faults strike \
         from a seed; then it is quiet, and all must become well without help. A judge in another language, which shares no code with \
         makegood, compares ledger, topic and tables, and what the daemon said of itself all along with what was true then. It is tested \
         with planted faults, each of which it must name (`bin/torture --plants`, and in `bin/test`).\n\n\
         {} rounds, {minutes} minutes of faults, {} strikes, {} payments, {} records, {} looks at a daemon's health. \
         Rounds in which an invariant was broken: {}.\n",
        all.len(),
        all.iter().flat_map(strikes).map(|(_, n)| n).sum::<u64>(),
        sum("payments"),
        sum("records"),
        sum("looks"),
        broken.len(),
    );
    text.push_str("\n## The invariants\n\n");
    for (name, says) in INVARIANTS {
        text.push_str(&format!("- **{name}** {says}\n"));
    }
    text.push_str("\n## Faults and invariants\n\nA number is the rounds with that fault in which the invariant was judged; `-` where the fault itself makes it void; `!` where it was broken.\n\n");
    text.push_str(&matrix(all));
    text.push_str("\n## Steps inside the daemon\n\nHow often each step did what it was told, in the rounds with the fault `failpoint`; `!` in a round that was broken, `-` where it means nothing, 0 where it was told and never reached, empty where it was never told.\n\n");
    text.push_str(&failpoints(all));
    text.push_str("\n## Pairs of faults\n\n");
    text.push_str(&pairs::matrix(all));
    text.push_str("\n## What each fault does\n\n| fault | no. | what it does, and how it is undone | on the machine that wrote this |\n|---|---|---|---|\n");
    for fault in faults::all() {
        let here = fault.cannot().map_or("runs".to_owned(), |why| format!("not run: {why}"));
        text.push_str(&format!(
            "| {} | {} | {} | {here} |\n",
            fault.name, fault.number, fault.what
        ));
    }
    text.push_str(&format!("\n{}\n\n{}", MUTANTS.trim_end(), FOUND.trim_end()));
    text.push_str("\n\n## Rounds that broke an invariant\n\n");
    if broken.is_empty() {
        text.push_str("None.\n");
    }
    for round in broken {
        let which: Vec<&str> = broken_in(round).collect();
        text.push_str(&format!(
            "- seed {} with {}: {}\n",
            round["seed"],
            drawn(round),
            which.join(", ")
        ));
    }
    text.push_str("\n## Seeds\n\n");
    for round in all {
        text.push_str(&format!("{} ({}); ", round["seed"], drawn(round)));
    }
    format!("{}\n", text.trim_end_matches([' ', ';']))
}

/// Faults down, invariants across.
fn matrix(all: &[Value]) -> String {
    let heads: Vec<&str> = INVARIANTS.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "| fault | rounds | strikes | {} |\n|---|---:|---:|{}\n",
        heads.join(" | "),
        "---:|".repeat(heads.len())
    );
    for fault in faults::all() {
        let with: Vec<&Value> = all.iter().filter(|d| d["faults"][fault.name].is_u64()).collect();
        let struck: u64 = with.iter().filter_map(|d| d["faults"][fault.name].as_u64()).sum();
        let cells: Vec<String> = heads.iter().map(|name| cell(&with, name)).collect();
        text.push_str(&format!(
            "| {} | {} | {struck} | {} |\n",
            fault.name,
            with.len(),
            cells.join(" | ")
        ));
    }
    text
}

/// Steps down, kinds across.
fn failpoints(all: &[Value]) -> String {
    let kinds = FailpointKind::ALL.map(FailpointKind::as_str);
    let mut text = format!("| step | {} |\n|---|{}\n", kinds.join(" | "), "---:|".repeat(5));
    let possible: BTreeSet<String> = faults::failpoints()
        .map(|(point, kind)| format!("{} {}", point.name, kind.as_str()))
        .collect();
    for point in failpoints::POINTS {
        let cells = kinds.map(|kind| {
            let case = format!("{} {kind}", point.name);
            let told: Vec<&Value> =
                all.iter().filter(|round| round["failpoints"][&case].is_u64()).collect();
            let struck = |round: &&Value| round["failpoints"][&case].as_u64().unwrap_or(0);
            let times: u64 = told.iter().map(struck).sum();
            let broken = told.iter().any(|round| struck(round) > 0 && is_broken(round));
            match told.is_empty() {
                _ if !possible.contains(&case) => "-".to_owned(),
                true => String::new(),
                false => format!("{times}{}", if broken { "!" } else { "" }),
            }
        });
        text.push_str(&format!("| {} | {} |\n", point.name, cells.join(" | ")));
    }
    text
}

fn cell(with: &[&Value], invariant: &str) -> String {
    let skipped =
        |d: &Value| d["skipped"].as_array().into_iter().flatten().any(|name| name == invariant);
    let judged: Vec<&&Value> = with.iter().filter(|d| !skipped(d)).collect();
    let broken = judged.iter().filter(|d| broken_in(d).any(|name| name == invariant)).count();
    match (judged.len(), broken) {
        (0, _) => "-".to_owned(),
        (held, 0) => held.to_string(),
        (held, broken) => format!("{held} ({broken}!)"),
    }
}

fn broken_in(round: &Value) -> impl Iterator<Item = &str> {
    round["found"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

fn strikes(round: &Value) -> impl Iterator<Item = (&str, u64)> {
    let faults = round["faults"].as_object().into_iter().flatten();
    faults.filter_map(|(name, n)| Some((name.as_str(), n.as_u64()?)))
}

fn drawn(round: &Value) -> String {
    let names: Vec<&str> =
        round["drawn"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    names.join(", ")
}

fn failed(file: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Code::System, format!("{}: {error}", file.display()))
}
