//! The daemons under test: real processes that are killed, frozen, stopped and started.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::block_in_place;

use super::ledger::Ledger;
use crate::daemon::{heard_here, program};
use crate::servers::host::{PrivateFolder, free_port};
use crate::servers::process::{Launch, Server};
use rules::problem::{Code, Problem};

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(20);
/// How long a drain may take: what the daemon promises.
const DRAIN: Duration = Duration::from_secs(30);

/// One daemon, up or down, with one configuration, port and log all along.
pub struct Daemon {
    name: String,
    server: Option<Server>,
    began: Instant,
    http: u16,
    log: PathBuf,
    log_before: usize,
    launch: Launch,
    _folder: PrivateFolder,
    ledger: Arc<Ledger>,
    /// How a step of it was told to fail, which may be its end.
    pub told: Option<&'static str>,
}

impl Daemon {
    /// A daemon that is not started yet. `config` is TOML without its `[http]` section.
    pub fn new(
        name: &str,
        config: &str,
        log: PathBuf,
        before: &[OsString],
        ledger: &Arc<Ledger>,
    ) -> Result<Daemon, Problem> {
        let folder = PrivateFolder::new("torture", None)?;
        let http = free_port()?;
        let file = folder.path().join("makegood.toml");
        let text = format!("{config}[http]\nlisten = \"127.0.0.1:{http}\"\n");
        fs::write(&file, text).map_err(|e| system(format!("cannot write a configuration: {e}")))?;
        let mut command: Vec<OsString> = vec!["env".into()];
        command.extend(heard_here().into_iter().flat_map(|name| ["-u".into(), name]));
        command.extend(before.iter().cloned());
        command.extend([program()?.into(), "run".into(), "--config".into(), file.clone().into()]);
        std::os::unix::fs::symlink(&log, folder.path().join("log"))
            .map_err(|e| system(format!("cannot lead the log elsewhere: {e}")))?;
        let launch = Launch {
            name: "makegood",
            command,
            folder: folder.path().to_owned(),
            account: None,
            stop_signal: "TERM",
        };
        ledger.note(json!({"act": "daemon", "name": name, "http": http,
            "config": &file, "log": &log}))?;
        let ledger = Arc::clone(ledger);
        let began = Instant::now();
        Ok(Daemon {
            name: name.to_owned(),
            server: None,
            began,
            http,
            log,
            log_before: 0,
            launch,
            _folder: folder,
            ledger,
            told: None,
        })
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut socket = TcpStream::connect(("127.0.0.1", self.http))?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            socket.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = block_in_place(ask).unwrap_or_default();
        answer.split_whitespace().nth(1) == Some("200")
    }

    /// Whether it has said that it runs, which is when it listens to signals.
    pub fn listens(&self) -> bool {
        let log = fs::read(&self.log).unwrap_or_default();
        let from = self.log_before.min(log.len());
        let said = String::from_utf8_lossy(&log[from..]).contains("makegood starts");
        said && self.server.is_some()
    }

    /// Starts it if it is down. One that ended by itself is noted: that is never right but for exit code 75.
    pub fn start(&mut self) -> Result<(), Problem> {
        if let Some(server) = &mut self.server {
            let Some(status) = block_in_place(|| server.ended()) else { return Ok(()) };
            // Its keeper is a shell, which tells of a signal by 128 and its number.
            let code = status.code().or(status.signal().map(|s| 128 + s));
            let after = self.began.elapsed().as_secs_f64();
            self.ledger.note(json!({"act": "ended", "name": self.name, "code": code,
                "after": after, "told": self.told}))?;
        }
        self.log_before = fs::metadata(&self.log).map_or(0, |log| log.len() as usize);
        let server = block_in_place(|| Server::start(self.launch.clone()))?;
        self.began = Instant::now();
        self.ledger.note(json!({"act": "started", "name": self.name, "pid": server.pid()}))?;
        self.server = Some(server);
        Ok(())
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) -> Result<(), Problem> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        self.ledger.note(json!({"act": "killed", "name": self.name}))?;
        block_in_place(|| server.stop_with("KILL", GONE))
    }

    /// Stops it in order, and notes how long that took and with which code it ended.
    pub fn stop(&mut self) -> Result<(), Problem> {
        // Before it listens to signals the system's own way to end it holds, which is none of its promise.
        let listens = self.listens();
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let began = Instant::now();
        self.ledger.note(json!({"act": "stopping", "name": self.name}))?;
        let stopped = block_in_place(|| server.stop_with("TERM", DRAIN + Duration::from_secs(5)));
        let code = server.ended().and_then(|status| status.code());
        self.ledger
            .note(json!({"act": "stopped", "name": self.name, "code": code, "listens": listens, "told": self.told,
            "took": began.elapsed().as_secs_f64()}))?;
        match stopped {
            Ok(()) => Ok(()),
            Err(_) => block_in_place(|| server.stop_with("KILL", GONE)),
        }
    }

    /// Sends it a signal, if it is up.
    pub fn signal(&mut self, name: &str) -> Result<(), Problem> {
        match &self.server {
            Some(server) => server.signal(name),
            None => Ok(()),
        }
    }
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}
