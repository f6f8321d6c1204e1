//! What would have differed, had makegood made the purchases that another worker made: judged, and counted.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::payment::Doubt;
use crate::payment_diff::contradiction;
use crate::words::words;

words! {
    /// How the other worker's purchases differ from what makegood would have made.
    Difference {
        /// An event has no purchase: makegood would have made it
        Missing = "missing",
        /// The purchase says something else than its payment
        Differs = "differs",
        /// There is a purchase, and the payment does not bear its event out: makegood would have put the event away
        Unwanted = "unwanted",
        /// There is a purchase that no event in the topic tells of
        NoEvent = "no_event",
        /// A record cannot be read: makegood would have put it away
        Unreadable = "unreadable",
    }
}

/// So many differences are known one by one; more are counted.
pub const KNOWN: usize = 10_000;

/// What an event, its payment (its state and terms) and its purchase come to; `None` if makegood had done the same. An
/// event is held against its payment as it was then: one that was given back since was paid. Where the event says something
/// else than its payment, which is paid, the payment counts: its purchase is made from it all the same.
pub fn judge(
    doubt: Option<&Doubt>,
    payment: Option<(&str, &Value)>,
    purchase: Option<&Value>,
) -> Option<(Difference, String)> {
    let was_paid = |doubt: &Doubt| matches!(doubt, Doubt::NotPaid(state) if state == "refunded");
    let is_paid = |doubt: &Doubt| matches!(doubt, Doubt::Mismatch(_));
    match (doubt.filter(|doubt| !was_paid(doubt) && !is_paid(doubt)), purchase) {
        (Some(_), None) => None,
        (Some(doubt), Some(_)) => Some((Difference::Unwanted, doubt.detail())),
        // It may have been given back before anybody could make it.
        (None, None) if doubt.is_some_and(was_paid) => None,
        (None, None) => Some((Difference::Missing, String::new())),
        (None, Some(purchase)) => {
            let terms = payment.map(|(_, terms)| ("paid", terms));
            let word = terms.and_then(|terms| contradiction(Some(terms), purchase))?;
            Some((Difference::Differs, format!("another {word}")))
        }
    }
}

/// What differs now, by its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    open: BTreeMap<String, (Difference, String)>,
    beyond: u64,
}

impl Tally {
    /// Notes what came of a key; what differs no more is no difference.
    pub fn note(&mut self, key: &str, judged: Option<(Difference, String)>) {
        match judged {
            None => drop(self.open.remove(key)),
            Some(found) if self.open.len() < KNOWN || self.open.contains_key(key) => {
                self.open.insert(key.to_owned(), found);
            }
            Some(_) => self.beyond += 1,
        }
    }

    /// The keys that differ, and how.
    pub fn open(&self) -> impl Iterator<Item = (&str, Difference, &str)> {
        self.open.iter().map(|(key, (how, detail))| (key.as_str(), *how, detail.as_str()))
    }

    /// How many differ, of those that are known one by one, and how many more were met.
    pub fn count(&self) -> (usize, u64) {
        (self.open.len(), self.beyond)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_pair_is_judged_as_makegood_would_have_done() {
        let (terms, other) = (json!({"amount": "5.00"}), json!({"amount": "5.01"}));
        let (paid, refunded) = (Some(("paid", &terms)), Some(("refunded", &terms)));
        let given_back = Doubt::NotPaid("refunded".to_owned());
        let word = |judged: Option<(Difference, String)>| judged.map(|(how, _)| how);
        assert_eq!(word(judge(None, paid, None)), Some(Difference::Missing));
        assert_eq!(word(judge(None, paid, Some(&terms))), None);
        assert_eq!(word(judge(None, paid, Some(&other))), Some(Difference::Differs));
        assert_eq!(word(judge(Some(&Doubt::NoPayment), None, None)), None);
        assert_eq!(
            word(judge(Some(&Doubt::NoPayment), None, Some(&terms))),
            Some(Difference::Unwanted)
        );
        assert_eq!(word(judge(Some(&given_back), refunded, None)), None);
        assert_eq!(word(judge(Some(&given_back), refunded, Some(&terms))), None);
        assert_eq!(
            word(judge(Some(&given_back), refunded, Some(&other))),
            Some(Difference::Differs)
        );
        let forged = Doubt::Mismatch("/data/amount".to_owned());
        assert_eq!(word(judge(Some(&forged), paid, None)), Some(Difference::Missing));
        assert_eq!(word(judge(Some(&forged), paid, Some(&terms))), None);
        assert_eq!(word(judge(Some(&forged), paid, Some(&other))), Some(Difference::Differs));
        // Where events are believed only the purchase's being there can be compared.
        assert_eq!(word(judge(None, None, Some(&other))), None);
    }

    #[test]
    fn what_is_mended_is_no_difference_and_too_many_are_counted() {
        let mut tally = Tally::default();
        let missing = || Some((Difference::Missing, String::new()));
        (0..=KNOWN).for_each(|number| tally.note(&number.to_string(), missing()));
        assert_eq!(tally.count(), (KNOWN, 1));
        tally.note("7", None);
        assert_eq!(tally.count(), (KNOWN - 1, 1));
        assert_eq!(tally.open().filter(|(key, ..)| *key == "7").count(), 0);
    }
}
