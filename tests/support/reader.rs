//! Somebody who types what the documents say: a machine with a clone of the repository, and a shell that stays open.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use lab::servers::host::{PrivateFolder, free_port};

use super::document::{Block, Mark, root};

/// How long a block may take, and how long it is typed again until it shows what it should.
const PATIENCE: Duration = Duration::from_secs(40);

/// Stand-ins for what a test cannot have: another user, systemd, a build, Kafka's scripts.
const STAND_INS: [(&str, &str); 7] = [
    ("release", ""),
    ("sudo", "[ \"$1\" = -u ] && shift 2\n[ \"$1\" = --preserve-env ] && shift\nexec \"$@\"\n"),
    ("systemctl", include_str!("stand_ins/systemctl")),
    ("journalctl", "cat \"$CLONE/makegood.log\"\n"),
    ("kafka-topics.sh", "exec kafka org.apache.kafka.tools.TopicCommand \"$@\"\n"),
    (
        "kafka-consumer-groups.sh",
        "exec kafka org.apache.kafka.tools.consumer.group.ConsumerGroupCommand \"$@\"\n",
    ),
    (
        "kafka",
        "exec java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp \"$KAFKA_JARS/*\" \"$@\"\n",
    ),
];

/// A machine with a clone of the repository.
pub struct Machine {
    /// The clone, in which the reader types.
    pub clone: PathBuf,
    postgres_url: String,
    bootstrap: String,
    page: u16,
    _folder: PrivateFolder,
}

impl Machine {
    /// One that reaches these servers; the URL is a superuser's.
    pub fn new(postgres_url: &str, bootstrap: &str) -> Machine {
        let folder = PrivateFolder::new("reader", None).unwrap();
        let clone = folder.path().join("makegood");
        fs::create_dir_all(clone.join("target/dist")).unwrap();
        fs::create_dir(clone.join("bin")).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_makegood"));
        for name in ["deploy", "sql", "examples"] {
            symlink(root().join(name), clone.join(name)).unwrap();
        }
        // What the Debian package puts there.
        fs::create_dir_all(clone.join("usr/share")).unwrap();
        symlink(root().join("deploy"), clone.join("usr/share/makegood")).unwrap();
        fs::create_dir_all(clone.join("etc/makegood/secrets")).unwrap();
        fs::create_dir(clone.join("etc/default")).unwrap();
        fs::create_dir(clone.join("etc/makegood/purchases")).unwrap();
        for file in fs::read_dir(root().join("sql/purchases")).unwrap() {
            let file = file.unwrap();
            let copy = clone.join("etc/makegood/purchases").join(file.file_name());
            fs::copy(file.path(), copy).unwrap();
        }
        fs::copy(root().join("deploy/makegood.toml"), clone.join("etc/makegood/makegood.toml"))
            .unwrap();
        symlink(program, clone.join("target/dist/makegood")).unwrap();
        symlink(program, clone.join("bin/makegood")).unwrap();
        for (name, text) in STAND_INS {
            let file = clone.join("bin").join(name);
            fs::write(&file, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Machine {
            clone,
            postgres_url: postgres_url.to_owned(),
            bootstrap: bootstrap.to_owned(),
            page: free_port().unwrap(),
            _folder: folder,
        }
    }

    /// Puts this machine's servers and folders in the place of the documents', and a statement in that of a dialogue.
    pub fn here(&self, typed: &str) -> String {
        let folder = self.clone.display();
        typed
            .replace("@localhost/", &format!("@127.0.0.1:{}/", self.server().1))
            .replace("localhost:9092", &self.bootstrap)
            .replace("127.0.0.1:8745", &format!("127.0.0.1:{}", self.page))
            .replace("'\\password makegood_app'", "\"ALTER ROLE makegood_app PASSWORD 'PASSWORD'\"")
            .replace("/etc/", &format!("{folder}/etc/"))
            .replace("/usr/share/makegood/", &format!("{folder}/usr/share/makegood/"))
    }

    /// Password and port of the server.
    fn server(&self) -> (&str, &str) {
        let (_, rest) = self.postgres_url.split_once("://postgres:").unwrap();
        let (password, rest) = rest.split_once("@127.0.0.1:").unwrap();
        (password, rest.split('/').next().unwrap())
    }

    /// A shell that is open until it is dropped; what it started ends with it.
    pub fn shell(&self) -> Shell<'_> {
        let said = self.clone.join("terminal");
        let file = File::create(&said).unwrap();
        let mut shell = Command::new("bash");
        let path = std::env::var("PATH").unwrap();
        let (password, port) = self.server();
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_ours = ["MAKEGOOD_", "PG", "KAFKA_", "DATABASE_URL", "OTEL_"];
            if is_ours.iter().any(|start| text.starts_with(start)) {
                shell.env_remove(&name);
            }
        }
        let libs = std::env::var("MAKEGOOD_KAFKA_LIBS");
        let libs = libs.map_or_else(|_| root().join("target/kafka/libs"), PathBuf::from);
        shell
            .args(["--norc", "--noprofile"])
            .current_dir(&self.clone)
            .env("PATH", format!("{}:{path}", self.clone.join("bin").display()))
            .envs([("PGHOST", "127.0.0.1"), ("PGUSER", "postgres"), ("PGPASSWORD", password)])
            .envs([("PGPORT", port), ("PSQLRC", "/dev/null"), ("PAGER", "cat")])
            .env("MAKEGOOD_HTTP_LISTEN", format!("127.0.0.1:{}", self.page))
            .env("KAFKA_JARS", root().join(libs))
            .env("NODE_PATH", root().join("target/node/node_modules"))
            .env("OLD_WORKER", root().join("tests/support/old_worker/worker.js"))
            .env("CLONE", &self.clone)
            .env("HOME", &self.clone)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0);
        let mut child = shell.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        Shell { machine: self, child, input, said, count: 0 }
    }
}

