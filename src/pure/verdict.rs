//! What a failed batch means: try again, wait, look for the culprit, or set it aside.

/// What to do after an error from PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It will pass by itself: try the same again soon.
    Retry,
    /// The world is broken, not the record: keep the place, say why, try again at leisure.
    Hold,
    /// Some record may be to blame: find it by halving.
    Bisect,
    /// This record is to blame: set it aside and go on.
    Quarantine,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// How many records the failed transaction had.
    pub records: usize,
    /// Another record was applied since this failure was first seen, so the world works.
    pub witnessed: bool,
}

/// What an error means. `sqlstate` is PostgreSQL's five characters, `None` when the connection
/// failed without any.
pub fn verdict(sqlstate: Option<&str>, scope: Scope) -> Verdict {
    let _ = (sqlstate, scope);
    Verdict::Hold
}

/// One sentence an operator can act on.
pub fn advice(sqlstate: Option<&str>) -> &'static str {
    let _ = sqlstate;
    ""
}
