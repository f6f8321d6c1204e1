//! A producer's error as a refusal; what it means is in [`error_policy`].

use rdkafka::error::RDKafkaErrorCode;

use rules::error_policy::kafka as error_policy;
use rules::produce_error::ProduceError;

/// The refusal that an error code stands for; `words` is what the broker added, if anything.
pub fn refusal(code: RDKafkaErrorCode, words: &str) -> ProduceError {
    let name = super::name(code);
    let mut reason = super::words(code);
    if !words.is_empty() && !reason.contains(words) {
        reason = format!("{reason}: {words}");
    }
    let advice = error_policy::refusal_advice(&name).to_owned();
    ProduceError { blame: error_policy::blame(&name), reason, advice }
}
