//! What befalls the clocks, each server's by itself.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::ground::Ground;
use super::{Fault, Need, Strike, Truth};
use rules::problem::{Code, Problem};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "daemon-clock",
        number: "F35",
        what: "the daemon's clock jumps by hours, days and years, forth and back; put right",
        needs: &[Need::Faketime],
        pause: Duration::from_secs(3),
        alone: "daemon",
        act: |ground, strike| Box::pin(daemon(ground, strike)),
    },
    Fault {
        name: "postgres-clock",
        number: "F35",
        what: "PostgreSQL's clock jumps by seconds, hours and days, forth and back; put right",
        needs: &[Need::PostgresClock],
        pause: Duration::from_secs(3),
        alone: "postgres server",
        act: |ground, strike| Box::pin(jump(ground, strike, "postgres")),
    },
    Fault {
        name: "kafka-clock",
        number: "F35",
        what: "the broker's clock jumps by seconds, hours and days, forth and back; put right",
        needs: &[Need::KafkaClock],
        pause: Duration::from_secs(3),
        alone: "kafka cluster",
        act: |ground, strike| Box::pin(jump(ground, strike, "kafka")),
    },
];

/// Where Debian, Fedora and others keep it.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
const RIGHT: &str = "+0d";

/// The library, where it is installed.
pub fn library() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|place| place.is_file())
}

/// What goes before a program so that its clock stands in a file; the file, which everybody may read, is made right.
pub fn by_file(file: &Path) -> Result<Vec<OsString>, Problem> {
    set(file, RIGHT)?;
    let mut preload = OsString::from("LD_PRELOAD=");
    preload.push(library().unwrap_or_default());
    let mut from = OsString::from("FAKETIME_TIMESTAMP_FILE=");
    from.push(file);
    // Monotonic clocks do not jump when somebody sets the time.
    let usual =
        ["FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "FAKETIME_CACHE_DURATION=1"];
    Ok([preload, from].into_iter().chain(usual.map(OsString::from)).collect())
}

fn set(file: &Path, offset: &str) -> Result<(), Problem> {
    fs::write(file, offset)
        .map_err(|e| Problem::new(Code::System, format!("cannot set a clock: {e}")))
}

async fn daemon(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = ground.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.stop()?;
    let file = ground.clocks.join("daemon");
    let mut other = ground.daemon("other_clock", &by_file(&file)?)?;
    strike.begin(ground, Truth::Open)?;
    for _ in 0..strike.rng.u32(2..5) {
        let offsets = ["+1d", "-1d", "+1h", "-1h", "+400d", "-3000d", RIGHT];
        set(&file, strike.rng.choice(offsets).unwrap_or(RIGHT))?;
        strike.hold(1000..5000).await;
    }
    if strike.rng.bool() {
        other.kill()?;
    } else {
        other.stop()?;
    }
    first.start()
}

async fn jump(ground: &Ground, strike: &mut Strike<'_>, whose: &str) -> Result<(), Problem> {
    let file = ground.clocks.join(whose);
    strike.begin(ground, Truth::Open)?;
    let offsets = ["+1d", "-1d", "+1h", "-1h", "+90s", "-20s", "+30d"];
    set(&file, strike.rng.choice(offsets).unwrap_or(RIGHT))?;
    strike.hold(1000..10_000).await;
    strike.end(ground)?;
    set(&file, RIGHT)
}
