//! The worker from before makegood: a kafkajs one in Node, in the rig's group.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::eventually;
use super::rig::Rig;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How long the broker waits for one that was killed; kafkajs' default is five times that.
const SESSION_MS: &str = "6000";

/// What the worker does with an insert that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Logs it and goes on: the message is committed past.
    Skip,
    /// Leaves it to kafkajs.
    Throw,
}

/// A running worker; killed when dropped.
pub struct OldWorker {
    child: Child,
    log: PathBuf,
}

/// Node with the packages that bin/test fetches.
pub fn node() -> Command {
    let libs = Path::new(ROOT).join("target/node/node_modules");
    assert!(
        libs.is_dir(),
        "there are no Node packages in {}: bin/test fetches them",
        libs.display()
    );
    let mut command = Command::new("node");
    command.env("NODE_PATH", libs);
    command
}

impl OldWorker {
    /// Starts one and waits until it reads.
    pub async fn reading(rig: &Rig, client_id: &str, on_error: OnError) -> OldWorker {
        let worker = OldWorker::start(rig, client_id, on_error);
        worker.says("reads\n").await;
        worker
    }

    /// Starts one; its log goes to a file of its name in the rig's folder.
    pub fn start(rig: &Rig, client_id: &str, on_error: OnError) -> OldWorker {
        let log = rig.path(&format!("{client_id}.log"));
        let file = File::create(&log).unwrap();
        let child = node()
            .arg(Path::new(ROOT).join("tests/support/old_worker/worker.js"))
            .env("BROKERS", rig.world.kafka.bootstrap())
            .env("TOPIC", &rig.topic)
            .env("GROUP", &rig.group)
            .env("DATABASE_URL", rig.url())
            .env("CLIENT_ID", client_id)
            .env("SESSION_TIMEOUT", SESSION_MS)
            .env("ON_ERROR", if on_error == OnError::Skip { "skip" } else { "throw" })
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        OldWorker { child, log }
    }

    /// Everything it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said this.
    pub async fn says(&self, text: &str) {
        let what = format!("the old worker to say {text}");
        eventually(&what, || async { self.log().contains(text).then_some(()) }).await;
    }

    /// The payments whose purchases it made, in order.
    pub fn made(&self) -> Vec<Uuid> {
        self.payments("made ")
    }

    /// The payments whose inserts failed, in order, once for each time.
    pub fn failed(&self) -> Vec<Uuid> {
        self.payments("failed ")
    }

    /// Waits until it has dealt with so many messages; a repeated one counts again.
    pub async fn dealt_with(&self, count: usize) {
        let what = format!("the old worker to deal with {count} messages");
        let so_many = || self.made().len() + self.failed().len() == count;
        eventually(&what, || async { so_many().then_some(()) }).await;
    }

    fn payments(&self, word: &str) -> Vec<Uuid> {
        let log = self.log();
        // Partition, offset, payment, and perhaps why.
        let payment = |line: &str| line.strip_prefix(word)?.split(' ').nth(2)?.parse().ok();
        log.lines().filter_map(payment).collect()
    }

    /// Stops it as its supervisor would, so that it leaves the group.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.ended().is_none() {
            assert!(Instant::now() < deadline, "the old worker does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it as a crash would: the group does not hear of it.
    pub fn kill(self) {}

    /// Whether it has ended, and how.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for OldWorker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
