//! What befalls the daemon's clock.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::super::ground::Ground;
use super::{Fault, Need, Strike, Truth};
use rules::problem::{Code, Problem};

pub const FAULTS: &[Fault] = &[Fault {
    name: "daemon-clock",
    number: "F35",
    what: "a second daemon whose clock jumps by hours and days, forth and back, while the first is down",
    needs: &[Need::Faketime],
    pause: Duration::from_secs(3),
    alone: "daemon",
    act: |ground, strike| Box::pin(jump(ground, strike)),
}];

/// Where Debian, Fedora and others keep it.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The library, where it is installed.
pub fn library() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|place| place.is_file())
}

async fn jump(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = ground.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.stop()?;
    let file = ground.folder.join("clock");
    let set = |offset: &str| {
        fs::write(&file, offset)
            .map_err(|e| Problem::new(Code::System, format!("cannot set a clock: {e}")))
    };
    set("+0d")?;
    let mut preload = OsString::from("LD_PRELOAD=");
    preload.push(library().unwrap_or_default());
    let mut from = OsString::from("FAKETIME_TIMESTAMP_FILE=");
    from.push(&file);
    // Monotonic clocks do not jump when somebody sets the time.
    let usual =
        ["FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "FAKETIME_CACHE_DURATION=1"];
    let before: Vec<OsString> =
        [preload, from].into_iter().chain(usual.map(OsString::from)).collect();
    let mut other = ground.daemon("other_clock", &before)?;
    strike.begin(ground, Truth::Open)?;
    for _ in 0..strike.rng.u32(2..5) {
        let offset = *strike
            .rng
            .choice(&["+1d", "-1d", "+1h", "-1h", "+400d", "-3000d", "+0d"])
            .unwrap_or(&"+0d");
        set(offset)?;
        strike.hold(1000..5000).await;
    }
    if strike.rng.bool() {
        other.kill()?;
    } else {
        other.stop()?;
    }
    first.start()
}
