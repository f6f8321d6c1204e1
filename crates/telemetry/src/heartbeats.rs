//! Signs of life: what each loop of this process last said of itself, in memory only, so that it can be told
//! while every server is away. The loops write it, the HTTP side reads it.

use rules::diagnosis::{Diagnosis, Trouble};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a loop may be busy with one thing: a few statements, each of which ends within 30 s.
const LOOP_PATIENCE: Duration = Duration::from_secs(180);

/// The signs of life of a process; cheap to clone.
#[derive(Clone)]
pub struct Heartbeats {
    all: Arc<All>,
}

struct All {
    began: Instant,
    draining: AtomicBool,
    signs: Mutex<Vec<Arc<Sign>>>,
}

/// The signs of life of one loop.
#[derive(Debug)]
pub struct Sign {
    /// The loop's name: what it does, and for which route, job or shard.
    pub name: String,
    began: Instant,
    patience: Duration,
    /// Milliseconds since `began`; 0 until its first sign.
    last: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

impl Default for Heartbeats {
    fn default() -> Heartbeats {
        let (draining, signs) = (AtomicBool::new(false), Mutex::default());
        Heartbeats { all: Arc::new(All { began: Instant::now(), draining, signs }) }
    }
}

impl Heartbeats {
    /// Expects signs of life of a loop, from the first one on: before it begins, a loop may wait for servers.
    pub fn expect(&self, name: impl Into<String>) -> Arc<Sign> {
        self.expect_within(name, LOOP_PATIENCE)
    }

    /// The same with another patience than a loop's.
    pub fn expect_within(&self, name: impl Into<String>, patience: Duration) -> Arc<Sign> {
        let began = self.all.began;
        let last = AtomicU64::new(0);
        let sign = Sign { name: name.into(), began, patience, last, trouble: Mutex::default() };
        let sign = Arc::new(sign);
        lock(&self.all.signs).push(sign.clone());
        sign
    }

    /// Loops that have said nothing for longer than they may, and for how long.
    pub fn silent(&self) -> Vec<(String, Duration)> {
        let signs = lock(&self.all.signs);
        let begun = signs.iter().filter(|sign| sign.last.load(Ordering::Relaxed) > 0);
        begun
            .map(|sign| (sign, sign.age()))
            .filter(|(sign, age)| *age > sign.patience)
            .map(|(sign, age)| (sign.name.clone(), age))
            .collect()
    }

    /// What a loop says keeps it from its work.
    pub fn trouble(&self, name: &str) -> Option<Trouble> {
        let signs = lock(&self.all.signs);
        let sign = signs.iter().find(|sign| sign.name == name)?;
        lock(&sign.trouble).clone()
    }

    /// Whether this process has a loop of this name.
    pub fn runs(&self, name: &str) -> bool {
        lock(&self.all.signs).iter().any(|sign| sign.name == name)
    }

    /// How long the process has been running.
    pub fn uptime(&self) -> Duration {
        self.all.began.elapsed()
    }

    /// Says that the process has begun to end.
    pub fn drain(&self) {
        self.all.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is about to end.
    pub fn is_draining(&self) -> bool {
        self.all.draining.load(Ordering::Relaxed)
    }
}

impl Sign {
    /// The loop is alive.
    pub fn tick(&self) {
        self.last.store(millis(self.began), Ordering::Relaxed);
    }

    /// What keeps the loop from its work, if anything does.
    pub fn shows(&self, why: Option<&Diagnosis>) {
        let mut shown = lock(&self.trouble);
        if shown.as_ref().map(|trouble| &trouble.diagnosis) != why {
            let since = Instant::now();
            *shown = why.map(|why| Trouble { since, diagnosis: why.clone() });
        }
    }

    fn age(&self) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        Duration::from_millis(millis(self.began).saturating_sub(last))
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::diagnosis::Code;

    #[test]
    fn a_loop_that_says_nothing_is_named_until_it_does() {
        let liveness = Heartbeats::default();
        let quick = liveness.expect_within("quick", Duration::ZERO);
        liveness.expect("patient").tick();
        assert!(liveness.silent().is_empty(), "it has not begun");
        quick.tick();
        while liveness.silent().is_empty() {
            std::hint::spin_loop();
        }
        assert_eq!(liveness.silent()[0].0, "quick");
        quick.tick();
        assert!(liveness.silent().iter().all(|(name, _)| name == "quick"));
    }

    #[test]
    fn the_same_trouble_keeps_its_beginning() {
        let liveness = Heartbeats::default();
        let sign = liveness.expect("one");
        assert_eq!(liveness.trouble("one"), None);
        let full = Diagnosis::new(Code::System, "disk full").advice("free some");
        sign.shows(Some(&full));
        let first = liveness.trouble("one");
        sign.shows(Some(&full));
        assert!(first.is_some() && liveness.trouble("one") == first);
        sign.shows(None);
        assert_eq!(liveness.trouble("one"), None);
    }
}
