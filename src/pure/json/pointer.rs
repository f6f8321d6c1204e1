//! Following JSON pointers (RFC 6901) down a text as it is read.

/// A pointer that leads to or through the value at hand.
pub(super) struct Open<'p> {
    /// Which of the wanted pointers it is.
    pub index: usize,
    /// What of it is still to go; empty when this is the place.
    pub rest: &'p str,
}

impl<'p> Open<'p> {
    /// The pointers that go on at `token`, an object's key or an array's index.
    pub fn step(open: &[Open<'p>], token: &str) -> Vec<Open<'p>> {
        open.iter().filter_map(|open| open.through(token)).collect()
    }

    fn through(&self, token: &str) -> Option<Open<'p>> {
        let path = self.rest.strip_prefix('/')?;
        // Nearly always the first byte tells, so nothing longer is looked for before it.
        if token.as_bytes().first() != path.as_bytes().first() && !path.starts_with(['~', '/']) {
            return None;
        }
        let (head, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        let same = match head.contains('~') {
            false => head == token,
            true => head.replace("~1", "/").replace("~0", "~") == token,
        };
        same.then_some(Open { index: self.index, rest })
    }
}