/// An open shell.
pub struct Shell<'a> {
    machine: &'a Machine,
    child: Child,
    input: ChildStdin,
    said: PathBuf,
    count: usize,
}

impl Shell<'_> {
    /// Types commands and waits for their end: whether all worked, and what they said.
    pub fn types(&mut self, commands: &str) -> (bool, String) {
        self.count += 1;
        let typed = self.machine.clone.join(format!("typed-{}", self.count));
        fs::write(&typed, self.machine.here(commands)).unwrap();
        let before = fs::read(&self.said).unwrap().len();
        // The shell itself stays: only what is typed ends at its first error.
        let end = format!("(end {} ", self.count);
        let line = format!(
            "trap 'worked=no' ERR; worked=yes; . {} </dev/null; printf '\\n{end}%s)\\n' $worked\n",
            typed.display()
        );
        self.input.write_all(line.as_bytes()).expect("the shell is open");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said =
                String::from_utf8_lossy(&fs::read(&self.said).unwrap()[before..]).into_owned();
            if let Some((said, how)) = said.rsplit_once(&format!("\n{end}")) {
                return (how.starts_with("yes"), said.to_owned());
            }
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                return (false, format!("{said}\n(no end of it: {ended:?})"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types a block of a document; why it is not as the document says, if it is not.
    pub fn follows(&mut self, block: &Block) -> Result<(), String> {
        let commands = match block.language.as_str() {
            "sql" => format!(
                "psql -X -v ON_ERROR_STOP=1 -d shop <<'END_OF_SQL'\n{}\nEND_OF_SQL\n",
                block.text
            ),
            "sh" | "bash" => block.text.clone(),
            other => return Err(format!("a block of {other} cannot be typed here")),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (worked, said) = self.types(&commands);
            let missing = block.marks.iter().find(|mark| match mark {
                Mark::Shows(text) => !worked || !said.contains(&self.machine.here(text)),
                Mark::Fails(text) => worked || !said.contains(text.as_str()),
                Mark::NotRun(_) => true,
            });
            let shows = block.marks.iter().any(|mark| matches!(mark, Mark::Shows(_)));
            match missing {
                None if worked || !block.marks.is_empty() => {
                    // With --nocapture: the session as its reader sees it.
                    println!("{}$ {}\n{said}", block.line, block.text.trim_end());
                    return Ok(());
                }
                Some(_) if shows && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                missing => return Err(format!("{missing:?}\n{commands}\n{said}")),
            }
        }
    }
}

impl Drop for Shell<'_> {
    fn drop(&mut self) {
        let group = self.child.id();
        let signal = |name: &str| {
            let whom = format!("-{group}");
            let _ = Command::new("kill").args(["-s", name, "--", &whom]).status();
        };
        // In order, so that nobody finds a dead member in the group.
        signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline && anybody_in(group) {
            let _ = self.child.try_wait();
            std::thread::sleep(Duration::from_millis(20));
        }
        signal("KILL");
        let _ = self.child.wait();
    }
}

/// Whether a process of this group runs; one that has ended may wait for nobody to ask.
fn anybody_in(group: u32) -> bool {
    let stats = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.any(|stat| {
        let Some((_, fields)) = stat.rsplit_once(')') else { return false };
        let mut fields = fields.split_whitespace();
        let state = fields.next();
        state != Some("Z") && fields.nth(1) == Some(&group.to_string())
    })
}
