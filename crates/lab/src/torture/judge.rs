//! The judge: programs in another language that share no code with makegood, carried in this one and run on a round's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::task::block_in_place;

use crate::servers::process::run;
use rules::problem::{Code, Problem};

/// The environment variable that names the Python with psycopg and confluent-kafka.
pub const PYTHON_ENV: &str = "JUDGE_PYTHON";
const PROGRAMS: [(&str, &str); 6] = [
    ("evidence.py", include_str!("../../judge/evidence.py")),
    ("watch.py", include_str!("../../judge/watch.py")),
    ("collect.py", include_str!("../../judge/collect.py")),
    ("health.py", include_str!("../../judge/health.py")),
    ("judge.py", include_str!("../../judge/judge.py")),
    ("plants.py", include_str!("../../judge/plants.py")),
];

/// The judge's programs, laid out, and what runs them.
#[derive(Clone, Debug)]
pub struct Judge {
    python: PathBuf,
    programs: PathBuf,
}

impl Judge {
    /// Lays the programs out in a folder.
    pub fn lay_out(folder: &Path) -> Result<Judge, Problem> {
        let programs = folder.join("judge");
        let failed = |e: std::io::Error| system(format!("cannot lay out the judge: {e}"));
        fs::create_dir_all(&programs).map_err(failed)?;
        for (name, text) in PROGRAMS {
            fs::write(programs.join(name), text).map_err(failed)?;
        }
        Ok(Judge { python: python()?, programs })
    }

    /// Begins to watch a round; it ends when its standard input does.
    pub fn watch(&self, folder: &Path) -> Result<Child, Problem> {
        let log = fs::File::create(folder.join("watch.log"))
            .map_err(|e| system(format!("cannot write watch.log: {e}")))?;
        self.program("watch.py", folder)
            .stdin(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| system(format!("cannot run the judge's watch: {e}")))
    }

    /// Copies topic and tables into the folder.
    pub fn collect(&self, folder: &Path) -> Result<(), Problem> {
        let mut collect = self.program("collect.py", folder);
        block_in_place(|| run(&mut collect, "copying what the round left")).map(drop)
    }

    /// What does not hold, a line each, and the verdict as a document.
    pub fn judge(&self, folder: &Path) -> Result<(String, Value), Problem> {
        let mut judge = self.program("judge.py", folder);
        let out = block_in_place(|| judge.stdin(Stdio::null()).output())
            .map_err(|e| system(format!("cannot run the judge: {e}")))?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        match out.status.code() {
            Some(0) => {}
            Some(1) if !said.is_empty() => {}
            _ => {
                let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
                return Err(system("the judge failed").advice(complaint));
            }
        }
        let text = fs::read_to_string(folder.join("verdict.json"))
            .map_err(|e| system(format!("the judge left no verdict: {e}")))?;
        let verdict = serde_json::from_str(&text)
            .map_err(|e| system(format!("the judge's verdict cannot be read: {e}")))?;
        Ok((said, verdict))
    }

    /// Plants faults in what a good round left; says of each whether it was named, and whether all were.
    pub fn plants(&self, folder: &Path) -> Result<(String, bool), Problem> {
        let mut plants = self.program("plants.py", folder);
        let out = block_in_place(|| plants.stdin(Stdio::null()).output())
            .map_err(|e| system(format!("cannot run the judge's test: {e}")))?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        match out.status.code() {
            Some(0) => Ok((said, true)),
            Some(1) if said.contains("MISSED") => Ok((said, false)),
            _ => Err(system("the judge's test failed")
                .advice(format!("{said}{}", String::from_utf8_lossy(&out.stderr)))),
        }
    }

    fn program(&self, name: &str, folder: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-B").arg(self.programs.join(name)).arg(folder);
        // Nothing of the caller's may lead it elsewhere.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// The Python that `bin/torture` and `bin/test` prepare: named, or below the current folder or one above it.
fn python() -> Result<PathBuf, Problem> {
    if let Some(named) = std::env::var_os(PYTHON_ENV).filter(|value| !value.is_empty()) {
        return Ok(named.into());
    }
    let here = std::env::current_dir().unwrap_or_default();
    let mut places = here.ancestors().map(|base| base.join("target/judge/bin/python3"));
    places.find(|place| place.is_file()).ok_or_else(|| {
        system("there is no Python for the judge").advice(format!(
            "bin/torture makes one in target/judge; {PYTHON_ENV} names another, which needs psycopg and confluent-kafka"
        ))
    })
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}
