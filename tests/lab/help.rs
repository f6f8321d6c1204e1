//! What the lab's commands say of themselves does not change by accident, and is what `bin/demo --help` answers.

#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/help_texts.rs"]
mod help_texts;

use std::path::Path;
use std::process::Command;

#[test]
fn help_is_as_agreed_on_every_level() {
    let text = help_texts::of(env!("CARGO_BIN_EXE_makegood-lab"), "makegood-lab");
    golden::assert_golden("tests/golden/lab_help.txt", &text);
}

/// Nothing is installed or built for it: there is neither cargo nor a target folder to be found.
#[test]
fn help_is_there_before_anything_is_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up");
    for (script, command, wanted) in [
        ("bin/demo", "demo", ["--payments <N>", "--yes"]),
        ("bin/bench", "bench", ["reconcile", "--yes"]),
        ("bin/torture", "torture", ["--minutes <N>", "--yes"]),
        ("bin/mutants", "mutants", ["--only <TEXT>", "--yes"]),
        ("bin/bench", "bench apply", ["--rounds <N>", "--yes"]),
    ] {
        let arguments = command.split(' ').skip(1).chain(["--help"]);
        let mut asked = Command::new(root.join(script));
        asked.args(arguments).env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
        let answer = asked.output().expect("the script runs");
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(answer.status.success(), "{script}: {answer:?}");
        for word in wanted {
            assert!(said.contains(word), "{script} {command} --help lacks {word}:\n{said}");
        }
    }
}
