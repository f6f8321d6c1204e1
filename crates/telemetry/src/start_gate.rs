//! Whether a route may apply anything yet: not before its mapping fits the tables and the purchases made by
//! hand have been looked at. The daemon tells, every loop of the route hears. What was granted once stays so.

use tokio::sync::watch;

use crate::progress::Complaint;

/// What a route's loops hear.
#[derive(Clone, Debug)]
pub struct Admission(watch::Receiver<Option<Complaint>>);

/// Both ends: why the route is held for now (`None` for nothing), and where its loops hear it.
pub fn admission(why: Option<Complaint>) -> (watch::Sender<Option<Complaint>>, Admission) {
    let (told, heard) = watch::channel(why);
    (told, Admission(heard))
}

impl Admission {
    /// That of a route that waits for nothing.
    pub fn granted() -> Admission {
        admission(None).1
    }

    /// Why the route may not apply anything, if it may not.
    pub fn held(&self) -> Option<Complaint> {
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
