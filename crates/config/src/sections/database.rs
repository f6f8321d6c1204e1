//! `[postgres]` and `[databases.NAME]`: how to reach a database.

use secrecy::SecretString;

use crate::declare::section;
use crate::kinds::{Program, one_of, program, url};

section! {
    /// The database with the purchases, and with makegood's own schema.
    pub struct Database(Clone, Debug) {
        /// Its URL. Parts left out come from libpq's PG* variables and ~/.pgpass. Also DATABASE_URL. Towards another machine
        /// it is sslmode=verify-full where nothing else is said: add ?sslrootcert=FILE for a private authority,
        /// &sslcert=FILE&sslkey=FILE (&sslpassword=) for a client's certificate.
        url: SecretString = "", url().example("\"postgres://makegood@localhost/shop\"");
        /// What the URL leads to: "none" for PostgreSQL itself, "transaction" for a pooler such as PgBouncer in
        /// transaction mode.
        pooler: Pooler = "none", one_of(&[("none", Pooler::None), ("transaction", Pooler::Transaction)]);
        /// With such a pooler the way past it, for what needs a session: migrations, the relay of the outbox,
        /// notifications.
        direct_url: SecretString = "", url();
        /// A program that prints the password, for tokens that expire: it is asked once a minute at most when a connection is
        /// opened, and whenever a login is refused.
        password_command: Program = [], program().example("[\"/usr/local/bin/database-token\", \"shop\"]");
    }
}

/// A connection pooler in front of PostgreSQL, PgBouncer for example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooler {
    /// None, or one that keeps a server connection for as long as a client's.
    #[default]
    None,
    /// One that gives a server connection for a transaction: settings, prepared statements and
    /// LISTEN do not outlive it.
    Transaction,
}
