//! What the loops of a route tell each other about suspects, in memory only.
//!
//! An event that the route is known to have a purchase for is a control: what is like it can be expected to get
//! through, so it can show that the world works where nothing new is left to insert.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The newest such event, as JSON, and whether there is news of suspects.
#[derive(Clone, Debug, Default)]
pub struct Control {
    event: Arc<Mutex<Option<Arc<str>>>>,
    news: Arc<Notify>,
}

impl Control {
    /// The event, if the route has seen one since it started.
    pub fn event(&self) -> Option<Arc<str>> {
        self.lock().clone()
    }

    /// A newer event.
    pub fn is_now(&self, json: &str) {
        *self.lock() = Some(json.into());
    }

    /// There is a new suspect, or something was applied that proves others.
    pub fn tell(&self) {
        self.news.notify_one();
    }

    /// Waits for news of suspects.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        // It is replaced as a whole, so a panic elsewhere does not spoil it.
        self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
