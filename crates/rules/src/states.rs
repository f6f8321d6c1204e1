//! The states and ends that rows of the schema have: its CHECKs allow these words and no others.

use crate::words::words;

words! {
    /// How far a run of the reconciler is.
    RunState {
        /// No daemon has taken it yet.
        Requested = "requested",
        /// A daemon takes it step by step.
        Running = "running",
        /// It waits for a person.
        Held = "held",
        /// It has ended well.
        Done = "done",
        /// It has ended with an error.
        Failed = "failed",
    }
}

impl RunState {
    /// Whether it does not go on by itself.
    pub const fn is_over(self) -> bool {
        matches!(self, RunState::Held | RunState::Done | RunState::Failed)
    }
}

words! {
    /// What a run is at.
    Phase {
        /// Payments are compared with purchases, window by window.
        Compare = "compare",
        /// What is missing is made good.
        MakeGood = "make_good",
        /// Contradictions are looked for, window by window.
        Conflicts = "conflicts",
    }
}

words! {
    /// What a daemon is doing on a route.
    WorkerState {
        /// Waiting for partitions or their positions.
        Joining = "joining",
        /// Applying what comes.
        Running = "running",
        /// Records wait and nothing moves; the watchdog says why.
        Stalled = "stalled",
        /// Stopped on purpose until the world is mended.
        Held = "held",
    }
}

words! {
    /// The findings about payments without a purchase. All other kinds are the mapping's own words.
    FindingKind {
        /// It has none yet.
        Missing = "missing",
        /// It had one, which was removed.
        Gone = "gone",
    }
}

words! {
    /// How a finding ended.
    FindingEnd {
        /// A run made the purchase.
        MadeGood = "made_good",
        /// It is no longer so.
        Healed = "healed",
        /// A person let it be.
        Dismissed = "dismissed",
        /// The mapping has nothing to do for it.
        Ignored = "ignored",
    }
}

words! {
    /// How a case in quarantine ended.
    CaseEnd {
        /// A daemon applied it again.
        Replayed = "replayed",
        /// Its payment got its purchase otherwise.
        MadeGood = "made_good",
        /// A person gave it up; it can be taken back.
        Discarded = "discarded",
    }
}
