//! Which faults strike in the next round.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use super::faults::{self, Fault};
use super::pairs::OpenPairs;
use super::{TortureArgs, report};
use rules::problem::Problem;

/// What a round of failpoints takes at least.
const FAILPOINTS_TAKE: Duration = Duration::from_secs(95);

/// How rounds follow one another.
pub enum Course {
    /// Two to four faults at random, or the named ones, until a time.
    Until(Instant, Vec<&'static Fault>),
    /// Each fault once.
    Each(Vec<&'static Fault>),
    /// One fault, so many rounds.
    Rounds(&'static Fault, u64),
    /// The daemon is killed so many times more.
    Kills(&'static Fault, u64),
    /// Pairs that never struck in one round, until a time.
    Pairs(Instant, Box<OpenPairs>),
}

impl Course {
    /// What the command line asks for.
    pub fn of(args: &TortureArgs, kept: &Path) -> Result<Course, Problem> {
        let until = Instant::now() + Duration::from_secs(args.minutes * 60);
        if let Some(kills) = args.kills {
            return Ok(Course::Kills(faults::named("daemon-kill")?, kills));
        }
        if args.failpoints {
            let rounds = faults::failpoint_rounds();
            return Ok(Course::Rounds(faults::named("failpoint")?, rounds));
        }
        if args.pairs {
            return Ok(Course::Pairs(until, Box::new(OpenPairs::without(&report::read(kept)?))));
        }
        if args.each {
            let mut possible: Vec<_> =
                faults::all().filter(|fault| fault.cannot().is_none()).collect();
            possible.reverse();
            return Ok(Course::Each(possible));
        }
        let named = args.fault.iter().map(|name| faults::named(name));
        Ok(Course::Until(until, named.collect::<Result<Vec<_>, _>>()?))
    }

    /// The faults of the next round, if there is one; `first` says that none was before.
    pub fn next(&mut self, seed: u64, first: bool) -> Option<Vec<&'static Fault>> {
        let mut rng = Rng::with_seed(seed);
        match self {
            Course::Until(until, _) | Course::Pairs(until, _)
                if !first && Instant::now() >= *until =>
            {
                None
            }
            Course::Until(_, named) if named.is_empty() => Some(faults::swarm(&mut rng)),
            Course::Until(_, named) => Some(named.clone()),
            Course::Each(rest) => rest.pop().map(|fault| vec![fault]),
            Course::Rounds(_, 0) | Course::Kills(_, 0) => None,
            Course::Rounds(fault, left) => {
                *left -= 1;
                Some(vec![fault])
            }
            Course::Kills(fault, _) => Some(vec![fault]),
            Course::Pairs(_, pairs) => pairs.next(&mut rng),
        }
    }

    /// How long faults strike, unless the command line says so.
    pub fn safety(&self, asked: Option<u64>) -> Duration {
        let usual = match self {
            Course::Rounds(..) => FAILPOINTS_TAKE,
            Course::Kills(..) => Duration::from_secs(240),
            _ => Duration::from_secs(45),
        };
        asked.map_or(usual, Duration::from_secs)
    }

    /// Takes in what a round gave.
    pub fn ran(&mut self, verdict: &Value) {
        match self {
            Course::Kills(fault, left) => {
                let kills = verdict["faults"][fault.name].as_u64().unwrap_or(0);
                *left = left.saturating_sub(kills);
            }
            Course::Pairs(_, pairs) => pairs.ran(verdict),
            Course::Until(..) | Course::Each(_) | Course::Rounds(..) => {}
        }
    }
}
