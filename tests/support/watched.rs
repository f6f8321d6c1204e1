//! A supervisor that listens as systemd does, and a way to stop the consumer's thread.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::daemon::Daemon;
use super::eventually;
use super::rig::Rig;

/// Hears what a daemon tells its supervisor.
pub struct Supervisor {
    socket: PathBuf,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Supervisor {
    pub fn listen(rig: &Rig) -> Supervisor {
        let socket = rig.path("notify");
        let from = UnixDatagram::bind(&socket).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = heard.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(size) = from.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..size]);
                told.lock().unwrap().extend(text.lines().map(str::to_owned));
            }
        });
        Supervisor { socket, heard }
    }

    /// How many lines begin so.
    pub fn count(&self, line: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|heard| heard.starts_with(line)).count()
    }

    /// Waits for `more` further lines that begin so.
    pub async fn hears(&self, line: &str, more: usize) {
        let wanted = self.count(line) + more;
        eventually(&format!("{more} times {line}"), || async {
            (self.count(line) >= wanted).then_some(())
        })
        .await;
    }

    /// Waits until the newest status has this in it, and returns it.
    pub async fn status(&self, part: &str) -> String {
        eventually(&format!("a status with {part:?}"), || async {
            let heard = self.heard.lock().unwrap();
            let status = heard.iter().rev().find(|line| line.starts_with("STATUS="))?;
            status.contains(part).then(|| status.clone())
        })
        .await
    }
}

impl Rig {
    /// Starts a daemon whose watchdog has this patience and reports to `supervisor`.
    pub fn watched_daemon(&self, patience: &str, supervisor: &Supervisor) -> Daemon {
        self.watched_daemon_with(&self.watched_config(&self.url(), patience), supervisor)
    }

    /// The configuration of [`Rig::watched_daemon`], with a database elsewhere.
    pub fn watched_config(&self, database_url: &str, patience: &str) -> String {
        let watchdog = format!("[watchdog]\npatience = \"{patience}\"\n");
        let log = "[log]\nlevel = \"info,makegood=debug\"\n";
        self.config(database_url, "", &(watchdog + log))
    }

    /// The same with a configuration of the test's own.
    pub fn watched_daemon_with(&self, text: &str, supervisor: &Supervisor) -> Daemon {
        let config = self.path("watched.toml");
        fs::write(&config, text).unwrap();
        let wedge = self.path("wedge");
        let env = [("NOTIFY_SOCKET", supervisor.socket.as_path()), ("MAKEGOOD_TEST_WEDGE", &wedge)];
        Daemon::start_with(&config, 0, &env)
    }

    /// Stops the thread of the client with this id, or of every client (`*`).
    pub fn wedge(&self, client_id: &str) {
        // Whole at once, so that no thread reads half a name.
        let draft = self.path("wedge.draft");
        fs::write(&draft, client_id).unwrap();
        fs::rename(draft, self.path("wedge")).unwrap();
    }

    /// Lets every stopped thread go on.
    pub fn unwedge(&self) {
        fs::remove_file(self.path("wedge")).unwrap();
    }
}
