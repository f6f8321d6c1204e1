//! Whoever sits at a terminal sees that a command still works: after two seconds a line on standard error says what it is at
//! and for how long already. The line is gone before anything else is written.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::print::visible;

/// From then on it is shown, and so often.
const PATIENCE: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(250);

/// What the command is at, and what of it is on the screen.
struct Shown {
    step: String,
    since: Option<Instant>,
    is_there: bool,
    /// The command has a line of its own.
    has_own: bool,
}

static SHOWN: Mutex<Shown> =
    Mutex::new(Shown { step: String::new(), since: None, is_there: false, has_own: false });

fn shown<T>(work: impl FnOnce(&mut Shown) -> T) -> T {
    work(&mut SHOWN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Says what the command is at now.
pub fn step(what: impl Into<String>) {
    shown(|shown| (shown.step, shown.since) = (what.into(), Some(Instant::now())));
}

/// The command tells how far it is by itself.
pub fn own() {
    clear();
    shown(|shown| shown.has_own = true);
}

/// Takes the line away, so that something else can be written.
pub fn clear() {
    shown(|shown| {
        if std::mem::take(&mut shown.is_there) {
            write("\r\x1b[2K");
        }
    });
}

/// Does the work, and shows beside it what it is at.
pub async fn beside<T>(work: impl Future<Output = T>) -> T {
    let mut work = Box::pin(work);
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let began = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                clear();
                return done;
            }
            _ = ticks.tick() => show(began),
        }
    }
}

fn show(began: Instant) {
    shown(|shown| {
        let since = shown.since.unwrap_or(began);
        if began.elapsed() < PATIENCE || shown.has_own {
            return;
        }
        let step = if shown.step.is_empty() { "at work" } else { &shown.step };
        let line = format!("{step}, {} s", since.elapsed().as_secs());
        // The cursor goes back to the line's beginning, so that a line of the log is written over it.
        write(&format!("\r\x1b[2K{}\r", visible(&line, false)));
        shown.is_there = true;
    });
}

fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
