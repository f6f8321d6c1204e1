//! A server process that cannot outlive us.
//!
//! Every server runs under a small shell, its keeper, which holds the reading end of a pipe. When the writing end closes,
//! because we let go of it or because we were killed, the keeper stops the server and removes its folder. This needs no
//! `unsafe` and works where the kernel has no parent-death signal.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::host::Account;
use rules::problem::{Code, Problem};

/// How long a server may take to obey its stop signal before it is killed; the keeper counts the same in tenths.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a condition without an event of its own is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// How many of the last lines of a server's log a [`Problem`] quotes.
const LOG_LINES: usize = 15;

/// The keeper: starts `"$@"`, says its process id, stops it when standard input ends, and ends with it.
/// The server is waited for here, so that the keeper's own end tells of the server's.
const KEEPER: &str = r#"
folder=$1 signal=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- >>"$folder/log" 2>&1 &
server=$!
echo "$server"
exec >/dev/null 2>&1
(
  read -r _ <&3
  : >"$folder/abandoned"
  kill -s "$signal" "$server"
  kill -s CONT "$server"
  tenths=0
  while [ "$tenths" -lt 50 ]; do sleep 0.1; tenths=$((tenths + 1)); done
  kill -s KILL "$server"
) &
watch=$!
exec 3<&-
wait "$server"
ended=$?
kill "$watch"
[ ! -e "$folder/abandoned" ] || rm -rf "$folder"
exit "$ended"
"#;

/// What to start and how to stop it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The server's name in messages.
    pub name: &'static str,
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Working folder; also holds `log`, to which everything the server prints is appended.
    pub folder: PathBuf,
    /// Whom to run as, if not as ourselves.
    pub account: Option<Account>,
    /// The signal that asks the server to stop, as `kill -s` names it.
    pub stop_signal: &'static str,
}

/// A running server and its keeper; stopped, and waited for, when dropped.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    keeper: Child,
    lifeline: Option<ChildStdin>,
    pid: u32,
}

impl Server {
    /// Starts it without waiting for it to be of use; see [`Server::wait_until`].
    pub fn start(launch: Launch) -> Result<Server, Problem> {
        let mut shell = Command::new("sh");
        shell.args(["-c", KEEPER, "sh"]).arg(&launch.folder).arg(launch.stop_signal);
        shell.args(&launch.command).current_dir(&launch.folder);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A group of its own: Ctrl-C on the terminal is for us, the servers go when we are done with them.
        shell.process_group(0);
        run_as(&mut shell, launch.account);
        let failed =
            |e: &dyn std::fmt::Display| system(format!("cannot start {}: {e}", launch.name));
        let mut keeper = shell.spawn().map_err(|e| failed(&e))?;
        let lifeline = keeper.stdin.take();
        let mut said = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).map_err(|e| failed(&e))?;
        }
        let pid = said.trim().parse().map_err(|_| failed(&"its keeper told no process id"))?;
        Ok(Server { launch, keeper, lifeline, pid })
    }

    /// The process id of the server itself, not of its keeper.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How the server ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.keeper.try_wait().ok().flatten()
    }

    /// Sends a signal (named as for `kill -s`) to the server itself.
    pub fn signal(&self, signal: &str) -> Result<(), Problem> {
        // The shell's own `kill`: a small system may have no program of that name.
        let mut kill = Command::new("sh");
        kill.args(["-c", r#"kill -s "$1" "$2""#, "sh", signal, &self.pid.to_string()]);
        run(&mut kill, &format!("sending {signal} to {}", self.launch.name)).map(drop)
    }

    /// Sends a signal that ends the server, and waits for that end at most `patience`.
    pub fn stop_with(&mut self, signal: &str, patience: Duration) -> Result<(), Problem> {
        // One that ended a while ago must not be: its number may be another process's by now.
        if self.ended().is_some() {
            return Ok(());
        }
        // A server that ended by itself just now cannot be signalled, and need not be.
        let sent = self.signal(signal);
        match self.wait_for_end(patience) {
            Some(_) => Ok(()),
            None => sent.and(Err(Problem::new(
                Code::TimedOut,
                format!("{} did not stop within {patience:?}", self.launch.name),
            ))),
        }
    }

    /// Waits until SIGSTOP has reached every thread, which takes a moment after it was sent. Only Linux tells; elsewhere
    /// this returns at once.
    pub fn wait_until_stopped(&self, patience: Duration) -> Result<(), Problem> {
        let deadline = Instant::now() + patience;
        let threads = format!("/proc/{}/task", self.pid);
        let stopped = |thread: fs::DirEntry| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state follows the program's name, which is in parentheses and may hold any character.
            stat.rsplit_once(')').is_none_or(|(_, rest)| rest.starts_with(" T"))
        };
        while !fs::read_dir(&threads).into_iter().flatten().flatten().all(stopped) {
            if Instant::now() > deadline {
                let cause = format!("{} did not freeze within {patience:?}", self.launch.name);
                return Err(Problem::new(Code::TimedOut, cause));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Waits until `ready` says yes. Fails, with the end of the server's log, when the server ends before or `patience` is over.
    pub fn wait_until(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Problem> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                let cause = format!("{} ended instead of starting ({status})", self.launch.name);
                return Err(system(cause).advice(self.log_end()));
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let cause = format!("{} was not ready after {patience:?}", self.launch.name);
                return Err(Problem::new(Code::TimedOut, cause).advice(self.log_end()));
            }
            thread::sleep(GLANCE);
        }
    }

    fn wait_for_end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            let status = self.ended();
            if status.is_some() || Instant::now() > deadline {
                return status;
            }
            thread::sleep(GLANCE);
        }
    }

    /// The end of the server's log, with a heading; says so when there is none.
    pub fn log_end(&self) -> String {
        let log = fs::read(self.launch.folder.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        if last.is_empty() {
            return "it left no log".into();
        }
        format!("the last lines of its log:\n{}", last.join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifeline = None;
        if self.wait_for_end(PATIENCE + Duration::from_secs(2)).is_none() {
            let _ = self.signal("KILL");
            let _ = self.wait_for_end(PATIENCE);
        }
    }
}

/// Lets a command run as `account`, if there is one.
pub fn run_as(command: &mut Command, account: Option<Account>) {
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
}

/// Runs a command to its end and returns what it printed. `doing` names the work in the message of a failure,
/// which quotes all the command said.
pub fn run(command: &mut Command, doing: &str) -> Result<String, Problem> {
    let program = command.get_program().to_string_lossy().into_owned();
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| system(format!("{doing} failed: cannot run {program}: {e}")))?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
    Err(system(format!("{doing} failed ({})", out.status)).advice(format!("{said}{complaint}")))
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}
