//! A daemon on a PostgreSQL of its own, behind a proxy, for a test that breaks either.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lab::servers::host::{Account, PrivateFolder};
use lab::servers::postgres::PrivatePostgres;

use super::daemon::{self, Daemon};
use super::events::{Payment, payments};
use super::holding::PUT_AWAY;
use super::payments::{Place, Site};
use super::proxy::Proxy;
use super::rig::Rig;
use super::world::connect;
use super::{eventually, ledger};

/// From the end of a fault everything must be taken in within this.
const RECOVERY: Duration = Duration::from_secs(30);

/// The servers, the daemon and the ledger.
pub struct Ward {
    // Declared, and so ended, before the folder that its log is in.
    pub daemon: Daemon,
    pub postgres: PrivatePostgres,
    pub proxy: Proxy,
    pub rig: Rig,
    paid: Vec<Payment>,
    config: PathBuf,
    url: String,
    /// How much of the daemon's log belongs to faults that are over.
    read: usize,
}

impl Ward {
    /// Starts all of it; the daemon logs in as `worker` with the password `one`.
    pub async fn new(settings: &'static [&'static str]) -> Ward {
        let start = move || PrivatePostgres::start_with(false, settings).unwrap();
        let postgres = tokio::task::spawn_blocking(start).await.unwrap();
        let site = Site::on(&postgres, Rig::new(3).await, Place::Beside).await;
        let (mut rig, url) = (site.rig, site.purchases);
        rig.client = site.client;
        rig.client
            .batch_execute("CREATE ROLE worker LOGIN SUPERUSER PASSWORD 'one'")
            .await
            .unwrap();
        let proxy = Proxy::start(postgres.port()).await.unwrap();
        let (_, place) = url.rsplit_once('@').unwrap();
        let login = proxy.url(&format!("postgres://worker:one@{place}"));
        let log = "[log]\nlevel = \"info,makegood=debug\"\n";
        let config = rig.config_file(&format!("{login}&connect_timeout=1"), "", log);
        let daemon = Daemon::start(&config, 0);
        let (paid, read) = (Vec::new(), 0);
        let mut ward = Ward { postgres, proxy, rig, daemon, paid, config, url, read };
        ward.behind(60).await;
        ward.recovers("the start").await;
        ward
    }

    /// Payments whose events wait in Kafka for the end of a fault.
    pub async fn behind(&mut self, count: usize) {
        let paid = payments(count);
        self.rig.pay(&paid).await;
        self.paid.extend(paid);
    }

    /// Waits until the daemon's log names the fault at hand.
    pub async fn says(&self, what: &str) {
        eventually(&format!("the daemon to say {what}"), || async {
            let log = self.daemon.log();
            let says = |line: &str| line.contains("\"WARN\"") && line.contains(what);
            log[self.read..].lines().any(says).then_some(())
        })
        .await;
    }

    /// What `makegood status` prints, and its exit code.
    pub async fn status(&self) -> (String, Option<i32>) {
        daemon::status(&self.config).await
    }

    /// The fault is over: everything is taken in soon, once, by the same daemon, and nothing was parked.
    pub async fn recovers(&mut self, from: &str) {
        self.rig.client = eventually("the server to take logins", || async {
            let (client, connection) =
                tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.ok()?;
            tokio::spawn(connection);
            Some(client)
        })
        .await;
        let soon = tokio::time::timeout(RECOVERY, self.rig.caught_up()).await;
        assert!(soon.is_ok(), "30 s after {from} events still wait");
        // What did not pass for a while was looked for record by record, and is tried again by itself.
        eventually(&format!("nothing to wait for a verdict after {from}"), || async {
            (self.rig.number(PUT_AWAY).await == 0).then_some(())
        })
        .await;
        ledger::assert_exactly(&self.rig.client, &self.paid).await;
        let judged = "SELECT count(*) FROM makegood.quarantine WHERE judged_at IS NOT NULL";
        assert_eq!(self.rig.number(judged).await, 0, "{from}");
        let held = "SELECT count(*) FROM makegood.workers WHERE state = 'held'";
        eventually(&format!("nothing to be held after {from}"), || async {
            (self.rig.number(held).await == 0).then_some(())
        })
        .await;
        assert_eq!(self.daemon.ended(), None, "the daemon did not outlive {from}");
        self.read = self.daemon.log().len();
    }

    /// A connection as the administrator.
    pub async fn admin(&self) -> tokio_postgres::Client {
        connect(&self.url).await
    }

    /// Ends the daemon's sessions; returns how many there were.
    pub async fn terminate(client: &tokio_postgres::Client) -> i64 {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE usename = 'worker'";
        client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// Signals the server and each of its processes, the server first, so that it starts no others.
pub fn signal_all(postgres: &PrivatePostgres, signal: &str) {
    let server = postgres.pid().unwrap();
    let mut all = vec![server.to_string()];
    let script = format!("kill -s {signal} {server}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent == Some(&server.to_string()) {
            all.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    // One that has ended meanwhile is none that must be stopped.
    let script = format!("kill -s {signal} {}; true", all.join(" "));
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

/// A file system of a few megabytes; taken down when dropped.
pub struct TinyDisk(PrivateFolder);

impl TinyDisk {
    /// For PostgreSQL to keep a tablespace on. `None` where this user may not mount one.
    pub fn new() -> Option<TinyDisk> {
        let owner = Account::named("postgres")?;
        let folder = PrivateFolder::new("disk", None).unwrap();
        let options = format!("size=4m,mode=0700,uid={},gid={}", owner.user, owner.group);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|out| out.status.success()).then_some(TinyDisk(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Leaves no byte free, or makes room again.
    pub fn fill(&self, full: bool) {
        let filler = self.path().join("filler");
        if full {
            // It ends with "no space left".
            let written = std::fs::write(&filler, vec![0; 8 << 20]);
            assert!(written.is_err(), "the disk is larger than it should be");
        } else {
            std::fs::remove_file(filler).unwrap();
        }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
