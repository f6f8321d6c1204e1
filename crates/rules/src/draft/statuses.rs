//! What the words of a payments' status mostly mean.

/// A word of the status, and how many payments have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWord {
    /// The word.
    pub text: String,
    /// How many payments were seen with it.
    pub payments: i64,
}

impl StatusWord {
    /// How many payments have it, in words.
    pub fn counted(&self) -> String {
        match self.payments {
            1 => "1 payment".to_owned(),
            many => format!("{many} payments"),
        }
    }
}

/// The words that were found, by what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Paid.
    pub paid: Vec<String>,
    /// Paid, and given back.
    pub refunded: Vec<String>,
    /// Not paid, or not yet.
    pub not_paid: Vec<String>,
    /// What a person has to say.
    pub unknown: Vec<StatusWord>,
}

const PAID: [&str; 8] =
    ["succeeded", "success", "paid", "captured", "completed", "complete", "settled", "confirmed"];
const REFUNDED: [&str; 7] = [
    "refunded",
    "refund",
    "givenback",
    "reversed",
    "chargeback",
    "chargedback",
    "partiallyrefunded",
];
const NOT_PAID: [&str; 20] = [
    "pending",
    "processing",
    "failed",
    "failure",
    "canceled",
    "cancelled",
    "expired",
    "new",
    "created",
    "open",
    "declined",
    "rejected",
    "authorized",
    "initiated",
    "started",
    "requiresaction",
    "requirespaymentmethod",
    "unpaid",
    "voided",
    "abandoned",
];

impl Meaning {
    /// Sorts the words. One with a comma cannot stand in a line, so a person has to rename it.
    pub fn of(words: &[StatusWord]) -> Meaning {
        let mut meaning = Meaning::default();
        for word in words {
            let plain: String = word.text.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
            let plain = plain.to_lowercase();
            let is_in = |list: &[&str]| list.contains(&plain.as_str()) && !word.text.contains(',');
            if is_in(&PAID) {
                meaning.paid.push(word.text.clone());
            } else if is_in(&REFUNDED) {
                meaning.refunded.push(word.text.clone());
            } else if is_in(&NOT_PAID) {
                meaning.not_paid.push(word.text.clone());
            } else {
                meaning.unknown.push(word.clone());
            }
        }
        meaning
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_may_mean_anything_is_left_to_a_person() {
        let word = |text: &str| StatusWord { text: text.to_owned(), payments: 1 };
        let words = ["PAID", "given_back", "On-Hold", "requires_action", "paid,late"].map(word);
        let meaning = Meaning::of(&words);
        assert_eq!(
            (meaning.paid, meaning.refunded),
            (vec!["PAID".to_owned()], vec!["given_back".to_owned()])
        );
        assert_eq!(meaning.not_paid, ["requires_action"]);
        let unknown: Vec<&str> = meaning.unknown.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(unknown, ["On-Hold", "paid,late"]);
    }
}
