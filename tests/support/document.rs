//! A document as its reader takes it: the fenced blocks in their order, and the places it leads to.
//!
//! A comment that stands alone in the line before a block says what a reader sees without being told:
//!
//! - `<!-- not run: WHY -->` it cannot be typed here;
//! - `<!-- shows: TEXT -->` it prints this, at once or after a while, so it is typed until it does;
//! - `<!-- fails: TEXT -->` it prints this and ends with an error.

#![allow(dead_code, reason = "two programs of tests share it, and each uses a part")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What comes of a block that is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is not typed, for this reason.
    NotRun(String),
    /// It prints this.
    Shows(String),
    /// It prints this and fails.
    Fails(String),
}

/// A fenced block of commands.
#[derive(Clone, Debug)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    pub heading: String,
    pub language: String,
    pub text: String,
    pub marks: Vec<Mark>,
}

impl Block {
    /// Why it is not typed, if it is not.
    pub fn not_run(&self) -> Option<&str> {
        self.marks.iter().find_map(|mark| match mark {
            Mark::NotRun(why) => Some(why.as_str()),
            _ => None,
        })
    }
}

/// The languages of blocks that a reader types.
const TYPED: [&str; 5] = ["sh", "sql", "powershell", "console", "bash"];

/// The blocks of commands, in their order.
pub fn commands(text: &str) -> Vec<Block> {
    let (mut blocks, mut marks, mut heading) = (Vec::new(), Vec::new(), String::new());
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let bare = line.trim_start();
        if let Some(language) = bare.strip_prefix("```") {
            let indent = line.len() - bare.len();
            let inside = lines.by_ref().map(|(line, _)| line);
            let inside = inside.take_while(|line| line.trim_start() != "```");
            let inside: String =
                inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or(""))).collect();
            if TYPED.contains(&language) {
                blocks.push(Block {
                    line: number,
                    heading: heading.clone(),
                    language: language.to_owned(),
                    text: inside,
                    marks: std::mem::take(&mut marks),
                });
            }
        } else if let Some(mark) = mark(bare) {
            marks.push(mark);
        } else if !bare.is_empty() {
            assert!(marks.is_empty(), "line {number}: a mark stands before no block");
            if let Some(title) = bare.strip_prefix('#') {
                heading = title.trim_start_matches('#').trim().to_owned();
            }
        }
    }
    blocks
}

fn mark(line: &str) -> Option<Mark> {
    let inside = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    let (name, text) = inside.split_once(": ")?;
    match name {
        "not run" => Some(Mark::NotRun(text.to_owned())),
        "shows" => Some(Mark::Shows(text.to_owned())),
        "fails" => Some(Mark::Fails(text.to_owned())),
        _ => None,
    }
}

/// The text without its fenced blocks: links and headings there are none.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let kept = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    kept.map(|line| format!("{line}\n")).collect()
}

/// The anchors that GitHub gives the headings of a document.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let (mut found, text) = (BTreeSet::new(), prose(text));
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let twice = (1..).map(|n| format!("{anchor}-{n}"));
        let free = [anchor.clone()].into_iter().chain(twice).find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// Where a document leads to: what stands in the round brackets of its links, but for other sites.
pub fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let here = targets.filter(|to| !to.contains("://") && !to.starts_with("mailto:"));
    here.map(str::to_owned).collect()
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document that people read, by its name from the root, with its text.
pub fn all() -> Vec<(String, String)> {
    let mut open: Vec<PathBuf> =
        ["docs", "deploy", "examples", "sql"].map(|folder| root().join(folder)).into();
    let mut files: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
        .map(|name| root().join(name))
        .into_iter()
        .filter(|file| file.exists())
        .collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let name = |file: &PathBuf| file.strip_prefix(root()).unwrap().display().to_string();
    files.iter().map(|file| (name(file), fs::read_to_string(file).unwrap())).collect()
}
