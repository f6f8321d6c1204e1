//! Whether a reconciliation job does in time what it is there for. What it never did counts from when a daemon was there
//! that should have done it.

use std::time::Duration;

use super::age;
use crate::ids::RunId;

/// How long nobody may have looked at recent payments; a job looks every ten seconds, and one statement may take thirty.
const LOOKS: Duration = Duration::from_secs(60);
/// The same where it is known what hinders the job.
const LOOKS_HINDERED: Duration = Duration::from_secs(30);
/// How long a run may stay where it is: a step is a few statements.
const MOVES: Duration = Duration::from_secs(120);
/// How long a run that was asked for may not have begun, while no other is at hand.
const BEGINS: Duration = Duration::from_secs(60);

/// A job, and when it last did what. All ages count back from one moment.
#[derive(Clone, Debug)]
pub struct Duties<'a> {
    /// For how long a daemon has been there that should run it.
    pub watched: Duration,
    /// How long ago recent payments were last looked at; `None` if they never were.
    pub looked: Option<Duration>,
    /// What hinders it, or is to be said of it.
    pub notice: Option<&'a str>,
    /// The run at hand.
    pub run: Option<RunFacts<'a>>,
    /// How long ago the oldest run was asked for that has not begun.
    pub asked: Option<Duration>,
}

/// The run at hand.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// Its number.
    pub number: RunId,
    /// How long ago it moved or began.
    pub moved: Duration,
    /// What it waits for, if anything.
    pub waits: Option<&'a str>,
}

/// A duty that is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// For how long it has not been done.
    pub since: Duration,
    /// That in words, without a capital and a full stop.
    pub what: String,
}

/// The duty that has been waiting for the longest, of those that are overdue.
pub fn late(duties: &Duties<'_>) -> Option<Late> {
    [looks(duties), moves(duties), begins(duties)].into_iter().flatten().max_by_key(|l| l.since)
}

fn looks(duties: &Duties<'_>) -> Option<Late> {
    let since = duties.looked.unwrap_or(duties.watched);
    let limit = if duties.notice.is_some() { LOOKS_HINDERED } else { LOOKS };
    let told = format!("payments have not been compared with purchases for {}", age(since));
    (since > limit).then(|| Late { since, what: told + &because(duties.notice) })
}

fn moves(duties: &Duties<'_>) -> Option<Late> {
    let RunFacts { number, moved, waits } = duties.run?;
    // While no daemon was there it could not move.
    let since = moved.min(duties.watched);
    let told = format!("run {number} of the reconciler has not moved for {}", age(since));
    (since > MOVES).then(|| Late { since, what: told + &because(waits.or(duties.notice)) })
}

fn begins(duties: &Duties<'_>) -> Option<Late> {
    let since = duties.asked.filter(|_| duties.run.is_none())?.min(duties.watched);
    let told = format!("a run that was asked for {} ago has not begun", age(since));
    (since > BEGINS).then(|| Late { since, what: told + &because(duties.notice) })
}

fn because(why: Option<&str>) -> String {
    why.map(|why| format!(": {}", why.trim_end_matches('.'))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn duties() -> Duties<'static> {
        let looked = Some(Duration::from_secs(9));
        Duties { watched: HOUR, looked, notice: None, run: None, asked: None }
    }

    fn told(duties: &Duties<'_>) -> String {
        late(duties).unwrap().what
    }

    #[test]
    fn what_is_done_in_time_is_not_late() {
        assert_eq!(late(&duties()), None);
        let run = Some(RunFacts { number: RunId(7), moved: MINUTE, waits: None });
        assert_eq!(late(&Duties { run, ..duties() }), None);
        assert_eq!(late(&Duties { asked: Some(Duration::from_secs(5)), ..duties() }), None);
    }

    #[test]
    fn a_look_that_was_never_taken_is_late_within_a_minute_of_its_daemon() {
        let never = Duties { looked: None, ..duties() };
        assert!(late(&Duties { watched: Duration::from_secs(50), ..never.clone() }).is_none());
        let began = Duties { watched: Duration::from_secs(61), ..never };
        assert!(told(&began).starts_with("payments have not been compared"), "{began:?}");
        let why = Some("permission denied for table payments.");
        let hindered = Duties { watched: Duration::from_secs(31), notice: why, ..began };
        assert!(told(&hindered).ends_with("for 31 s: permission denied for table payments"));
    }

    #[test]
    fn a_run_that_does_not_move_is_late_and_says_what_it_waits_for() {
        let waits = Some("the route is held");
        let run = Some(RunFacts { number: RunId(7), moved: 5 * MINUTE, waits });
        let still = Duties { run, asked: Some(HOUR), ..duties() };
        let what = "run 7 of the reconciler has not moved for 5 min: the route is held";
        assert_eq!(told(&still), what);
        // The time when nobody was there to move it does not count.
        assert_eq!(late(&Duties { watched: MINUTE, ..still }), None);
    }

    #[test]
    fn a_run_that_was_asked_for_and_does_not_begin_is_late_unless_another_is_at_hand() {
        let asked = Duties { asked: Some(2 * MINUTE), ..duties() };
        assert_eq!(told(&asked), "a run that was asked for 2 min ago has not begun");
        let run = Some(RunFacts { number: RunId(7), moved: MINUTE, waits: None });
        assert_eq!(late(&Duties { run, ..asked }), None);
    }
}
