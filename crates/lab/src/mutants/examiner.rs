//! Who is asked whether a rule is gone.

use std::fmt;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::tree::Tree;
use super::{Mutant, system};
use rules::problem::Problem;

/// What nobody has noticed by then makes it hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// One of them, the fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Examiner {
    /// The unit tests and laws of the crate.
    Laws,
    /// Whole lives of the rules' machines, from seeds.
    Simulation,
    /// The tests against real servers that hold the rule.
    Servers,
    /// A round of the proof under the faults that should reveal it.
    Torture,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opinion {
    /// Who noticed, in its own words; none where nobody did.
    pub by: Option<String>,
    /// After so long, without what was built.
    pub seconds: f64,
}

impl Opinion {
    /// Whether the mutant was noticed.
    pub fn is_noticed(&self) -> bool {
        self.by.is_some()
    }
}

impl fmt::Display for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some(by) => write!(f, "noticed it after {:.0} s: {by}", self.seconds),
            None => write!(f, "did not notice it in {:.0} s", self.seconds),
        }
    }
}

impl Examiner {
    /// All of them.
    pub const ALL: [Examiner; 4] =
        [Examiner::Laws, Examiner::Simulation, Examiner::Servers, Examiner::Torture];

    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Examiner::Laws => "laws",
            Examiner::Simulation => "simulation",
            Examiner::Servers => "servers",
            Examiner::Torture => "torture",
        }
    }

    /// Asks; `None` where it has nothing to do with that rule.
    pub fn ask(self, tree: &Tree, mutant: &Mutant) -> Result<Option<Opinion>, Problem> {
        let Some((build, run)) = self.commands(tree, mutant) else { return Ok(None) };
        for mut command in build {
            let built = command.stdout(Stdio::null()).stderr(Stdio::piped()).output();
            let built = built.map_err(|e| system(format!("cargo cannot be run: {e}")))?;
            if !built.status.success() {
                let said = String::from_utf8_lossy(&built.stderr).into_owned();
                return Err(system(format!("{} does not build", mutant.name)).advice(said));
            }
        }
        let began = Instant::now();
        let by = first_words(run)?;
        Ok(Some(Opinion { by, seconds: began.elapsed().as_secs_f64() }))
    }

    /// What builds it, and what asks.
    fn commands(self, tree: &Tree, mutant: &Mutant) -> Option<(Vec<Command>, Command)> {
        let cargo = |args: &[&str]| {
            let mut command = tree.command("cargo");
            command.args(args);
            command
        };
        let tests = |args: &[&str], filters: &[&str]| {
            let build = cargo(&[&["test", "--locked", "--no-run"], args].concat());
            let run = cargo(&[&["test", "--locked"], args, &["--"], filters].concat());
            Some((vec![build], run))
        };
        let file = mutant.file.to_string_lossy();
        let package = match file.split('/').collect::<Vec<_>>()[..] {
            ["crates", "rules", ..] => &["-p", "makegood-rules", "--lib", "--test", "laws"][..],
            ["crates", "config", ..] => &["-p", "makegood-config", "--lib"],
            ["crates", "kafka", ..] => &["-p", "makegood-kafka", "--lib"],
            ["crates", "store", ..] => &["-p", "makegood-store", "--lib"],
            ["src", ..] => &["-p", "makegood", "--lib"],
            _ => &[],
        };
        match self {
            Examiner::Laws if package.is_empty() => None,
            Examiner::Laws => tests(package, &[]),
            Examiner::Simulation if !file.starts_with("crates/rules/") => None,
            Examiner::Simulation => tests(&["-p", "makegood-rules", "--test", "simulation"], &[]),
            Examiner::Servers if mutant.servers.is_empty() => None,
            Examiner::Servers => {
                let filters: Vec<&str> = mutant.servers.split_whitespace().collect();
                tests(&["--test", "promises"], &filters)
            }
            Examiner::Torture if mutant.faults.is_empty() => None,
            Examiner::Torture => {
                let build = cargo(&["build", "--locked", "--workspace", "--bins"]);
                let lab = tree.built("makegood-lab");
                let mut run = tree.command(&lab.to_string_lossy());
                run.args(["torture", "--seed", "1", "--safety", "40", "--minutes", "0"]);
                for fault in &mutant.faults {
                    run.args(["--fault", fault]);
                }
                Some((vec![build], run))
            }
        }
    }
}

/// What it says first that is wrong, if anything is. One that hangs is ended, with all that it has started.
fn first_words(mut command: Command) -> Result<Option<String>, Problem> {
    let failed = |e: std::io::Error| system(format!("a check cannot be run: {e}"));
    let until = Instant::now() + PATIENCE;
    let (mut said, writer) = std::io::pipe().map_err(failed)?;
    command.stdin(Stdio::null()).stderr(writer.try_clone().map_err(failed)?).stdout(writer);
    let mut child = command.process_group(0).spawn().map_err(failed)?;
    // It holds the pipe's other end.
    drop(command);
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = said.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break Some(status),
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
            None => break None,
        }
    };
    let Some(status) = status else {
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = child.wait();
        return Ok(Some("it hangs".to_owned()));
    };
    let text = reader.join().unwrap_or_default();
    Ok((!status.success()).then(|| words(&text)))
}

/// The seed of a life, the invariant, or the test.
fn words(text: &str) -> String {
    let seed = text.lines().find(|line| line.contains("MAKEGOOD_SIM_SEED="));
    let told =
        |line: &&str| line.ends_with("... FAILED") || line.starts_with('I') && line.contains(": ");
    let told = seed.or_else(|| text.lines().find(told));
    let line = told.or_else(|| text.lines().rev().find(|line| !line.is_empty()));
    let line =
        line.unwrap_or("it failed").trim_start_matches("test ").trim_end_matches(" ... FAILED");
    line.chars().take(90).collect()
}
