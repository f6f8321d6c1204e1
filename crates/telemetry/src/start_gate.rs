//! Whether a route may apply anything yet: not before its mapping fits the tables and the purchases made by
//! hand have been looked at. The daemon tells, every loop of the route hears. What was granted once stays so.

use rules::diagnosis::Diagnosis;
use tokio::sync::watch;

/// What a route's loops hear.
#[derive(Clone, Debug)]
pub struct Admission(watch::Receiver<Option<Diagnosis>>);

/// Both ends: why the route is held for now (`None` for nothing), and where its loops hear it.
pub fn admission(why: Option<Diagnosis>) -> (watch::Sender<Option<Diagnosis>>, Admission) {
    let (told, heard) = watch::channel(why);
    (told, Admission(heard))
}

impl Admission {
    /// That of a route that waits for nothing.
    pub fn granted() -> Admission {
        admission(None).1
    }

    /// Why the route may not apply anything, if it may not.
    pub fn held(&self) -> Option<Diagnosis> {
        self.0.borrow().clone()
    }

    /// Waits until there is another word.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody tells any more.
            std::future::pending().await
        }
    }
}
