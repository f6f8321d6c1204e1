//! A PostgreSQL of our own: made from the installed binaries, used, thrown away.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use uuid::Uuid;

use super::host::{Account, PrivateFolder, free_port};
use super::process::{Launch, Server, run, run_as};
use rules::problem::{Code, Problem};

/// How long a start, crash recovery included, may take.
const START: Duration = Duration::from_secs(60);
/// How long an immediate stop may take.
const STOP: Duration = Duration::from_secs(20);
/// PostgreSQL refuses to run as root; root lends it to this account.
const ACCOUNT: &str = "postgres";

/// A running private cluster, listening on 127.0.0.1 only. Dropping it stops the server and removes the data.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Declared, and so dropped, before the folder it works in.
    server: Option<Server>,
    launch: Launch,
    binaries: PathBuf,
    password: String,
    port: u16,
    folder: PrivateFolder,
}

impl PrivatePostgres {
    /// Makes a new cluster and starts it; returns when it takes connections. Blocks for about two seconds.
    ///
    /// `durable` keeps PostgreSQL's own promise on power loss; without it `fsync` and `full_page_writes` are off, which
    /// still survives the death of the process. `synchronous_commit` stays on in both.
    pub fn start(durable: bool) -> Result<PrivatePostgres, Problem> {
        PrivatePostgres::start_with(durable, &[])
    }

    /// As [`PrivatePostgres::start`], with further settings, `name=value`.
    pub fn start_with(durable: bool, settings: &[&str]) -> Result<PrivatePostgres, Problem> {
        PrivatePostgres::start_on(durable, settings, &[], |_, _| Ok(()))
    }

    /// The same by way of a command (`env` and its arguments, say), and with something done to the empty folder before
    /// the cluster is made in its subfolder `data`.
    pub fn start_on(
        durable: bool,
        settings: &[&str],
        by_way_of: &[OsString],
        prepare: impl FnOnce(&Path, Option<Account>) -> Result<(), Problem>,
    ) -> Result<PrivatePostgres, Problem> {
        let binaries = find_binaries()?;
        let account = server_account()?;
        let folder = PrivateFolder::new("postgres", account)?;
        prepare(folder.path(), account)?;
        let password = Uuid::new_v4().simple().to_string();
        init_cluster(&binaries, folder.path(), account, &password)?;
        let port = free_port()?;
        let launch = Launch {
            name: "PostgreSQL",
            command: [by_way_of, &command_line(&binaries, folder.path(), port, durable, settings)]
                .concat(),
            folder: folder.path().to_owned(),
            account,
            // "Immediate": nothing is worth a last checkpoint when the data goes with the server.
            stop_signal: "QUIT",
        };
        let mut postgres =
            PrivatePostgres { server: None, launch, binaries, password, port, folder };
        postgres.start_again()?;
        Ok(postgres)
    }

    /// A standby of this server by streaming, made by a base backup, with settings of its own; it has the same roles and
    /// passwords.
    pub fn standby(&self, settings: &[&str]) -> Result<PrivatePostgres, Problem> {
        let mut standby = PrivatePostgres::start_with(false, settings)?;
        standby.stop_immediate()?;
        let data = standby.folder().join("data");
        fs::remove_dir_all(&data)
            .map_err(|e| Problem::new(Code::System, format!("{}: {e}", data.display())))?;
        let mut backup = Command::new(self.binaries.join("pg_basebackup"));
        backup.args(["-R", "-X", "stream", "-c", "fast", "-d", &self.url("postgres"), "-D"]);
        backup.arg(&data).current_dir(standby.folder());
        run_as(&mut backup, server_account()?);
        run(&mut backup, "making a standby")?;
        standby.password.clone_from(&self.password);
        standby.start_again()?;
        Ok(standby)
    }

    /// Takes the superuser's password of another server, which the caller has given to this one as well.
    pub fn share_password(&mut self, other: &PrivatePostgres) {
        self.password.clone_from(&other.password);
    }

    /// Starts it again if it ended by itself; whether it had.
    pub fn revive(&mut self) -> Result<bool, Problem> {
        if self.server.as_mut().is_some_and(|server| server.ended().is_none()) {
            return Ok(false);
        }
        self.server = None;
        self.start_again().map(|()| true)
    }

    /// A connection string for a database of this cluster, as its superuser, password included.
    /// The database `postgres` exists from the start.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The private folder: `data`, the Unix socket and `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id of the postmaster; nothing while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    /// Pulls the plug: every session ends at once, without a checkpoint, and the next start has to recover.
    pub fn stop_immediate(&mut self) -> Result<(), Problem> {
        match self.server.take() {
            Some(mut server) => server.stop_with("QUIT", STOP),
            None => Ok(()),
        }
    }

