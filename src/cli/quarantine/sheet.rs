//! How records and what came, or would come, of them are shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{object, place};
use crate::cli::print::{self, Format};
use crate::store::report::quarantine::Case;
use rules::outcome::Attempted;
use rules::problem::Problem;

/// So many are shown as a table; JSON has all.
const SHOWN: usize = 50;

/// A record and what came of it.
pub struct PlanRow<'a> {
    pub case: &'a Case,
    /// `rehearsed`, or the decision's state.
    pub state: String,
    pub outcome: Option<String>,
    pub detail: Option<String>,
}

impl PlanRow<'_> {
    /// Whether it stays, or would stay, in quarantine.
    pub fn failed(&self) -> bool {
        let outcome = self.outcome.as_deref().and_then(|word| word.parse::<Attempted>().ok());
        outcome.is_some_and(Attempted::is_put_away)
    }
}

/// Prints them.
pub fn print(lines: &[PlanRow<'_>], format: Format) -> Result<(), Problem> {
    match format {
        Format::Table if lines.is_empty() => Ok(()),
        Format::Table => {
            let headings = ["ID", "ROUTE", "REASON", "PARTITION/OFFSET", "OUTCOME", "DETAIL"];
            let row = |line: &PlanRow<'_>| {
                vec![
                    line.case.id.to_string(),
                    line.case.route.clone(),
                    line.case.reason.clone(),
                    place(line.case),
                    line.outcome.clone().unwrap_or_else(|| line.state.clone()),
                    line.detail.clone().unwrap_or_default(),
                ]
            };
            print::table(&headings, lines.iter().take(SHOWN).map(row))?;
            if lines.len() > SHOWN {
                say!("and {} more; -o json has all", lines.len() - SHOWN);
            }
            Ok(())
        }
        Format::Json => print::json("records", lines.iter().map(whole).collect()),
        Format::Jsonl => print::lines(lines.iter().map(whole)),
    }
}

fn whole(line: &PlanRow<'_>) -> Value {
    let mut value = object(line.case);
    value["replay"] =
        json!({ "state": line.state, "outcome": line.outcome, "detail": line.detail });
    value
}

/// How many came to what.
pub fn in_words(lines: &[PlanRow<'_>]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        *counts.entry(line.outcome.as_deref().unwrap_or(&line.state)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
    format!("{}: {}", records(lines.len()), counts.join(", "))
}

/// A number of records.
pub fn records(count: usize) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}
