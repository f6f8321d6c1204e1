//! What was found, kept from run to run, and written as a table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::examiner::{Examiner, Opinion};
use super::tree::failed;
use super::{Mutant, system};
use rules::problem::Problem;

/// Where it is kept, and the table that the report has in it.
const KEPT: &str = "crates/lab/mutants/found.json";
const TABLE: &str = "crates/lab/mutants/found.md";
const REPORT: &str = "docs/proof.md";
const BEGIN: &str = "## Broken on purpose";

/// By mutant and by examiner.
pub struct Noticed(BTreeMap<String, BTreeMap<String, Opinion>>);

impl Noticed {
    /// What was found before.
    pub fn read() -> Result<Noticed, Problem> {
        let Ok(text) = fs::read_to_string(KEPT) else { return Ok(Noticed(BTreeMap::new())) };
        let kept = serde_json::from_str(&text);
        kept.map(Noticed).map_err(|e| system(format!("{KEPT} cannot be read: {e}")))
    }

    /// Keeps one, on disk at once.
    pub fn keep(
        &mut self,
        mutant: &Mutant,
        examiner: Examiner,
        opinion: Opinion,
    ) -> Result<(), Problem> {
        let of_it = self.0.entry(mutant.name.clone()).or_default();
        of_it.insert(examiner.as_str().to_owned(), opinion);
        self.save()
    }

    fn save(&self) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(&self.0)
            .map_err(|e| system(format!("{KEPT} cannot be written: {e}")))?;
        write(KEPT, &format!("{text}\n"))
    }

    /// Whether anybody has noticed it.
    pub fn is_noticed(&self, mutant: &Mutant) -> bool {
        let of_it = self.0.get(&mutant.name);
        of_it.is_some_and(|opinions| opinions.values().any(Opinion::is_noticed))
    }

    /// Writes the table, and into the report; what was found of mutants that there are no more is forgotten.
    pub fn write(&mut self, all: &[Mutant]) -> Result<(), Problem> {
        self.0.retain(|name, _| all.iter().any(|mutant| mutant.name == *name));
        self.save()?;
        let noticed = all.iter().filter(|mutant| self.is_noticed(mutant)).count();
        let mut text = format!(
            "{BEGIN}\n\n\
             Written by `bin/mutants`: one rule taken back each, in a copy of the tree. The laws are asked first, then the simulation, then the \
             tests against real servers that hold the rule, then a round of the proof, until one of them notices; `-` was not asked. \
             {noticed} of {} were noticed.\n\n\
             | taken back | laws | simulation | servers | torture |\n|---|---|---|---|---|\n",
            all.len()
        );
        for mutant in all {
            let cell = |examiner: &Examiner| self.cell(mutant, *examiner);
            let cells: Vec<String> = Examiner::ALL.iter().map(cell).collect();
            text.push_str(&format!("| {} | {} |\n", mutant.name, cells.join(" | ")));
        }
        write(TABLE, &text)?;
        into_report(&text)
    }

    fn cell(&self, mutant: &Mutant, examiner: Examiner) -> String {
        let opinion = self.0.get(&mutant.name).and_then(|of_it| of_it.get(examiner.as_str()));
        match opinion {
            None => "-".to_owned(),
            Some(Opinion { by: None, .. }) => "no".to_owned(),
            Some(Opinion { by: Some(by), seconds }) => {
                format!("{seconds:.0} s: {}", by.replace('|', "/"))
            }
        }
    }
}

/// Puts the table in the place of the one that is in the report.
fn into_report(table: &str) -> Result<(), Problem> {
    let report = fs::read_to_string(REPORT).map_err(|e| failed(Path::new(REPORT), &e))?;
    let Some((before, after)) = report.split_once(BEGIN) else {
        return Err(system(format!("{REPORT} has no section `{BEGIN}`")));
    };
    let rest = after.find("\n## ").map_or("", |at| &after[at..]);
    write(REPORT, &format!("{before}{}\n{}", table.trim_end(), rest))
}

fn write(file: &str, text: &str) -> Result<(), Problem> {
    fs::write(file, text).map_err(|e| failed(Path::new(file), &e))
}
