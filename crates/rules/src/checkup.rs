//! What a check found: good, worth a look, or in the way; and what to do about it.

pub mod group;
pub mod locks;
pub mod server;
pub mod topic;
pub mod write_cost;

/// How bad it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Pass,
    /// It works, and may not one day.
    Warn,
    /// It was not looked at, for a reason that another check names.
    Unseen,
    /// It does not work, or breaks the promise.
    Fail,
}

impl Level {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Pass => "pass",
            Level::Warn => "warn",
            Level::Unseen => "unseen",
            Level::Fail => "fail",
        }
    }
}

/// One check and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its stable name, for scripts: `kafka.topic`.
    pub name: &'static str,
    /// What was checked, where there may be several: a route, a database; may be empty.
    pub of: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub says: String,
    /// What to do about it; empty when nothing need be done.
    pub fix: String,
}

impl Check {
    /// All is well.
    pub fn pass(name: &'static str, says: impl Into<String>) -> Check {
        Check { name, of: String::new(), level: Level::Pass, says: says.into(), fix: String::new() }
    }

    /// Something to look at.
    pub fn warn(name: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { level: Level::Warn, fix: fix.into(), ..Check::pass(name, says) }
    }

    /// Something that is in the way.
    pub fn fail(name: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { level: Level::Fail, fix: fix.into(), ..Check::pass(name, says) }
    }

    /// The same check, if it was not looked at.
    pub fn unseen(self) -> Check {
        let says = "not looked at, for a reason that another check names".to_owned();
        Check { level: Level::Unseen, says, fix: String::new(), ..self }
    }

    /// The same check of something that is one of several.
    pub fn of(self, of: &str) -> Check {
        Check { of: of.to_owned(), ..self }
    }
}

/// How many of `checks` are this bad.
pub fn count(checks: &[Check], level: Level) -> usize {
    checks.iter().filter(|check| check.level == level).count()
}
