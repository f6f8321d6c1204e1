//! Steps inside the daemon that fail: which, and how, goes round by the seed, so that neighbouring seeds try them all.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use failpoints::{Failpoint, FailpointKind, POINTS, Trigger};
use serde_json::json;

use super::super::environment::Environment;
use super::{Fault, Need, Strike, Truth};
use rules::problem::{Code, Problem};

pub const FAULTS: &[Fault] = &[Fault {
    name: "failpoint",
    number: "F02",
    what: "a step inside the daemon fails, panics, ends the process, takes long or loses what it has; the next ones do not",
    needs: &[Need::Failpoints],
    pause: Duration::from_millis(500),
    alone: "daemon",
    act: |environment, strike| Box::pin(fail(environment, strike)),
}];

/// How many steps a round tries at most; the next seed goes on behind them.
const A_ROUND: u64 = 12;
/// How long a step is waited for.
const PATIENCE: Duration = Duration::from_secs(9);
const LOOK: Duration = Duration::from_millis(100);

/// Every step with each kind that means something there.
pub fn cases() -> impl Iterator<Item = (&'static Failpoint, FailpointKind)> {
    POINTS.iter().flat_map(|point| point.kinds.iter().map(move |kind| (point, *kind)))
}

/// How many rounds try all of them.
pub fn rounds() -> u64 {
    (cases().count() as u64).div_ceil(A_ROUND)
}

/// The case that is the seed's so many-th.
fn case(seed: u64, strike: u64) -> (&'static Failpoint, FailpointKind) {
    let is_first = |point: &Failpoint| point.by == Trigger::First;
    let all: Vec<_> = cases().filter(|(point, _)| !is_first(point)).collect();
    all[((seed * A_ROUND + strike) % all.len() as u64) as usize]
}

/// What a daemon is told that finds a database without a schema, each round in another way.
fn of_the_first_start(seed: u64) -> Vec<(&'static Failpoint, FailpointKind)> {
    let points = POINTS.iter().filter(|point| point.by == Trigger::First);
    let kind = |place: usize| FailpointKind::ALL[(seed as usize + place) % 5];
    points.enumerate().map(|(place, point)| (point, kind(place))).collect()
}

/// Tells that.
pub fn before_the_first_start(environment: &Environment) -> Result<(), Problem> {
    for (point, kind) in of_the_first_start(environment.seed) {
        tell(&environment.failpoints, point, kind, "0 1 2000")?;
    }
    Ok(())
}

/// Books what came of it.
pub async fn after_the_first_start(environment: &Environment) -> Result<(), Problem> {
    for (point, kind) in of_the_first_start(environment.seed) {
        book(environment, point, kind, 0)?;
    }
    mark(environment, None).await;
    Ok(())
}

async fn fail(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let number = environment.next_failpoint();
    if number >= A_ROUND {
        tokio::time::sleep(Duration::from_secs(1)).await;
        return Ok(());
    }
    let (point, kind) = case(environment.seed, number);
    let skip = if point.by == Trigger::Work { strike.rng.u64(0..3) } else { 0 };
    let times = strike.rng.u64(1..3);
    let ms = strike.rng.u64(500..6000);
    strike.begin(environment, Truth::Open)?;
    mark(environment, Some(kind.as_str())).await;
    tell(&environment.failpoints, point, kind, &format!("{skip} {times} {ms}"))?;
    lead_there(environment, point).await?;
    let until = Instant::now() + PATIENCE;
    while struck(&environment.failpoints, point, skip) == 0 && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    if kind == FailpointKind::Sleep {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    // Time for what follows from it, the second time too.
    strike.hold(500..2500).await;
    strike.end(environment)?;
    book(environment, point, kind, skip)?;
    // Its last end was seen by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    mark(environment, None).await;
    Ok(())
}

/// Does what makes the daemon come by.
async fn lead_there(environment: &Environment, point: &Failpoint) -> Result<(), Problem> {
    let mut daemons = environment.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    match point.by {
        Trigger::Work | Trigger::First => Ok(()),
        Trigger::Start => {
            first.kill()?;
            first.start()
        }
        Trigger::Stop => {
            first.stop()?;
            first.start()
        }
    }
}

/// Marks what the first daemon says of its ends meanwhile.
async fn mark(environment: &Environment, told: Option<&'static str>) {
    if let Some(first) = environment.daemons.lock().await.first_mut() {
        first.told = told;
    }
}

fn tell(
    folder: &Path,
    point: &Failpoint,
    kind: FailpointKind,
    numbers: &str,
) -> Result<(), Problem> {
    let text = format!("{} {numbers}", kind.as_str());
    let _ = fs::remove_file(folder.join(format!("{}.reached", point.name)));
    fs::write(folder.join(point.name), text).map_err(failed)
}

/// How often the step has done what it was told, or more.
fn struck(folder: &Path, point: &Failpoint, skip: u64) -> u64 {
    let reached = fs::metadata(folder.join(format!("{}.reached", point.name)));
    reached.map_or(0, |found| found.len()).saturating_sub(skip)
}

/// Ends what a step was told, and writes into the ledger whether it came to that.
fn book(
    environment: &Environment,
    point: &Failpoint,
    kind: FailpointKind,
    skip: u64,
) -> Result<(), Problem> {
    let folder = &environment.failpoints;
    let times = struck(folder, point, skip).min(2);
    fs::remove_file(folder.join(point.name)).map_err(failed)?;
    environment.ledger.note(json!({
        "act": "failpoint", "point": point.name, "kind": kind.as_str(), "struck": times,
    }))
}

fn failed(error: std::io::Error) -> Problem {
    Problem::new(Code::System, format!("cannot tell a step to fail: {error}"))
}
