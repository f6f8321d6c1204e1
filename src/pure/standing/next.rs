//! What a person types next.

use super::Word;

/// The command that shows or mends what a verdict is about; `None` where nothing is to be done. `start` is the one that
/// starts a daemon.
pub fn next(word: Word, start: &'static str) -> Option<&'static str> {
    match word {
        Word::Ok | Word::Behind => None,
        Word::Quarantine | Word::Suspect => Some("makegood quarantine list"),
        Word::Mismatch => Some("makegood reconcile show"),
        Word::SetAside => Some("makegood outbox list"),
        Word::Gap | Word::Unpurchased => Some("makegood reconcile run --wait"),
        Word::MadeAnew => Some("makegood offsets show"),
        Word::Down => Some(start),
        Word::Ignoring
        | Word::Joining
        | Word::Unknown
        | Word::Unread
        | Word::Stalled
        | Word::NoTopic
        | Word::Held
        | Word::Overdue
        | Word::Unreachable => Some("makegood doctor"),
    }
}
