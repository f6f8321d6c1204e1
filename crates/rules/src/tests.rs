//! The drawings of the machines in `docs/architecture.md`, which the tests compare with the code.

use std::collections::BTreeSet;

/// The arrows of a drawing in the documentation, by its name.
pub(crate) fn drawn(name: &str) -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/architecture.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lines = page.lines().skip_while(|line| line.trim() != format!("%% {name}"));
    lines.skip(1).take_while(|line| !line.starts_with("```")).map(|l| l.trim().to_owned()).collect()
}

/// An arrow as the drawings have it.
pub(crate) fn arrow(from: impl std::fmt::Debug, to: impl std::fmt::Debug, event: &str) -> String {
    format!("{from:?} --> {to:?}: {event}")
}
