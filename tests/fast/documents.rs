//! No document leads nowhere, and each of its commands is typed by a test or says why not.

use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::document::{all, anchors, commands, links, root};
use crate::golden::assert_golden;

/// A document whose commands a test of its own runs.
const OF_THEIR_OWN: [(&str, &str); 1] = [("docs/reference/views.md", "tests/servers/views.rs")];

/// A path without its `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{}", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut dead = Vec::new();
    let mut seen = 0;
    for (name, text) in all() {
        for link in links(&text) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&name).parent().unwrap();
            let target = match file {
                "" => PathBuf::from(&name),
                file => plain(&folder.join(file)),
            };
            let there = root().join(&target);
            let has_anchor = || {
                let text = fs::read_to_string(&there).unwrap_or_default();
                anchors(&text).contains(anchor)
            };
            if !there.exists() || !anchor.is_empty() && !has_anchor() {
                dead.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(seen > 50, "only {seen} links were seen");
    assert_eq!(dead, [""; 0]);
}

/// What the shell, the unit or a comment names must be there too.
#[test]
fn every_document_that_a_file_names_is_there() {
    let mut dead = Vec::new();
    let mut open: Vec<PathBuf> =
        ["src", "crates", "deploy", "sql", "migrations", "bin"].map(|f| root().join(f)).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for rest in text.split("docs/").skip(1) {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"/-_.".contains(c));
                let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
                if name.ends_with(".md") && !root().join("docs").join(name).exists() {
                    dead.push(format!("{}: docs/{name}", path.display()));
                }
            }
        }
    }
    assert_eq!(dead, [""; 0]);
}

/// The list of what is not typed is agreed on like the help is: it grows by nobody's oversight.
#[test]
fn every_command_is_typed_or_says_why_not() {
    let typed = include_str!("../servers/documents.rs");
    let (mut is_typed, mut not) = (0, String::new());
    let mut count = 0;
    for (name, text) in all() {
        let of_its_own = OF_THEIR_OWN.iter().any(|(document, _)| *document == name);
        for block in commands(&text) {
            match block.not_run() {
                Some(why) => {
                    count += 1;
                    let _ = writeln!(not, "{name}, {}: {why}", block.heading);
                }
                None => {
                    assert!(
                        of_its_own || typed.contains(&format!("\"{name}\"")),
                        "{name}:{}: nothing types this block; `<!-- not run: WHY -->` before it says why",
                        block.line
                    );
                    is_typed += 1;
                }
            }
        }
    }
    let head = format!(
        "Blocks of commands in the documents: {is_typed} are typed by the tests, {count} are not.\n\n"
    );
    assert_golden("tests/golden/not_typed.txt", &(head + &not));
}
