//! A producer's error as a refusal; what it means is in [`verdict`].

use rdkafka::error::RDKafkaErrorCode;

use crate::pure::refusal::Refusal;
use crate::pure::verdict::kafka as verdict;

/// The refusal that an error code stands for; `words` is what the broker added, if anything.
pub fn refusal(code: RDKafkaErrorCode, words: &str) -> Refusal {
    let name = super::name(code);
    let mut reason = super::words(code);
    if !words.is_empty() && !reason.contains(words) {
        reason = format!("{reason}: {words}");
    }
    let advice = verdict::refusal_advice(&name).to_owned();
    Refusal { blame: verdict::blame(&name), reason, advice }
}
