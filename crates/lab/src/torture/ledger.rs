//! What was done to the daemon and its servers, line by line, on disk before and after each act. The judge, which shares
//! no code with us, believes this file alone.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::task::block_in_place;

use rules::problem::{Code, Problem};

/// The open ledger of a run: one JSON object a line.
#[derive(Debug)]
pub struct Ledger {
    lines: Sender<Line>,
}

/// A line, and where to say that it is on disk.
struct Line {
    text: String,
    written: Sender<Result<(), String>>,
}

impl Ledger {
    /// Begins a ledger.
    pub fn create(path: &Path) -> Result<Ledger, Problem> {
        let file = File::create(path).map_err(|e| failed(&e.to_string()))?;
        let (lines, given) = channel();
        thread::spawn(move || write(file, &given));
        Ok(Ledger { lines })
    }

    /// Writes a line, with the time, and returns once it is on disk.
    pub fn note(&self, mut line: Value) -> Result<(), Problem> {
        if let Some(object) = line.as_object_mut() {
            object.insert("t".to_owned(), now().into());
        }
        let (written, answer) = channel();
        self.lines
            .send(Line { text: format!("{line}\n"), written })
            .map_err(|_| failed("its thread has ended"))?;
        block_in_place(|| answer.recv())
            .map_err(|_| failed("its thread has ended"))?
            .map_err(|e| failed(&e))
    }
}

/// Those who write at the same time share one wait for the disk.
fn write(mut file: File, given: &Receiver<Line>) {
    while let Ok(first) = given.recv() {
        let together: Vec<Line> = std::iter::once(first).chain(given.try_iter()).collect();
        let text: String = together.iter().map(|line| line.text.as_str()).collect();
        let outcome = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        for line in together {
            // Whoever went away wants no answer.
            let _ = line.written.send(outcome.as_ref().copied().map_err(ToString::to_string));
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn failed(cause: &str) -> Problem {
    Problem::new(Code::System, format!("cannot write the ledger: {cause}"))
}
