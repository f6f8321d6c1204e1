//! What people read first does not change by accident.

use std::process::Command;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/help.txt");
const BLESS: &str = "MAKEGOOD_TEST_BLESS";

/// Runs `makegood ... --help` and returns what it prints. Help needs no configuration and no servers.
fn help(path: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_makegood"))
        .args(path)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{path:?} --help exits with {}", output.status);
    String::from_utf8(output.stdout).expect("help is text")
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // A name stands two columns in; what stands further in goes on from the line above.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// The help of a command and of everything below it.
fn all(path: &mut Vec<String>, text: &mut String) {
    let own = help(path);
    text.push_str(&format!(
        "$ makegood {}\n\n{own}\n",
        [path.as_slice(), &["--help".to_owned()]].concat().join(" ")
    ));
    for name in subcommands(&own) {
        path.push(name);
        all(path, text);
        path.pop();
    }
}

#[test]
fn help_is_as_agreed_on_every_level() {
    let mut text = String::new();
    all(&mut Vec::new(), &mut text);
    for command in ["run", "status", "config check", "migrate up", "inbox show"] {
        assert!(text.contains(&format!("$ makegood {command} --help")), "{command} is not walked");
    }
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        std::fs::write(GOLDEN, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(GOLDEN).expect("the golden file exists");
    for (line, (found, wanted)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(found, wanted, "line {} differs; {BLESS}=1 accepts the new text", line + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "lines; {BLESS}=1 accepts them");
}
