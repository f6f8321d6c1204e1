//! What is tried for the partitions beside the loop: claims, and looks at those that could not be claimed.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::claim::Claimed;
use rules::problem::Problem;

/// The newest attempts; replacing or dropping one ends it.
pub(super) struct Attempts {
    claiming: Option<AbortOnDropHandle<()>>,
    looking: Option<AbortOnDropHandle<()>>,
    ends: mpsc::UnboundedSender<AttemptEnd>,
}

/// The end of something that was tried for the partitions.
pub(super) struct AttemptEnd {
    /// The claim attempt, or the one after which was looked.
    pub attempt: u64,
    pub outcome: Outcome,
}

pub(super) enum Outcome {
    /// Of a claim.
    Claimed(Result<Claimed, Problem>),
    /// Of a look at the partitions that could not be claimed: those that still could not.
    Looked(Result<BTreeMap<i32, Problem>, Problem>),
}

impl Attempts {
    pub(super) fn new() -> (Attempts, mpsc::UnboundedReceiver<AttemptEnd>) {
        let (ends, ended) = mpsc::unbounded_channel();
        (Attempts { claiming: None, looking: None, ends }, ended)
    }

    /// Starts a claim in place of one that is still at it; its end will tell of what was looked at too.
    pub(super) fn claim(
        &mut self,
        attempt: u64,
        run: impl Future<Output = Result<Claimed, Problem>> + Send + 'static,
    ) {
        self.looking = None;
        let ends = self.ends.clone();
        let task = tokio::spawn(async move {
            let outcome = Outcome::Claimed(run.await);
            let _ = ends.send(AttemptEnd { attempt, outcome });
        });
        self.claiming = Some(AbortOnDropHandle::new(task));
    }

    /// Starts a look.
    pub(super) fn look(
        &mut self,
        attempt: u64,
        run: impl Future<Output = Result<BTreeMap<i32, Problem>, Problem>> + Send + 'static,
    ) {
        let ends = self.ends.clone();
        let task = tokio::spawn(async move {
            let outcome = Outcome::Looked(run.await);
            let _ = ends.send(AttemptEnd { attempt, outcome });
        });
        self.looking = Some(AbortOnDropHandle::new(task));
    }

    /// Ends all of them.
    pub(super) fn end(&mut self) {
        (self.claiming, self.looking) = (None, None);
    }
}
