//! Payments and purchases that come from two databases: which keys a window is about, and whether a pair
//! contradicts itself. Says the same as a join in one database.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::payment::{leaf, same};

/// The place of a row in the order of time and key.
pub type OrderKey = (Timestamp, String);

/// The places of one window over two lists, each sorted and of at most `rows` places after the same
/// place: the first `rows` of both. What a list has beyond them comes again in the next window.
pub fn window(payments: &[OrderKey], purchases: &[OrderKey], rows: usize) -> BTreeSet<OrderKey> {
    let mut window: BTreeSet<OrderKey> = payments.iter().chain(purchases).cloned().collect();
    while window.len() > rows {
        window.pop_last();
    }
    window
}

/// The word for what is wrong with a purchase and its payment's state (`paid` or a word for anything
/// else) and terms; `None` if nothing is. Terms are compared by the names that both have, and the first
/// that differs gives the word.
pub fn contradiction(payment: Option<(&str, &Value)>, purchase: &Value) -> Option<String> {
    let Some((state, terms)) = payment else { return Some("no_payment".to_owned()) };
    if state != "paid" {
        return Some(state.to_owned());
    }
    let (Value::Object(expected), Value::Object(found)) = (terms, purchase) else { return None };
    let mut differing: Vec<&String> = expected
        .iter()
        .filter(|(name, value)| found.get(*name).is_some_and(|found| !is_same(found, value)))
        .map(|(name, _)| name)
        .collect();
    differing.sort();
    differing.first().map(|name| (*name).clone())
}

/// The same value, in whatever spelling: a column with more digits writes more zeros.
fn is_same(one: &Value, other: &Value) -> bool {
    let texts = leaf(one).zip(leaf(other));
    one == other || texts.is_some_and(|(one, other)| same(&one, &other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(second: i64, key: &str) -> OrderKey {
        (Timestamp::from_second(second).unwrap(), key.to_owned())
    }

    #[test]
    fn the_same_amount_with_more_zeros_is_no_contradiction() {
        let (paid, bought) = (json!({"amount": "499.5000"}), json!({"amount": "499.50"}));
        assert_eq!(contradiction(Some(("paid", &paid)), &bought), None);
        // No double tells these from each other.
        let (paid_much, other) =
            (json!({"amount": "9007199254740993"}), json!({"amount": "9007199254740992"}));
        assert_eq!(contradiction(Some(("paid", &paid_much)), &other), Some("amount".to_owned()));
        let other = json!({"amount": "499.51"});
        assert_eq!(contradiction(Some(("paid", &paid)), &other), Some("amount".to_owned()));
    }

    #[test]
    fn a_window_is_the_first_of_both_lists() {
        let payments = [place(1, "a"), place(3, "c")];
        let purchases = [place(1, "a"), place(2, "b"), place(3, "d")];
        let keys = |rows| -> Vec<String> {
            window(&payments, &purchases, rows).into_iter().map(|p| p.1).collect()
        };
        assert_eq!(keys(2), ["a", "b"]);
        assert_eq!(keys(9), ["a", "b", "c", "d"]);
        assert!(window(&[], &[], 5).is_empty());
    }

    #[test]
    fn a_pair_contradicts_itself_by_its_first_differing_term() {
        let terms = json!({"status": "succeeded", "amount": "5.00", "currency": "INR"});
        let same = json!({"amount": "5.00", "currency": "INR"});
        let other = json!({"amount": "6.00", "currency": "EUR"});
        assert_eq!(contradiction(Some(("paid", &terms)), &same), None);
        assert_eq!(contradiction(Some(("paid", &terms)), &other).as_deref(), Some("amount"));
        assert_eq!(contradiction(Some(("refunded", &terms)), &same).as_deref(), Some("refunded"));
        assert_eq!(contradiction(None, &same).as_deref(), Some("no_payment"));
    }
}
