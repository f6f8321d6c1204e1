//! The demo: it ends well by itself, and however it ends, nothing of it stays behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must say where and stop")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lab::servers::host::PrivateFolder;

const PROGRAM: &str = env!("CARGO_BIN_EXE_makegood-lab");
/// Enough for a busy machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(150);

#[test]
fn a_small_demo_finds_every_payment_purchased_once_and_leaves_nothing_behind() {
    let scene = Scene::new();
    let mut demo = scene.start(&["--exit", "--payments", "300", "--seconds", "3", "--seed", "7"]);
    let said = rest(&mut demo);
    let status = end(&mut demo);
    assert!(status.success(), "{status}:\n{said}");
    assert!(said.contains("killed the worker"), "{said}");
    for (what, number) in [
        ("payments with a purchase missing", "0"),
        ("payments with two purchases", "0"),
        ("purchases that differ from their payment", "0"),
        ("purchases nobody paid for", "0"),
        // Six of the 300 payments fail, and six are rolled back.
        ("purchases", "288"),
        ("events through the outbox", "294"),
        ("events still in the outbox", "0"),
        ("broken records in quarantine", "8"),
    ] {
        assert_eq!(found_and_expected(&said, what), [number, number], "{what}:\n{said}");
    }
    assert!(said.contains("288 payments succeeded, and each has exactly one purchase."), "{said}");
    assert_eq!(scene.left(), Vec::<String>::new());
}

#[test]
fn a_demo_stays_up_until_it_is_asked_to_end_and_leaves_nothing_behind() {
    let scene = Scene::new();
    let mut demo = scene.start(&["--payments", "40", "--seconds", "1"]);
    let mut said = BufReader::new(demo.0.stdout.take().unwrap());
    let config = wait_for(&mut said, "makegood status --config ");
    assert!(Path::new(config.trim()).is_file(), "{config:?} is no file");
    // A worker killed by somebody else is started again: one line says so.
    wait_for_worker_and_kill(&scene);
    wait_for(&mut said, "the worker ended");
    signal(demo.0.id(), "TERM");
    let status = end(&mut demo);
    assert!(status.success(), "{status}");
    assert_eq!(scene.left(), Vec::<String>::new());
}

#[test]
fn a_killed_demo_leaves_no_server_running_and_no_folder() {
    let scene = Scene::new();
    let mut demo = scene.start(&["--seconds", "100"]);
    let mut said = BufReader::new(demo.0.stdout.take().unwrap());
    wait_for(&mut said, "shop: ");
    assert!(scene.left().len() >= 4, "two servers and their folders: {:?}", scene.left());
    signal(demo.0.id(), "KILL");
    assert!(!end(&mut demo).success());
    let deadline = Instant::now() + PATIENCE;
    while !scene.left().is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", scene.left());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_demo_that_is_stopped_early_gives_no_verdict_and_leaves_nothing_behind() {
    let scene = Scene::new();
    let mut demo = scene.start(&["--exit", "--seconds", "100"]);
    let mut said = BufReader::new(demo.0.stdout.take().unwrap());
    wait_for(&mut said, "PostgreSQL: ");
    signal(demo.0.id(), "INT");
    assert_eq!(end(&mut demo).code(), Some(1));
    assert_eq!(scene.left(), Vec::<String>::new());
}

/// A temporary folder of its own, so that all that a demo leaves can be told from other programs' things.
struct Scene(PrivateFolder);

impl Scene {
    fn new() -> Scene {
        let folder = PrivateFolder::new("test-demo", None).unwrap();
        // Open as the system's own: under root, PostgreSQL runs as another user, who removes a folder here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        Scene(folder)
    }

    fn start(&self, args: &[&str]) -> Demo {
        let mut command = Command::new(PROGRAM);
        command.arg("demo").args(args).env("TMPDIR", self.0.path());
        // The worker must not listen to any of these.
        command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nowhere");
        command.env("MAKEGOOD_LOG_LEVEL", "no such level");
        Demo(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Folders made below, and processes that name this place.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap().flatten();
        let folders = entries.map(|entry| entry.path().display().to_string());
        folders.chain(self.processes().into_iter().map(|(_, line)| line)).collect()
    }

    /// Process ids and command lines.
    fn processes(&self) -> Vec<(u32, String)> {
        let place = self.0.path().display().to_string();
        let process = |folder: PathBuf| {
            let pid = folder.file_name()?.to_str()?.parse().ok()?;
            let line = fs::read(folder.join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(&place).then_some((pid, line))
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| process(entry.path())).collect()
    }
}

/// A running demo; killed if a test fails before its end, and its keepers do the rest.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn end(demo: &mut Demo) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = demo.0.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the demo does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn rest(demo: &mut Demo) -> String {
    let mut said = String::new();
    demo.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

/// Reads on to a line with this text, and returns what follows it.
fn wait_for(said: &mut impl BufRead, text: &str) -> String {
    let mut before = String::new();
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended without {text:?}:\n{before}");
        if let Some((_, after)) = line.split_once(text) {
            return after.to_owned();
        }
        before += &line;
    }
}

/// The two numbers of a line of the table.
fn found_and_expected<'a>(said: &'a str, what: &str) -> Vec<&'a str> {
    let mut lines = said.lines().filter_map(|line| line.trim_start().strip_prefix(what));
    let numbers = |line: &'a str| line.split_whitespace().collect::<Vec<_>>();
    lines
        .find_map(|line| {
            Some(numbers(line)).filter(|n| n.len() == 2 && n[0].parse::<u32>().is_ok())
        })
        .unwrap_or_default()
}

fn wait_for_worker_and_kill(scene: &Scene) {
    let makegood = Path::new(PROGRAM).with_file_name("makegood").display().to_string();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = scene.processes().into_iter().find(|(_, line)| line.starts_with(&makegood));
        if let Some((pid, _)) = found {
            return signal(pid, "KILL");
        }
        assert!(Instant::now() < deadline, "found no worker");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}
