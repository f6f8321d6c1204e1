//! What a route's loop shows of itself in memory, so that the watchdog can judge it in whatever state
//! it is. Nobody waits for anybody here: atomics, and a lock that is held for a copy.

mod track;

use rules::diagnosis::Diagnosis;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use track::Track;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time since this process first asked; never goes back.
pub fn now() -> Duration {
    START.elapsed()
}

/// A moment that threads share: unset, or a time as [`now`] gives it, to the millisecond.
#[derive(Debug, Default)]
pub struct Moment(AtomicU64);

impl Moment {
    /// Sets it to now.
    pub fn touch(&self) {
        let millis = u64::try_from(now().as_millis()).unwrap_or(u64::MAX - 1);
        self.0.store(millis + 1, Ordering::Release);
    }

    /// Unsets it.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// The moment, if it is set.
    pub fn get(&self) -> Option<Duration> {
        self.0.load(Ordering::Acquire).checked_sub(1).map(Duration::from_millis)
    }
}

/// The signs of life of one Kafka client's thread.
#[derive(Debug)]
pub struct Pulse {
    born: Duration,
    seen: Moment,
    retired: AtomicBool,
}

impl Pulse {
    /// Of a thread that is about to start.
    pub fn new() -> Arc<Pulse> {
        Arc::new(Pulse { born: now(), seen: Moment::default(), retired: AtomicBool::new(false) })
    }

    /// The thread lives.
    pub fn beat(&self) {
        self.seen.touch();
    }

    /// Tells the thread, should it ever wake, that another has taken its place.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether another thread has taken its place.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}

/// What one lane is doing.
#[derive(Debug, Default)]
pub struct LaneWork {
    /// Since when it waits for one transaction, if it does.
    pub applying: Moment,
    /// Whether it is halving a batch to find a record that is to blame.
    pub isolating: AtomicBool,
}

/// What the watchdog asks of a loop that is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Read the positions in PostgreSQL, claim them again, read from there.
    Reclaim,
    /// The same through a new Kafka client.
    Rebuild,
}

impl Remedy {
    /// In the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Remedy::Reclaim => "reclaim",
            Remedy::Rebuild => "rebuild",
        }
    }
}

/// The shared board of one route.
#[derive(Debug)]
pub struct Progress {
    lanes: Vec<Arc<LaneWork>>,
    shown: Mutex<Shown>,
    /// Stalls that the watchdog has found.
    pub stalls: AtomicU64,
    /// Clients that were replaced.
    pub rebuilds: AtomicU64,
}

#[derive(Debug)]
struct Shown {
    pulse: Arc<Pulse>,
    assigned: Option<(Vec<i32>, Duration)>,
    joining_since: Duration,
    tracks: Option<BTreeMap<i32, Arc<Track>>>,
    unread_since: Duration,
    held: Option<Diagnosis>,
    trouble: Option<(Diagnosis, Duration)>,
    verdict: Option<Diagnosis>,
}

/// A copy of what the board showed at one moment. Times are as [`now`] gives them.
#[derive(Clone, Debug)]
pub struct ProgressSnapshot {
    /// When the client's thread last gave a sign of life; `None` if it never did.
    pub polled: Option<Duration>,
    /// When the client's thread was started.
    pub born: Duration,
    /// The partitions that the group gave us; `None` while it has not spoken.
    pub assigned: Option<Vec<i32>>,
    /// Since when the group has not spoken, or when it last did.
    pub assigned_since: Duration,
    /// The partitions that are read; `None` while no position is claimed.
    pub tracks: Option<BTreeMap<i32, Arc<Track>>>,
    /// Since when no position is claimed, or when one last was.
    pub unread_since: Duration,
    /// Why the loop holds.
    pub held: Option<Diagnosis>,
    /// The client's last complaint that only a person can mend, and when it came.
    pub trouble: Option<(Diagnosis, Duration)>,
    /// The earliest moment from which on a lane has been waiting for the database.
    pub applying: Option<Duration>,
    /// Whether a lane is halving a batch.
    pub isolating: bool,
}

impl Progress {
    /// The board of a route with so many lanes.
    pub fn new(lanes: usize) -> Arc<Progress> {
        let shown = Shown {
            pulse: Pulse::new(),
            assigned: None,
            joining_since: now(),
            tracks: None,
            unread_since: now(),
            held: None,
            trouble: None,
            verdict: None,
        };
        Arc::new(Progress {
            lanes: (0..lanes).map(|_| Arc::default()).collect(),
            shown: Mutex::new(shown),
            stalls: AtomicU64::new(0),
            rebuilds: AtomicU64::new(0),
        })
    }

    /// What a lane shows itself on; a lane that was not counted has a board nobody looks at.
    pub fn lane(&self, number: usize) -> Arc<LaneWork> {
        self.lanes.get(number).cloned().unwrap_or_default()
    }

    /// Another client's thread is the one to look at.
    pub fn client(&self, pulse: Arc<Pulse>) {
        let mut shown = self.lock();
        shown.pulse = pulse;
        shown.trouble = None;
    }

    /// The group gave these partitions; `None` when it has taken them back.
    pub fn assigned(&self, partitions: Option<Vec<i32>>) {
        let mut shown = self.lock();
        shown.joining_since = now();
        shown.unread_since = now();
        shown.assigned = partitions.map(|list| (list, now()));
        shown.tracks = None;
    }

    /// These partitions are read from here on; `None` while their positions are not claimed.
    pub fn reads(&self, tracks: Option<BTreeMap<i32, Arc<Track>>>) {
        let mut shown = self.lock();
        if tracks.is_none() != shown.tracks.is_none() {
            shown.unread_since = now();
        }
        shown.tracks = tracks;
    }

    /// Why the loop holds, if it does.
    pub fn held(&self, why: Option<Diagnosis>) {
        self.lock().held = why;
    }

    /// The client complains of something that it does not mend by itself.
    pub fn trouble(&self, complaint: Diagnosis) {
        self.lock().trouble = Some((complaint, now()));
    }

    /// What the watchdog says of the route; `None` when all is well.
    pub fn judged(&self, verdict: Option<Diagnosis>) {
        self.lock().verdict = verdict;
    }

    /// What the watchdog last said of the route.
    pub fn verdict(&self) -> Option<Diagnosis> {
        self.lock().verdict.clone()
    }

    /// A copy of everything.
    pub fn look(&self) -> ProgressSnapshot {
        let shown = self.lock();
        let (assigned, since) = match &shown.assigned {
            Some((list, since)) => (Some(list.clone()), *since),
            None => (None, shown.joining_since),
        };
        ProgressSnapshot {
            polled: shown.pulse.seen.get(),
            born: shown.pulse.born,
            assigned,
            assigned_since: since,
            tracks: shown.tracks.clone(),
            unread_since: shown.unread_since,
            held: shown.held.clone(),
            trouble: shown.trouble.clone(),
            applying: self.lanes.iter().filter_map(|lane| lane.applying.get()).min(),
            isolating: self.lanes.iter().any(|lane| lane.isolating.load(Ordering::Acquire)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        // Every field is whole at every moment, so a panic elsewhere does not spoil it.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
