//! What the mapping answers, held to its contract.

use tokio_postgres::Row;
use uuid::Uuid;

use super::batch::Fresh;
use super::fault::ApplyFault;
use crate::quarantine::Refusal;
use rules::outcome::Outcome;
use rules::payment::Doubt;

/// What the mapping said of one event.
#[derive(Clone)]
pub(super) struct Answer {
    pub outcome: Outcome,
    pub business_key: Option<String>,
    pub detail: Option<String>,
    /// Why it makes no purchase although the mapping would, if that is so.
    pub doubt: Option<Doubt>,
}

impl Answer {
    /// Why an event that the mapping rejects, or whose payment says something else, goes to quarantine.
    pub(super) fn rejection(self) -> Refusal {
        if let Some(doubt) = self.doubt {
            let business_key = self.business_key;
            return Refusal { business_key, ..Refusal::own(doubt.reason(), doubt.detail()) };
        }
        let detail = self.detail.unwrap_or_else(|| "the mapping rejected it".to_owned());
        Refusal {
            business_key: self.business_key,
            ..Refusal::own(Outcome::Rejected.as_str(), detail)
        }
    }
}

/// The answers to some events, as they come in.
#[derive(Clone)]
pub(super) struct Answers {
    /// Of the events, in their order.
    ids: Vec<Uuid>,
    /// In the order of the events.
    answers: Vec<Option<Answer>>,
}

impl Answers {
    /// None yet to events that are in the order of their ids.
    pub(super) fn to(fresh: &[Fresh<'_>]) -> Answers {
        let (ids, answers) = fresh.iter().map(|event| (event.id, None)).unzip();
        Answers { ids, answers }
    }

    /// The places of the events without an answer.
    pub(super) fn open(&self) -> Vec<usize> {
        let answers = self.answers.iter().enumerate();
        answers.filter(|(_, answer)| answer.is_none()).map(|(at, _)| at).collect()
    }

    /// All answers, if none is missing.
    pub(super) fn all(self) -> Option<Vec<Answer>> {
        self.answers.into_iter().collect()
    }

    /// Whether the purchase of an event was found as it should be.
    pub(super) fn has_purchase(&self, at: usize) -> bool {
        self.answers[at].as_ref().is_some_and(|answer| answer.outcome.has_purchase())
    }

    /// Gives an answer that the mapping could not give.
    pub(super) fn give(&mut self, at: usize, answer: Answer) {
        self.answers[at] = Some(answer);
    }

    /// Takes one row of the mapping's answer, or says how it breaks the contract.
    pub(super) fn take(&mut self, row: &Row) -> Result<(), ApplyFault> {
        let breach = |what: &str| Err(ApplyFault::Breach(format!("apply.sql returned {what}")));
        let Ok((id, outcome, business_key, detail)) = read(row) else {
            return breach(
                "other columns than event_id uuid, outcome text, business_key text, detail text",
            );
        };
        let Some(id) = id else { return breach("a row without an event_id") };
        let Some(outcome) = outcome else { return breach("an event without an outcome (null)") };
        let Ok(at) = self.ids.binary_search(&id) else {
            return breach("an event_id it was not given");
        };
        if outcome == "altered" {
            return Err(ApplyFault::Altered);
        }
        let Ok(outcome) = outcome.parse::<Outcome>() else {
            let known = Outcome::ALL.map(Outcome::as_str).join(", ");
            return breach(&format!("an outcome that is none of altered, {known}"));
        };
        if outcome == Outcome::Applied && business_key.is_none() {
            return breach("`applied` without a business_key");
        }
        let answer = Answer { outcome, business_key, detail, doubt: None };
        match self.answers[at].replace(answer) {
            None => Ok(()),
            Some(_) => breach("two rows for one event"),
        }
    }
}

type Columns<'r> = (Option<Uuid>, Option<&'r str>, Option<String>, Option<String>);

fn read(row: &Row) -> Result<Columns<'_>, tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
}
