//! What a private server stands on: an account, a folder and a port.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

use rules::problem::{Code, Problem};

/// Numbers of the account a process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

impl Account {
    /// The account we run as.
    pub fn current() -> Result<Account, Problem> {
        Account::look_up(&[]).ok_or_else(|| {
            Problem::new(Code::System, "the program `id` did not say which user this is")
        })
    }

    /// The account of that name, or nothing if the system has none.
    pub fn named(name: &str) -> Option<Account> {
        Account::look_up(&[name])
    }

    fn look_up(name: &[&str]) -> Option<Account> {
        let number = |flag: &str| {
            let out = Command::new("id").arg(flag).args(name).output().ok()?;
            String::from_utf8(out.stdout).ok()?.trim().parse().ok()
        };
        Some(Account { user: number("-u")?, group: number("-g")? })
    }
}

/// A folder of our own below the system's temporary one, closed to others, removed when dropped.
#[derive(Debug)]
pub struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes `makegood-<what>-<random>`; it belongs to `owner`, or to us.
    pub fn new(what: &str, owner: Option<Account>) -> Result<PrivateFolder, Problem> {
        // Short: a Unix socket's whole path has about a hundred bytes, and some systems' TMPDIR takes half of them.
        let random = Uuid::new_v4().simple().to_string();
        let path = std::env::temp_dir().join(format!("makegood-{what}-{}", &random[..12]));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|e| system(format!("cannot make the folder {}: {e}", path.display())))?;
        let folder = PrivateFolder(path);
        if let Some(account) = owner {
            chown(folder.path(), Some(account.user), Some(account.group))
                .map_err(|e| system(format!("cannot give {} away: {e}", folder.0.display())))?;
        }
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // The keeper removes it as well; whoever comes second finds nothing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port of 127.0.0.1 nobody listens on. It lies below the range the system picks outgoing ports from: a client that
/// tries a port of that range before its server is up can be connected to itself.
pub fn free_port() -> Result<u16, Problem> {
    let below_ephemeral = || 12_000 + (Uuid::new_v4().as_u128() % 20_000) as u16;
    (0..100)
        .map(|_| below_ephemeral())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| system("found no free port on 127.0.0.1"))
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}
