//! What a configured database is to the driver, and how messages call it.

use std::time::Duration;

use secrecy::ExposeSecret;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode as WireMode, TargetSessionAttrs};

use super::tls::{self, TlsMode};
use config::Postgres;
use rules::problem::Problem;

/// Where libpq looks for a socket when no host is named.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The driver's settings for a database, and how its connections are protected. Reads the root
/// certificate's file; connects to nothing.
pub fn settings(p: &Postgres) -> Result<(Config, TlsMode), Problem> {
    let mut to = Config::new();
    to.user(&p.user)
        .dbname(&p.dbname)
        .connect_timeout(p.connect_timeout)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .target_session_attrs(match p.reads_only {
            true => TargetSessionAttrs::Any,
            false => TargetSessionAttrs::ReadWrite,
        })
        .channel_binding(p.channel_binding);
    for host in &p.hosts {
        to.host(host);
    }
    if p.hosts.is_empty() {
        to.host_path(socket_folder(p.ports.first().copied().unwrap_or(5432)));
    }
    for port in &p.ports {
        to.port(*port);
    }
    if let Some(password) = &p.password {
        to.password(password.expose_secret());
    }
    if let Some(options) = &p.options {
        to.options(options);
    }
    let tls = tls::mode(p)?;
    to.ssl_mode(match &tls {
        TlsMode::Plain => WireMode::Disable,
        TlsMode::Opportunistic(_) => WireMode::Prefer,
        TlsMode::Required(_) => WireMode::Require,
    });
    Ok((to, tls))
}

/// `host:port/database`, for messages; several hosts are separated by commas.
pub fn place(p: &Postgres) -> String {
    let port = |index: usize| p.ports.get(index).or(p.ports.first()).copied().unwrap_or(5432);
    let mut hosts: Vec<String> =
        p.hosts.iter().enumerate().map(|(i, host)| format!("{host}:{}", port(i))).collect();
    if hosts.is_empty() {
        hosts.push(format!("{}:{}", socket_folder(port(0)), port(0)));
    }
    format!("{}/{}", hosts.join(","), p.dbname)
}

fn socket_folder(port: u16) -> &'static str {
    let holds =
        |folder: &&str| std::path::Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    SOCKET_FOLDERS.into_iter().find(holds).unwrap_or(SOCKET_FOLDERS[0])
}
