//! The log that positions, gaps and watermarks belong to.

use uuid::Uuid;

/// The log that positions belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The consumer group.
    pub group: String,
    /// The topic's name.
    pub topic: String,
    /// The topic's id; a topic made anew under the same name has another.
    pub topic_id: Uuid,
}
