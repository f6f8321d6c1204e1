//! What the log and the traces say of the machine's decisions.

use tracing::{debug, info, warn};

use super::term::Leader;
use crate::store::outbox::Row;
use rules::produce_error::ProduceError;
use rules::relay::Action;
use rules::trace::{self, TraceContext};

impl Leader<'_> {
    /// Tells of an action.
    pub(super) fn tell(&mut self, action: &Action) {
        match action {
            Action::Parked(token, refusal) => self.tell_parked(*token, refusal),
            Action::Behind(token) => self.end_span(*token, "waits behind an event of its key"),
            Action::Held(topic, refusal, tokens) => {
                warn!(
                    topic,
                    hint = refusal.advice,
                    "the topic takes nothing: {}; its events wait, all others go on (makegood outbox list)",
                    refusal.reason
                );
                tokens.iter().for_each(|token| self.end_span(*token, "its topic takes nothing"));
            }
            Action::Freed(topic) => info!(topic, "the topic's events go again"),
            Action::Suspected(reason) => debug!(reason, "Kafka refused a row; it is sent alone"),
            Action::ClientFailed(reason) => {
                debug!(reason, "another Kafka client sends what is not acknowledged");
            }
            Action::Waits(complaint) => {
                warn!(hint = complaint.advice, "the outbox waits: {}", complaint.reason);
            }
            Action::ReadBlocked => {}
        }
    }

    fn tell_parked(&mut self, token: u64, refusal: &ProduceError) {
        let Some(row) = self.term.row(token) else { return };
        warn!(
            event = %row.id,
            topic = row.topic,
            trace_id = trace_of(row),
            hint = refusal.advice,
            "parked: {}; the events of its key wait behind it (makegood outbox list)",
            refusal.reason
        );
        self.end_span(token, &refusal.reason);
    }

    fn end_span(&mut self, token: u64, why: &str) {
        if let Some(row) = self.term.row(token) {
            self.spans.ended(token, row, Some(why));
        }
    }
}

/// The trace that a row belongs to, for the log.
fn trace_of(row: &Row) -> Option<String> {
    let header = row.headers.get(trace::HEADER)?;
    TraceContext::parse(header.as_bytes()).map(|context| context.trace_id())
}
