//! The real program as a child process.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::eventually;

/// A running `makegood run`; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts the program with a configuration file; its log goes to a file beside it.
    pub fn start(config: &Path, number: usize) -> Daemon {
        Daemon::start_with::<&str>(config, number, &[])
    }

    /// The same with variables of the test's own.
    pub fn start_with<V: AsRef<OsStr>>(config: &Path, number: usize, env: &[(&str, V)]) -> Daemon {
        let mut run = command();
        run.arg("run").envs(env.iter().map(|(name, value)| (name, value)));
        Daemon::start_as(run, config, number)
    }

    /// A shadow of another worker; its last report goes to a file beside its log.
    pub fn shadow(config: &Path, number: usize, args: &[&str]) -> Daemon {
        let mut run = command();
        run.args(["run", "--shadow"]).args(args);
        Daemon::start_as(run, config, number)
    }

    fn start_as(mut run: Command, config: &Path, number: usize) -> Daemon {
        let log = config.with_extension(format!("{number}.log"));
        let file = File::create(&log).unwrap();
        let said = File::create(config.with_extension(format!("{number}.out"))).unwrap();
        let child = run
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(file)
            .spawn()
            .unwrap();
        Daemon { child, log }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far: one JSON object a line.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by its name, e.g. `STOP`; one that the program handles itself only once it does, for a
    /// process that has just been started is ended by it.
    pub fn signal(&self, name: &str) {
        if ["TERM", "INT", "HUP", "USR1"].contains(&name) {
            let deadline = Instant::now() + Duration::from_secs(60);
            while !self.log().contains("makegood starts") {
                assert!(
                    Instant::now() < deadline,
                    "it listens to no signal; its log:\n{}",
                    self.log()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Stops it in order, so that its group is empty and its leases are free.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert!(self.wait(Duration::from_secs(20)).success());
    }

    /// How many files and sockets it has open; nothing where the system does not tell.
    pub fn open_files(&self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.pid())).ok()?.count())
    }

    /// The most memory that it has had, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits until it has about as many files and sockets open as it once had.
    pub async fn assert_no_more_files_than(&self, before: Option<usize>) {
        let Some(before) = before else { return };
        eventually("the daemon to have no more files open than before", || async {
            // A pool that was idle then has its connections now.
            (self.open_files()? <= before + 8).then_some(())
        })
        .await;
    }

    /// Kills it as a crash would, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end, at most `patience`; panics with its log otherwise.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the daemon did not end in {patience:?}; its log:\n{}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the end of {}", self.log.display());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        self.kill();
    }
}

/// What `makegood status` says on both streams, and its exit code.
pub async fn status(config: &Path) -> (String, Option<i32>) {
    let mut status = command();
    status.args(["status", "--config"]).arg(config);
    let out = tokio::task::spawn_blocking(move || status.output().unwrap()).await.unwrap();
    let text = [out.stdout, out.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), out.status.code())
}

/// The program under test, with nothing of the caller's environment that it would listen to.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_makegood"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["MAKEGOOD_", "NOTIFY_SOCKET", "OTEL_", "PG", "KAFKA_", "DATABASE_URL", "RUST_LOG"]
            .iter()
            .any(|p| text.starts_with(p))
        {
            command.env_remove(&name);
        }
    }
    command
}
