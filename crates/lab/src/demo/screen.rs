//! What the demo says: steps, and on a terminal one line that lives.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Without a terminal a progress line is printed so often.
const LINE_EVERY: Duration = Duration::from_secs(4);

/// Standard output. A reader that has gone away does not stop the show.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    started: Instant,
    progress_at: Instant,
    live_line: bool,
}

impl Screen {
    /// The screen, its clock at zero.
    pub fn new() -> Screen {
        let now = Instant::now();
        Screen {
            terminal: io::stdout().is_terminal(),
            started: now,
            progress_at: now,
            live_line: false,
        }
    }

    /// One step, with the seconds since the start before it.
    pub fn step(&mut self, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.text(&format!("{seconds:5.1}s  {text}"));
    }

    /// Lines as they are.
    pub fn text(&mut self, text: &str) {
        let clear = if self.live_line { "\r\x1b[K" } else { "" };
        self.live_line = false;
        self.write(&format!("{clear}{text}\n"));
    }

    /// Where things stand. On a terminal it replaces the line before, otherwise it comes every few seconds.
    pub fn progress(&mut self, text: &str) {
        if self.terminal {
            let seconds = self.started.elapsed().as_secs_f64();
            self.live_line = true;
            self.write(&format!("\r\x1b[K{seconds:5.1}s  {text}"));
        } else if self.progress_at.elapsed() >= LINE_EVERY {
            self.progress_at = Instant::now();
            self.step(text);
        }
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Default for Screen {
    fn default() -> Self {
        Screen::new()
    }
}
