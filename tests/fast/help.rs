//! What people read first does not change by accident.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::golden::assert_golden;
use crate::help_texts;

const PROGRAM: &str = env!("CARGO_BIN_EXE_makegood");

#[test]
fn help_is_as_agreed_on_every_level() {
    let text = help_texts::of(PROGRAM, "makegood");
    for command in ["run", "status", "config check", "migrate up", "inbox show"] {
        assert!(text.contains(&format!("$ makegood {command} --help")), "{command} is not walked");
    }
    assert_golden("tests/golden/help.txt", &text);
    assert_golden("docs/reference/commands.md", &reference(&text));
}

/// The same as a document: a section for each command, and the options that all of them have once.
fn reference(text: &str) -> String {
    let mut document =
        "# Commands\n\nWhat `makegood COMMAND --help` says, one command after the other; \
        `man makegood` has the same. Each command takes the global options too.\n"
            .to_owned();
    for part in text.split("$ makegood").skip(1) {
        let (name, help) = part.split_once(" --help\n\n").unwrap();
        let all = if name.is_empty() { "makegood" } else { name.trim() };
        let global = help.find("\nGlobal options:").filter(|_| !name.is_empty());
        let help = global.map_or_else(
            || help.to_owned(),
            |from| {
                let rest = &help[from + 1..];
                let after = rest.find("\n\n").map_or("", |end| &rest[end + 1..]);
                format!("{}{after}", &help[..from])
            },
        );
        document.push_str(&format!("\n## {all}\n\n```text\n{}\n```\n", help.trim()));
    }
    document
}

/// A line that was broken by hand and does not fit is broken once more by the terminal.
#[test]
fn what_is_broken_by_hand_fits_into_80_columns() {
    let mut long = Vec::new();
    walk(&makegood::cli::command(), &mut |name, command| {
        let texts = [command.get_after_help(), command.get_after_long_help()];
        for text in texts.into_iter().flatten() {
            let lines = text.to_string();
            let lines = lines.lines().filter(|line| line.chars().count() > 80);
            long.extend(lines.map(|line| format!("{name}: {line}")));
        }
    });
    assert_eq!(long, [""; 0]);
}

#[test]
fn help_can_be_asked_for_in_each_way_people_try() {
    for args in [&["help"][..], &["help", "outbox", "retry"], &["outbox", "help"], &["-h"]] {
        let output = Command::new(PROGRAM).args(args).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("Usage: makegood"), "{args:?}: {said}");
    }
}

#[test]
fn each_shell_gets_its_completions() {
    for (shell, needs) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef makegood"),
        ("fish", "complete -c makegood"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let output = Command::new(PROGRAM).args(["completions", shell]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && said.contains(needs) && said.contains("quarantine"),
            "{shell}"
        );
    }
    let script = "eval \"$($0 completions bash)\"; COMP_WORDS=(makegood quar) COMP_CWORD=1; _makegood makegood quar makegood; echo ${COMPREPLY[@]}";
    let output = Command::new("bash").args(["-c", script, PROGRAM]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "quarantine");
}

/// The manual is made from the help, and lies in deploy/man for the packages.
#[test]
fn the_manual_says_what_the_help_says() {
    let mut pages = BTreeSet::new();
    walk(&makegood::cli::command(), &mut |name, command| {
        let page = format!("{}.1", name.replace(' ', "-"));
        let mut text = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut text).unwrap();
        assert_golden(&format!("deploy/man/{page}"), &String::from_utf8(text).unwrap());
        pages.insert(page);
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/man");
    let there = fs::read_dir(folder).unwrap();
    let there: BTreeSet<String> =
        there.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, pages);
}

/// Visits a command and all below it, each with its whole name.
fn walk(command: &clap::Command, visit: &mut impl FnMut(&str, &clap::Command)) {
    fn below(name: &str, command: &clap::Command, visit: &mut impl FnMut(&str, &clap::Command)) {
        visit(name, command);
        for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
            below(&format!("{name} {}", one.get_name()), one, visit);
        }
    }
    let mut whole = command.clone();
    whole.build();
    below("makegood", &whole, visit);
}
