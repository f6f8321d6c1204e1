//! A copy of the tree, where rules are taken back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Mutant, system};
use rules::problem::Problem;

/// The copy, and where it is built.
pub struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Copies what git knows, with what is not committed yet. A file is written only where it differs, so that what was
    /// built last time is not built again.
    pub fn copy(from: &Path) -> Result<Tree, Problem> {
        let from = from.canonicalize().map_err(|e| system(format!("no tree: {e}")))?;
        let root = from.join("target/mutants/tree");
        let mut list = Command::new("git");
        list.current_dir(&from).args(["ls-files", "-z", "-co", "--exclude-standard"]);
        let listed = list.output().map_err(|e| system(format!("git cannot be run: {e}")))?;
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            let (source, copy) = (from.join(name), root.join(name));
            if source.is_file() {
                write(&copy, &fs::read(&source).map_err(|e| failed(&source, &e))?)?;
            }
        }
        // The tests look for what the set-up has fetched where the tree is built.
        Ok(Tree { target: from.join("target/mutants/built"), root })
    }

    /// A command there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
        command
    }

    /// A program that was built there.
    pub fn built(&self, program: &str) -> PathBuf {
        self.target.join("debug").join(program)
    }

    /// Does something while a rule is taken back.
    pub fn with(
        &self,
        mutant: &Mutant,
        work: impl FnOnce() -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let file = self.root.join(&mutant.file);
        let good = fs::read_to_string(&file).map_err(|e| failed(&file, &e))?;
        write(&file, mutant.of(&good)?.as_bytes())?;
        let outcome = work();
        write(&file, good.as_bytes())?;
        outcome
    }
}

fn write(file: &Path, text: &[u8]) -> Result<(), Problem> {
    if fs::read(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).and_then(|()| fs::write(file, text)).map_err(|e| failed(file, &e))
}

pub(super) fn failed(file: &Path, error: &std::io::Error) -> Problem {
    system(format!("{}: {error}", file.display()))
}
