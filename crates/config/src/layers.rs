//! What was found, before it is interpreted: raw values by key, each with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::mistake::Mistake;

/// Where an effective value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A file an environment variable ending in `_FILE` points to.
    EnvFile {
        /// The variable.
        name: String,
        /// The file it names.
        path: PathBuf,
    },
    /// A flag on the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Env(name) => write!(f, "env {name}"),
            Origin::EnvFile { name, path } => write!(f, "env {name} ({})", path.display()),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value as it was written. The environment and flags know only [`Raw::Text`].
#[derive(Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text, a timestamp, or a number with a fraction.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Truth(bool),
    /// A list of texts.
    List(Vec<String>),
    /// How many tables a list of tables has, or something that is none of the above.
    Tables(usize),
}

/// One value found.
#[derive(Clone)]
pub struct LayerValue {
    /// As written.
    pub raw: Raw,
    /// Where.
    pub origin: Origin,
}

/// Everything found, by key such as `http.listen` or `inbox[0].topic`. A later layer replaces an
/// earlier one's value.
#[derive(Default)]
pub struct Layers {
    /// The values.
    pub found: BTreeMap<String, LayerValue>,
    /// The mistakes met on the way.
    pub mistakes: Vec<Mistake>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Layers {
    /// Lays a value over what was there.
    pub fn lay(&mut self, key: impl Into<String>, raw: Raw, origin: Origin) {
        self.found.insert(key.into(), LayerValue { raw, origin });
    }

    /// Notes a mistake.
    pub fn mistake(
        &mut self,
        at: impl fmt::Display,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.mistakes.push(Mistake { at: at.to_string(), what: what.into(), fix: fix.into() });
    }

    /// How many tables a list of tables holds; `None` when it was not given.
    pub fn tables(&self, key: &str) -> Option<usize> {
        match self.found.get(key).map(|found| &found.raw) {
            Some(Raw::Tables(count)) => Some(*count),
            _ => None,
        }
    }
}
