//! What a person types next.

use super::Verdict;

/// The command that shows or mends what a verdict is about; `None` where nothing is to be done. `start` is the one that
/// starts a daemon.
pub fn next(verdict: Verdict, start: &'static str) -> Option<&'static str> {
    match verdict {
        Verdict::Ok | Verdict::Behind => None,
        Verdict::Quarantine | Verdict::Suspect => Some("makegood quarantine list"),
        Verdict::Mismatch => Some("makegood reconcile show"),
        Verdict::Parked => Some("makegood outbox list"),
        Verdict::Gap | Verdict::Unpurchased => Some("makegood reconcile run --wait"),
        Verdict::TopicRecreated => Some("makegood offsets show"),
        Verdict::Down => Some(start),
        Verdict::Ignoring
        | Verdict::Joining
        | Verdict::Unknown
        | Verdict::Unread
        | Verdict::Stalled
        | Verdict::NoTopic
        | Verdict::Held
        | Verdict::Overdue
        | Verdict::Unreachable => Some("makegood doctor"),
    }
}
