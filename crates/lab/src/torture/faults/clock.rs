//! What befalls the clocks, each server's by itself.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::environment::Environment;
use super::{Fault, Need, Strike, Truth};
use crate::servers::process::run;
use rules::problem::{Code, Problem};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "daemon-clock",
        number: "F35",
        what: "the daemon's clock jumps by hours, days and years, forth and back; put right",
        needs: &[Need::DaemonClock],
        pause: Duration::from_secs(3),
        alone: "daemon",
        act: |environment, strike| Box::pin(daemon(environment, strike)),
    },
    Fault {
        name: "postgres-clock",
        number: "F35",
        what: "PostgreSQL's clock jumps by seconds, hours and days, forth and back; put right",
        needs: &[Need::PostgresClock],
        pause: Duration::from_secs(3),
        alone: "postgres server",
        act: |environment, strike| Box::pin(jump(environment, strike, "postgres")),
    },
    Fault {
        name: "kafka-clock",
        number: "F35",
        what: "the broker's clock jumps by seconds, hours and days, forth and back; put right",
        needs: &[Need::KafkaClock],
        pause: Duration::from_secs(3),
        alone: "kafka cluster",
        act: |environment, strike| Box::pin(jump(environment, strike, "kafka")),
    },
];

/// Gives a process another time; compiled where it is needed.
const LIBRARY: &str = include_str!("clock.c");
const DAY: i64 = 24 * 60 * 60;

/// Whether this machine can make the library.
pub fn is_possible() -> bool {
    let mut compiler = Command::new("cc");
    let ran = compiler.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

/// What goes before a program so that its clock stands in a file; the file, which everybody may read, is made right.
pub fn by_file(file: &Path) -> Result<Vec<OsString>, Problem> {
    set(file, 0)?;
    let library = file.with_extension("so");
    let source = file.with_extension("c");
    fs::write(&source, LIBRARY).map_err(failed)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    run(&mut compiler, "compiling what sets clocks")?;
    let assigned = |name: &str, path: &Path| {
        let mut variable = OsString::from(name);
        variable.push(path);
        variable
    };
    Ok(vec![assigned("LD_PRELOAD=", &library), assigned("CLOCK_FILE=", file)])
}

/// Sets a clock so many seconds off.
fn set(file: &Path, seconds: i64) -> Result<(), Problem> {
    fs::write(file, seconds.to_string()).map_err(failed)
}

fn failed(error: std::io::Error) -> Problem {
    Problem::new(Code::System, format!("cannot set a clock: {error}"))
}

async fn daemon(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = environment.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.stop()?;
    let file = environment.clocks.join("daemon");
    let mut other = environment.daemon("other_clock", &by_file(&file)?)?;
    strike.begin(environment, Truth::Open)?;
    for _ in 0..strike.rng.u32(2..5) {
        let offsets = [DAY, -DAY, 3600, -3600, 400 * DAY, -3000 * DAY, 0];
        set(&file, strike.rng.choice(offsets).unwrap_or(0))?;
        strike.hold(1000..5000).await;
    }
    if strike.rng.bool() {
        other.kill()?;
    } else {
        other.stop()?;
    }
    first.start()
}

async fn jump(
    environment: &Environment,
    strike: &mut Strike<'_>,
    whose: &str,
) -> Result<(), Problem> {
    let file = environment.clocks.join(whose);
    strike.begin(environment, Truth::Open)?;
    let offsets = [DAY, -DAY, 3600, -3600, 90, -20, 30 * DAY];
    set(&file, strike.rng.choice(offsets).unwrap_or(0))?;
    strike.hold(1000..10_000).await;
    strike.end(environment)?;
    set(&file, 0)
}
