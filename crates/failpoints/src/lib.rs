//! Steps at which the proof has makegood fail. Whoever uses this stands behind the cargo feature `failpoints`, without
//! which it is not even built.
//!
//! What a step does is a file, so that another process can say so at any moment, also to a daemon that starts: in the folder that
//! [`FOLDER_ENV`] names, a file with the step's name that says `KIND SKIP TIMES MS`. Beside it, one byte for each time
//! that the step was reached meanwhile.

mod points;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub use points::{Failpoint, POINTS, Trigger};

/// The environment variable that names the folder.
pub const FOLDER_ENV: &str = "FAILPOINTS_FOLDER";

/// What a step can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailpointKind {
    /// It fails as its server would have it fail.
    Error,
    /// It panics.
    Panic,
    /// The process dies.
    Abort,
    /// It takes long.
    Sleep,
    /// What it hands on, or is handed, is lost: a record, an answer, a connection.
    Drop,
}

impl FailpointKind {
    /// All of them.
    pub const ALL: [FailpointKind; 5] = [
        FailpointKind::Error,
        FailpointKind::Panic,
        FailpointKind::Abort,
        FailpointKind::Sleep,
        FailpointKind::Drop,
    ];

    /// Its word in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            FailpointKind::Error => "error",
            FailpointKind::Panic => "panic",
            FailpointKind::Abort => "abort",
            FailpointKind::Sleep => "sleep",
            FailpointKind::Drop => "drop",
        }
    }

    fn named(word: &str) -> Option<FailpointKind> {
        FailpointKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How a step is to fail by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// By an error.
    Error,
    /// By losing what it has.
    Drop,
}

/// A step was reached by what may wait.
pub async fn reached(point: &str) -> Option<Failure> {
    let told = told(point)?;
    if told.kind == FailpointKind::Sleep {
        tokio::time::sleep(told.pause).await;
    }
    told.failure(point)
}

/// A step was reached by a thread of its own.
pub fn reached_by_thread(point: &str) -> Option<Failure> {
    let told = told(point)?;
    if told.kind == FailpointKind::Sleep {
        thread::sleep(told.pause);
    }
    told.failure(point)
}

/// What a step was told.
struct Instruction {
    kind: FailpointKind,
    pause: Duration,
}

impl Instruction {
    fn failure(&self, point: &str) -> Option<Failure> {
        match self.kind {
            FailpointKind::Error => Some(Failure::Error),
            FailpointKind::Drop => Some(Failure::Drop),
            FailpointKind::Sleep => None,
            FailpointKind::Panic => panic!("failpoint {point}"),
            FailpointKind::Abort => std::process::abort(),
        }
    }
}

/// What the step is told for this time.
fn told(point: &str) -> Option<Instruction> {
    let folder = PathBuf::from(std::env::var_os(FOLDER_ENV)?);
    let said = fs::read_to_string(folder.join(point)).ok()?;
    let mut words = said.split_whitespace();
    let kind = FailpointKind::named(words.next()?)?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let (skip, times, ms) = (number()?, number()?, number()?);
    let reached = count(&folder.join(format!("{point}.reached")))?;
    let is_now = reached > skip && reached <= skip + times;
    is_now.then_some(Instruction { kind, pause: Duration::from_millis(ms) })
}

/// Adds one, and says how many that makes.
fn count(file: &Path) -> Option<u64> {
    let mut file = OpenOptions::new().append(true).create(true).open(file).ok()?;
    file.write_all(b".").ok()?;
    file.metadata().ok().map(|found| found.len())
}
