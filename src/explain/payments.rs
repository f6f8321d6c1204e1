//! The payments among what was found: one text, such as a student or an invoice, may lead to several.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::{Life, Trace};

/// Of so many payments everything is told; of the rest how many they are.
pub const MOST: usize = 20;

impl Life {
    /// The keys of the payments, that of the latest first.
    pub fn payments(&self) -> Vec<String> {
        let mut latest: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
        for (key, at) in self.traces.iter().filter_map(|t| Some((t.business_key.as_deref()?, t.at)))
        {
            let known = latest.entry(key).or_default();
            *known = at.max(*known);
        }
        let mut keys: Vec<_> = latest.into_iter().collect();
        keys.sort_by_key(|(key, at)| (Reverse(*at), *key));
        keys.into_iter().map(|(key, _)| key.to_owned()).collect()
    }

    /// What is known of one of the payments.
    pub fn of(&self, key: &str) -> Life {
        let is_its = |t: &&Trace| t.business_key.as_deref().is_none_or(|own| own == key);
        Life { traces: self.traces.iter().filter(is_its).cloned().collect(), ..self.clone() }
    }

    /// Whether each payment has its row, or an event that was taken in.
    pub fn is_settled(&self) -> bool {
        let is = |life: &Life| life.has("purchase").is_some() || life.has("inbox").is_some();
        match self.payments() {
            keys if keys.is_empty() => is(self),
            keys => keys.iter().all(|key| is(&self.of(key))),
        }
    }

    /// Keeps the latest payments, and counts the others.
    pub(super) fn keep(&mut self, most: usize) {
        let keys = self.payments();
        let others: BTreeSet<&String> = keys.iter().skip(most).collect();
        let is_kept = |t: &Trace| t.business_key.as_ref().is_none_or(|key| !others.contains(key));
        self.traces.retain(is_kept);
        self.more += others.len();
    }

    /// Keeps what was asked for by an id of its own: the payment's, the purchase's, the event's.
    pub(super) fn narrow(&mut self, asked: &[String]) {
        let keys = self.payments();
        let named: BTreeSet<String> =
            keys.into_iter().filter(|key| self.is_named(key, asked)).collect();
        let is_host = |t: &Trace| matches!(t.part.as_str(), "payment" | "purchase");
        self.traces.retain(|t| match &t.business_key {
            Some(key) => named.contains(key),
            None => !is_host(t),
        });
        self.may_be_more &= !named.is_empty();
    }

    fn is_named(&self, key: &str, asked: &[String]) -> bool {
        let is_asked = |text: &str| asked.iter().any(|one| one.eq_ignore_ascii_case(text));
        let parts = serde_json::from_str::<Vec<String>>(key).unwrap_or_default();
        let mut traces = self.traces.iter().filter(|t| t.business_key.as_deref() == Some(key));
        is_asked(key)
            || parts.iter().any(|part| is_asked(part))
            || traces.any(|t| match t.part.as_str() {
                "payment" | "purchase" => {
                    ["id", "eventId"].iter().any(|name| match &t.contents[*name] {
                        Value::String(text) => is_asked(text),
                        Value::Null => false,
                        other => is_asked(&other.to_string()),
                    })
                }
                // makegood's own tables are asked by ids alone.
                _ => true,
            })
    }
}
