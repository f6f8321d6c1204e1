//! What is wrong, and what a person can do about it.

use crate::problem::Problem;

/// A diagnosis of what keeps a route, a batch or a lane from its work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What is wrong, as a sentence without its end; without secrets or payloads.
    pub reason: String,
    /// What to do about it, as [`crate::advice`] has it; may be empty.
    pub advice: String,
}

impl Diagnosis {
    /// A diagnosis of these words.
    pub fn new(reason: impl Into<String>, advice: impl Into<String>) -> Diagnosis {
        Diagnosis { reason: reason.into(), advice: advice.into() }
    }
}

impl From<Problem> for Diagnosis {
    fn from(problem: Problem) -> Diagnosis {
        Diagnosis { reason: problem.cause, advice: problem.hint }
    }
}

impl From<&Problem> for Diagnosis {
    fn from(problem: &Problem) -> Diagnosis {
        Diagnosis::from(problem.clone())
    }
}
