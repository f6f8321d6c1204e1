//! The life of one payment.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::MomentView;
use super::words::parts;
use crate::explain::{Life, MissingPart, Trace, details, sentence, traces};

/// What is known of an id.
pub struct Explained {
    pub id: String,
    /// In parts, its commands set apart.
    pub sentence: Vec<(bool, String)>,
    /// Those of other payments and other routes.
    pub others: Vec<Vec<(bool, String)>>,
    /// What could not be looked at, a line each.
    pub unseen: Vec<String>,
    pub steps: Vec<ExplainedStep>,
}

/// One thing that became of it.
pub struct ExplainedStep {
    pub when: Option<MomentView>,
    pub part: String,
    pub what: String,
    pub details: String,
}

impl Explained {
    /// What was found, by each route.
    pub fn new(id: &str, lives: &[(String, Life)], now: Timestamp) -> Explained {
        let told = |(route, life): &(String, Life)| match lives.len() {
            1 => sentence(life),
            _ => format!("{route}: {}", sentence(life)),
        };
        let told: Vec<String> = lives.iter().map(told).collect();
        let mut lines = told.iter().flat_map(|text| text.lines()).map(parts);
        let unseen = lives.iter().flat_map(|(_, life)| life.unseen.iter().map(MissingPart::line));
        Explained {
            id: id.to_owned(),
            sentence: lines.next().unwrap_or_default(),
            others: lines.collect(),
            unseen: unseen.collect::<BTreeSet<_>>().into_iter().collect(),
            steps: traces(lives).into_iter().map(|trace| step(trace, now)).collect(),
        }
    }

    /// Why nothing was looked up.
    pub fn refused(id: &str, sentence: &str) -> Explained {
        Explained {
            id: id.to_owned(),
            sentence: parts(sentence),
            others: Vec::new(),
            unseen: Vec::new(),
            steps: Vec::new(),
        }
    }
}

fn step(trace: &Trace, now: Timestamp) -> ExplainedStep {
    ExplainedStep {
        when: trace.at.map(|at| MomentView::new(at, now)),
        part: trace.part.clone(),
        what: trace.what.clone(),
        details: details(&trace.contents),
    }
}
