//! The life of one payment.

use jiff::Timestamp;

use super::When;
use super::words::parts;
use crate::explain::{Life, Trace, Unseen, details, sentence};

/// What is known of an id.
pub struct Explained {
    pub id: String,
    /// In parts, its commands set apart.
    pub sentence: Vec<(bool, String)>,
    /// What could not be looked at, a line each.
    pub unseen: Vec<String>,
    pub steps: Vec<Step>,
}

/// One thing that became of it.
pub struct Step {
    pub when: Option<When>,
    pub part: String,
    pub what: String,
    pub details: String,
}

impl Explained {
    /// What was found.
    pub fn new(id: &str, life: &Life, now: Timestamp) -> Explained {
        let step = |trace: &Trace| Step {
            when: trace.at.map(|at| When::new(at, now)),
            part: trace.part.clone(),
            what: trace.what.clone(),
            details: details(&trace.contents),
        };
        Explained {
            id: id.to_owned(),
            sentence: parts(&sentence(life)),
            unseen: life.unseen.iter().map(Unseen::line).collect(),
            steps: life.traces.iter().map(step).collect(),
        }
    }

    /// Why nothing was looked up.
    pub fn refused(id: &str, sentence: &str) -> Explained {
        Explained {
            id: id.to_owned(),
            sentence: parts(sentence),
            unseen: Vec::new(),
            steps: Vec::new(),
        }
    }
}
