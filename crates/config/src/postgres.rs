//! How to reach one PostgreSQL: a URL and libpq's environment, merged.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokio_postgres::config::ChannelBinding;

use super::again::Again;
use super::kinds::Program;
use super::libpq::Libpq;
use super::{Pooler, redact, url};
use rules::problem::{Code, Problem};

/// One database, everything merged; `store::connect` turns it into connections.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// The URL as it was given; empty when libpq's variables alone say where to connect.
    pub url: SecretString,
    /// Host names, addresses, or folders of Unix sockets (starting with `/`), tried in order; empty
    /// means the default socket folders.
    pub hosts: Vec<String>,
    /// One port for all hosts, or one for each.
    pub ports: Vec<u16>,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<SecretString>,
    /// The database.
    pub dbname: String,
    /// How much the connection is protected; `None` when nobody said.
    pub sslmode: Option<SslMode>,
    /// Whose signature on the server's certificate counts; `None` when nobody said.
    pub sslrootcert: Option<RootCert>,
    /// A file with the client's certificate, in PEM.
    pub sslcert: Option<PathBuf>,
    /// The file with its key, in PEM.
    pub sslkey: Option<PathBuf>,
    /// What opens the key.
    pub sslpassword: Option<SecretString>,
    /// A program that prints the password; empty for none.
    pub password_command: Program,
    /// How the login is read again when it was refused.
    pub again: Option<Again>,
    /// The name shown in `pg_stat_activity`; `None` leaves it to the caller.
    pub application_name: Option<String>,
    /// How long one connection attempt may take.
    pub connect_timeout: Duration,
    /// Command-line options for the server, such as `-c search_path=x`.
    pub options: Option<String>,
    /// Whether the login is bound to the TLS connection.
    pub channel_binding: ChannelBinding,
    /// What stands between makegood and the server.
    pub pooler: Pooler,
    /// Whether nothing may be written, so that a role or a server that can only read will do. No key: it is a command's own.
    pub reads_only: bool,
    /// The way past the pooler, for what needs a session of its own: LISTEN, the relay, migrations.
    pub direct: Option<Box<Postgres>>,
}

impl Postgres {
    /// The same for somebody who only reads.
    pub fn to_read(&self) -> Postgres {
        Postgres { reads_only: true, ..self.clone() }
    }

    /// Whether a connection has no session of its own.
    pub fn is_pooled(&self) -> bool {
        self.pooler == Pooler::Transaction
    }

    /// The way to a session of one's own; `None` when the only way is through the pooler.
    pub fn with_session(&self) -> Option<&Postgres> {
        self.direct.as_deref().or((!self.is_pooled()).then_some(self))
    }

    /// Reads a connection URL (or libpq's `key=value` text) by itself, without the environment.
    pub fn from_url(text: &str) -> Result<Postgres, Problem> {
        url::merge(text, &Libpq::default()).map_err(|fix| {
            let cause = format!("cannot use the connection URL {}", redact::url(text));
            Problem::new(Code::Config, cause).advice(fix)
        })
    }
}

/// libpq's `sslmode`, in its order of strictness; `allow` is read as [`SslMode::Prefer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never encrypt.
    Disable,
    /// Encrypt if the server can; verify nothing.
    Prefer,
    /// Encrypt; verify the chain only if a root certificate is given.
    Require,
    /// Encrypt and verify the certificate's chain.
    VerifyCa,
    /// Encrypt, verify the chain and the host name.
    VerifyFull,
}

/// libpq's `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCert {
    /// The certificates this machine trusts (`sslrootcert=system`).
    System,
    /// A PEM file.
    File(PathBuf),
}

impl Default for Postgres {
    /// What libpq does when nothing is said, for the role and database `makegood`.
    fn default() -> Self {
        Postgres {
            url: SecretString::default(),
            hosts: Vec::new(),
            ports: vec![5432],
            user: "makegood".into(),
            password: None,
            dbname: "makegood".into(),
            sslmode: None,
            sslrootcert: None,
            sslcert: None,
            sslkey: None,
            sslpassword: None,
            password_command: Program::default(),
            again: None,
            application_name: None,
            connect_timeout: Duration::from_secs(5),
            options: None,
            channel_binding: ChannelBinding::Prefer,
            pooler: Pooler::None,
            reads_only: false,
            direct: None,
        }
    }
}
