//! When somebody is to be called: not for a blink, again and again until it is well, and once more then.
//!
//! A trouble begins when something is bad, and ends when all has been well for [`Patience::after`] in one piece.
//! Somebody is called when it has been bad for that long altogether, so that a trouble that comes and goes
//! calls as well, once. While it lasts, no word comes but the repetition, and one whenever it has become worse
//! than was told, for just as long.
//!
//! A word that reaches nobody ([`Alarm::settle`]) was not told: it comes again with the next sight that wants it.

use std::time::Duration;

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Before a word that it is bad, or worse, or well again.
    pub after: Duration,
    /// Between two words about the same trouble.
    pub repeat: Duration,
}

/// What to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It is bad.
    Bad,
    /// It is worse than was said before.
    Worse,
    /// It is still bad.
    Still,
    /// It is well again.
    Well,
}

impl Call {
    /// As messages name it; stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Call::Bad => "bad",
            Call::Worse => "worse",
            Call::Still => "still_bad",
            Call::Well => "well",
        }
    }
}

/// Decides from what is seen. `L` is how bad it is, the larger the worse.
#[derive(Clone, Debug)]
pub struct Alarm<L> {
    patience: Patience,
    /// The last sight: when, and how bad it was.
    last: Option<(Duration, Option<L>)>,
    /// How long it has been bad in this trouble, altogether.
    bad_for: Duration,
    /// How long it has been worse than told, in one piece.
    worse_for: Duration,
    /// Since when all has been well.
    well_since: Option<Duration>,
    /// The worst that was said, and when something was said last.
    told: Option<(L, Duration)>,
    /// The same as of the last word that reached somebody.
    heard: Option<(L, Duration)>,
}

impl<L: Copy + Ord> Alarm<L> {
    /// Nothing has been seen yet.
    pub fn new(patience: Patience) -> Alarm<L> {
        Alarm {
            patience,
            last: None,
            bad_for: Duration::ZERO,
            worse_for: Duration::ZERO,
            well_since: None,
            told: None,
            heard: None,
        }
    }

    /// Takes in what became of the last call: whether it reached somebody, or nobody for good.
    pub fn settle(&mut self, reached: bool) {
        if reached {
            self.heard = self.told;
        } else {
            self.told = self.heard;
        }
    }

    /// Takes in how bad it is at a time (`None` for well; times do not go back), and says whether to call.
    /// While another one is to call (`mine` is false), this one says nothing, and would say it later; only
    /// whoever called says that it is well again.
    pub fn see(&mut self, now: Duration, level: Option<L>, mine: bool) -> Option<Call> {
        self.pass_time(now);
        self.last = Some((now, level));
        match level {
            None => self.see_well(now),
            Some(level) => {
                self.well_since = None;
                if mine { self.see_bad(now, level) } else { None }
            }
        }
    }

    /// What was seen last has lasted until now.
    fn pass_time(&mut self, now: Duration) {
        let Some((then, level)) = self.last else { return };
        let passed = now.saturating_sub(then);
        if level.is_some() {
            self.bad_for = self.bad_for.saturating_add(passed);
        }
        self.worse_for = match (level, self.told) {
            (Some(level), Some((told, _))) if level > told => self.worse_for.saturating_add(passed),
            _ => Duration::ZERO,
        };
    }

    fn see_well(&mut self, now: Duration) -> Option<Call> {
        let since = *self.well_since.get_or_insert(now);
        if now.saturating_sub(since) < self.patience.after {
            return None;
        }
        self.bad_for = Duration::ZERO;
        self.told.take().map(|_| Call::Well)
    }

    fn see_bad(&mut self, now: Duration, level: L) -> Option<Call> {
        let Patience { after, repeat } = self.patience;
        let (call, worst) = match self.told {
            None if self.bad_for >= after => (Call::Bad, level),
            Some((told, _)) if level > told && self.worse_for >= after => (Call::Worse, level),
            Some((told, at)) if now.saturating_sub(at) >= repeat => (Call::Still, told),
            _ => return None,
        };
        self.told = Some((worst, now));
        self.worse_for = Duration::ZERO;
        Some(call)
    }
}
