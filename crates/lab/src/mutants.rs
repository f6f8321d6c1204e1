//! The proof's own proof: rules of makegood are taken back, one at a time, in a copy of the tree, and each must be noticed.

mod examiner;
mod table;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;

use examiner::Examiner;
use rules::problem::{Code, Problem};
use table::Noticed;
use tree::Tree;

/// What is taken back, as data.
const MUTANTS: &str = include_str!("../mutants/mutants.toml");

/// What `makegood-lab mutants` can be told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Each mutant is made in a copy of the tree, built there, and given to the laws, the simulation, the tests against real
servers that hold the rule, and to a round of the faults that should reveal it, until one of them notices.
Run it in the root of the repository; what it finds is written to crates/lab/mutants and docs/proof.md.

Examples:
  bin/mutants
  bin/mutants --only relay --by simulation")]
pub struct MutantsArgs {
    /// Only those with this in their name or file
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Ask these, in this order
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Examiner::ALL)]
    pub by: Vec<Examiner>,
    /// Ask all of them, also where one has noticed
    #[arg(long)]
    pub all: bool,
    /// Only those that nobody has noticed so far
    #[arg(long)]
    pub missed: bool,
}

/// One rule taken back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What is wrong then.
    pub name: String,
    /// Where.
    pub file: PathBuf,
    /// What stands there, once.
    pub good: String,
    /// What is put in its place.
    pub bad: String,
    /// Filters of the tests against real servers that hold the rule.
    pub servers: String,
    /// Faults that should reveal it.
    pub faults: Vec<String>,
}

#[derive(Deserialize)]
struct All {
    mutant: Vec<Mutant>,
}

/// All of them.
pub fn all() -> Result<Vec<Mutant>, Problem> {
    let all: Result<All, _> = toml::from_str(MUTANTS);
    all.map(|all| all.mutant).map_err(|e| system(format!("the mutants cannot be read: {e}")))
}

impl Mutant {
    /// The file's text with the rule taken back, if what is to be replaced is there once.
    pub fn of(&self, text: &str) -> Result<String, Problem> {
        match text.matches(&self.good).count() {
            1 => Ok(text.replacen(&self.good, &self.bad, 1)),
            times => {
                let cause = format!("{}: {} has it {times} times", self.name, self.file.display());
                Err(system(cause).advice("mend its entry in crates/lab/mutants/mutants.toml"))
            }
        }
    }
}

/// Makes mutants and has them noticed. Ends with exit code 1 if one was not.
pub fn run(args: &MutantsArgs) -> Result<ExitCode, Problem> {
    let wanted = |mutant: &Mutant| {
        let file = mutant.file.to_string_lossy();
        args.only.as_ref().is_none_or(|text| mutant.name.contains(text) || file.contains(text))
    };
    let tree = Tree::copy(Path::new("."))?;
    let mut noticed = Noticed::read()?;
    let mut missed = 0;
    for mutant in all()?.iter().filter(|mutant| wanted(mutant)) {
        if args.missed && noticed.is_noticed(mutant) {
            continue;
        }
        tree.with(mutant, || {
            for examiner in &args.by {
                let Some(opinion) = examiner.ask(&tree, mutant)? else { continue };
                eprintln!("{}: {} {opinion}", mutant.name, examiner.as_str());
                let is_noticed = opinion.is_noticed();
                noticed.keep(mutant, *examiner, opinion)?;
                if is_noticed && !args.all {
                    break;
                }
            }
            Ok(())
        })?;
        missed += usize::from(!noticed.is_noticed(mutant));
    }
    noticed.write(&all()?)?;
    eprintln!("{missed} were not noticed");
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn each_mutant_can_be_made() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let all = all().unwrap();
        let names: BTreeSet<&str> = all.iter().map(|mutant| mutant.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() >= 40, "{}", all.len());
        for mutant in &all {
            let text = fs::read_to_string(root.join(&mutant.file)).unwrap();
            assert_ne!(mutant.of(&text).unwrap(), text);
        }
    }
}