    /// Kills the postmaster as the system does when memory is short; its children notice, and the next start has to recover.
    pub fn stop_hard(&mut self) -> Result<(), Problem> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.stop_with("KILL", STOP)?;
        // A child that has not noticed yet keeps a new postmaster from starting. All of them work in the data's folder.
        let data = self.folder.path().join("data");
        let deadline = std::time::Instant::now() + STOP;
        while std::time::Instant::now() < deadline && works_in(&data) {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops as an administrator does in haste ("fast"): sessions are ended, the data is put in order.
    pub fn stop_fast(&mut self) -> Result<(), Problem> {
        match self.server.take() {
            Some(mut server) => server.stop_with("INT", STOP),
            None => Ok(()),
        }
    }

    /// Starts the stopped server on the same port with the same data; returns when it takes connections.
    pub fn start_again(&mut self) -> Result<(), Problem> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut server = Server::start(self.launch.clone())?;
        let (tool, port) = (self.binaries.join("pg_isready"), self.port.to_string());
        let answers = || {
            let mut asked = Command::new(&tool);
            asked.args(["-q", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-p", &port]);
            asked.status().is_ok_and(|status| status.success())
        };
        server.wait_until(START, answers)?;
        self.server = Some(server);
        Ok(())
    }
}

/// Whether any process works in this folder. Only Linux tells.
fn works_in(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read_link(process.path().join("cwd")).ok())
        .any(|place| place == folder)
}

/// The folder that holds `postgres`, `initdb` and `pg_isready`: from `PATH`, from `pg_config`, or where systems keep it,
/// the highest version first.
fn find_binaries() -> Result<PathBuf, Problem> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter_map(|folder| {
        // A link on PATH leads to the folder where the other programs are as well.
        fs::canonicalize(folder.join("postgres")).ok()?.parent().map(Path::to_owned)
    });
    let told = run(Command::new("pg_config").arg("--bindir"), "asking pg_config")
        .map(|bindir| PathBuf::from(bindir.trim()));
    let complete = |folder: &PathBuf| {
        ["postgres", "initdb", "pg_isready"].iter().all(|tool| folder.join(tool).is_file())
    };
    on_path.chain(told).chain(usual_folders()).find(complete).ok_or_else(|| {
        Problem::new(Code::System, "found no PostgreSQL server programs (postgres, initdb)").advice(
            "install the PostgreSQL server, on Debian and Ubuntu: apt-get install postgresql\n\
             or put the folder with `postgres` and `initdb` on PATH",
        )
    })
}

/// Where Debian, Red Hat, Homebrew and Postgres.app keep their versions, each place's highest first.
fn usual_folders() -> Vec<PathBuf> {
    let places = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ];
    places.iter().flat_map(|(place, prefix, below)| versions_in(place, prefix, below)).collect()
}

fn versions_in(place: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((version, entry.path().join(below)))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, folder)| folder).collect()
}

/// Whom the server runs as: ourselves, or as root the system's account for PostgreSQL.
fn server_account() -> Result<Option<Account>, Problem> {
    if Account::current()?.user != 0 {
        return Ok(None);
    }
    let found = Account::named(ACCOUNT);
    found.map(Some).ok_or_else(|| {
        Problem::new(Code::System, format!("there is no user `{ACCOUNT}` to run PostgreSQL as"))
            .advice("PostgreSQL refuses to run as root: run this as an ordinary user, or install\nthe system's PostgreSQL package, which makes that user")
    })
}

/// Runs `initdb`. Logins need the random password: anyone on this machine can reach 127.0.0.1, and a superuser may run programs.
fn init_cluster(
    binaries: &Path,
    folder: &Path,
    account: Option<Account>,
    password: &str,
) -> Result<(), Problem> {
    let secret = folder.join("password");
    write_secret(&secret, password, account).map_err(|e| {
        Problem::new(Code::System, format!("cannot write {}: {e}", secret.display()))
    })?;
    let mut initdb = Command::new(binaries.join("initdb"));
    initdb.arg("-D").arg(folder.join("data")).arg("--pwfile").arg(&secret);
    initdb.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]);
    initdb.current_dir(folder);
    run_as(&mut initdb, account);
    run(&mut initdb, "making a private PostgreSQL cluster").map_err(|problem| {
        let advice = format!(
            "{}\n{} must be a folder the server's user can enter; TMPDIR chooses another",
            problem.advice.trim_end(),
            std::env::temp_dir().display()
        );
        problem.advice(advice)
    })?;
    // Nobody reads it again; a file that stays is only thrown away with the rest.
    let _ = fs::remove_file(&secret);
    Ok(())
}

fn write_secret(path: &Path, secret: &str, owner: Option<Account>) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes())?;
    match owner {
        Some(account) => chown(path, Some(account.user), Some(account.group)),
        None => Ok(()),
    }
}

fn command_line(
    binaries: &Path,
    folder: &Path,
    port: u16,
    durable: bool,
    more: &[&str],
) -> Vec<OsString> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.display()),
        "max_connections=200".to_owned(),
        "shared_buffers=128MB".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ];
    if !durable {
        settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
    }
    settings.extend(more.iter().map(|setting| (*setting).to_owned()));
    let mut command =
        vec![binaries.join("postgres").into(), "-D".into(), folder.join("data").into()];
    for setting in settings {
        command.extend([OsString::from("-c"), setting.into()]);
    }
    command
}
