//! A private PgBouncer in transaction mode.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::host::{Account, PrivateFolder, free_port};
use super::process::{Launch, Server};
use rules::problem::{Code, Problem};

/// Server connections it opens for a database; fewer than a daemon has clients.
pub const SERVERS: usize = 3;
/// Debian keeps it where ordinary users do not look.
const USUAL: &str = "/usr/sbin/pgbouncer";
const PATIENCE: Duration = Duration::from_secs(10);

/// The pooler; stopped when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    server: Option<Server>,
    launch: Launch,
    port: u16,
    /// The connection string of the server behind it, up to the host.
    login: String,
    _folder: PrivateFolder,
}

impl PgBouncer {
    /// Whether it is installed.
    pub fn is_installed() -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Path::new(USUAL).is_file()
            || std::env::split_paths(&path).any(|folder| folder.join("pgbouncer").is_file())
    }

    /// In front of the server that a connection string (`postgres://user:password@host:port/database`) names.
    pub fn start(url: &str) -> Result<PgBouncer, Problem> {
        let odd = || system(format!("not a connection string for a pooler: {url}"));
        let (login, place) = url.rsplit_once('@').ok_or_else(odd)?;
        let (user, password) =
            login.trim_start_matches("postgres://").split_once(':').ok_or_else(odd)?;
        let (host, _) = place.split_once('/').ok_or_else(odd)?;
        let (_, server) = host.rsplit_once(':').ok_or_else(odd)?;
        // It refuses to run as root, as PostgreSQL does.
        let root = Account::current()?.user == 0;
        let account = root.then(|| Account::named("postgres")).flatten();
        let folder = PrivateFolder::new("pgbouncer", account)?;
        let port = free_port()?;
        let at = |name: &str| folder.path().join(name);
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             admin_users = {user}\npool_mode = transaction\ndefault_pool_size = {SERVERS}\n\
             server_login_retry = 1\n",
            at("users").display()
        );
        fs::write(at("users"), format!("\"{user}\" \"{password}\"\n"))
            .and_then(|()| fs::write(at("pgbouncer.ini"), settings))
            .map_err(|e| system(format!("cannot write the pooler's settings: {e}")))?;
        let program = if Path::new(USUAL).exists() { USUAL } else { "pgbouncer" };
        let launch = Launch {
            name: "PgBouncer",
            command: vec![program.into(), at("pgbouncer.ini").into()],
            folder: folder.path().to_owned(),
            account,
            stop_signal: "TERM",
        };
        let login = login.to_owned();
        let mut started = PgBouncer { server: None, launch, port, login, _folder: folder };
        started.start_again()?;
        Ok(started)
    }

    /// The connection string of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("{}@127.0.0.1:{}/{database}", self.login, self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it; every client's connection breaks.
    pub fn kill(&mut self) -> Result<(), Problem> {
        match self.server.take() {
            Some(mut server) => server.stop_with("KILL", PATIENCE),
            None => Ok(()),
        }
    }

    /// Starts it after [`PgBouncer::kill`].
    pub fn start_again(&mut self) -> Result<(), Problem> {
        let mut server = Server::start(self.launch.clone())?;
        let listens = || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        server.wait_until(PATIENCE, listens)?;
        self.server = Some(server);
        Ok(())
    }

    /// Its console, which takes simple queries such as `PAUSE`.
    pub async fn console(&self) -> Result<Client, Problem> {
        let (client, connection) = tokio_postgres::connect(&self.url("pgbouncer"), NoTls)
            .await
            .map_err(|e| system(format!("the pooler's console: {e}")))?;
        // How it ends is the client's next error.
        tokio::spawn(connection);
        Ok(client)
    }

    /// How many clients wait for a server connection.
    pub async fn waiting(console: &Client) -> Result<usize, Problem> {
        let pools = console
            .simple_query("SHOW POOLS")
            .await
            .map_err(|e| system(format!("the pooler's console: {e}")))?;
        let waiting = pools.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get("cl_waiting")?.parse::<usize>().ok(),
            _ => None,
        });
        Ok(waiting.sum())
    }
}

fn system(cause: String) -> Problem {
    Problem::new(Code::System, cause)
}
