//! A PgBouncer of a test's own, in transaction mode.

use std::fs;
use std::time::Duration;

use lab::servers::footing::{Account, PrivateFolder, free_port};
use lab::servers::process::{Launch, Server};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::world::connect;

/// Server connections it opens for a database; fewer than a daemon has clients.
pub const SERVERS: usize = 3;

/// The pooler; stopped when dropped.
pub struct PgBouncer {
    server: Option<Server>,
    launch: Launch,
    port: u16,
    /// The connection string of the server behind it, up to the host.
    login: String,
    _folder: PrivateFolder,
}

impl PgBouncer {
    /// In front of the server that a connection string names.
    pub fn start(url: &str) -> PgBouncer {
        let (login, place) = url.rsplit_once('@').unwrap();
        let (user, password) = login.trim_start_matches("postgres://").split_once(':').unwrap();
        let server = place.split_once('/').unwrap().0.rsplit_once(':').unwrap().1;
        // It refuses to run as root, as PostgreSQL does.
        let root = Account::current().unwrap().user == 0;
        let account = root.then(|| Account::named("postgres").expect("a user for the pooler"));
        let folder = PrivateFolder::new("pgbouncer", account).unwrap();
        let port = free_port().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("users"), format!("\"{user}\" \"{password}\"\n")).unwrap();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             admin_users = {user}\npool_mode = transaction\ndefault_pool_size = {SERVERS}\n\
             server_login_retry = 1\n",
            at("users").display()
        );
        fs::write(at("pgbouncer.ini"), settings).unwrap();
        let launch = Launch {
            name: "PgBouncer",
            command: vec![program().into(), at("pgbouncer.ini").into()],
            folder: folder.path().to_owned(),
            account,
            stop_signal: "TERM",
        };
        let login = login.to_owned();
        let mut started = PgBouncer { server: None, launch, port, login, _folder: folder };
        started.start_again();
        started
    }

    /// The connection string of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("{}@127.0.0.1:{}/{database}", self.login, self.port)
    }

    /// Kills it; every client's connection breaks.
    pub fn kill(&mut self) {
        self.server.take().unwrap().stop_with("KILL", Duration::from_secs(10)).unwrap();
    }

    /// Starts it after [`PgBouncer::kill`].
    pub fn start_again(&mut self) {
        let mut server = Server::start(self.launch.clone()).unwrap();
        let listens = || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        server.wait_until(Duration::from_secs(10), listens).unwrap();
        self.server = Some(server);
    }

    /// Its console, which takes simple queries such as `PAUSE`.
    pub async fn console(&self) -> Client {
        connect(&self.url("pgbouncer")).await
    }

    /// How many clients wait for a server connection.
    pub async fn waiting(console: &Client) -> usize {
        let pools = console.simple_query("SHOW POOLS").await.unwrap();
        let waiting = pools.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get("cl_waiting")?.parse::<usize>().ok(),
            _ => None,
        });
        waiting.sum()
    }
}

/// Debian keeps it where ordinary users do not look.
fn program() -> &'static str {
    let usual = "/usr/sbin/pgbouncer";
    if std::path::Path::new(usual).exists() { usual } else { "pgbouncer" }
}
