//! What a PostgreSQL server and the role on it mean for the promise.

use super::Check;
use crate::advice::run;
use crate::sql::quoted;

/// What a server says of itself, of the role and of this connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it; units are in them")]
pub struct ServerFacts {
    pub version_num: i32,
    pub version: String,
    pub role: String,
    pub database: String,
    pub tls: Option<String>,
    pub is_local: bool,
    pub takes_no_writes: bool,
    pub timezone: String,
    pub max_connections: i64,
    pub reserved_connections: i64,
    pub used_connections: i64,
    pub role_limit: i64,
    pub database_limit: i64,
    pub is_superuser: bool,
    pub may_create_roles: bool,
    pub bypasses_row_security: bool,
}

/// What holds back the removal of dead rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it; units are in them")]
pub struct Transactions {
    /// The longest one that this role may see.
    pub oldest: Option<Oldest>,
    pub prepared: i64,
    pub oldest_prepared_seconds: Option<i64>,
}

/// A transaction that has been open for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it; units are in them")]
pub struct Oldest {
    pub pid: i32,
    pub who: String,
    pub seconds: i64,
}

/// The oldest PostgreSQL that has what makegood uses.
const OLDEST_VERSION: i32 = 130_000;
/// A transaction this old is more than a slow report, in seconds.
const LONG: i64 = 300;

/// Judges the server.
pub fn checks(server: &ServerFacts, connections_needed: i64) -> Vec<Check> {
    vec![
        version(server),
        tls(server),
        writes(server),
        too_strong(server),
        headroom(server, connections_needed),
    ]
}

fn version(server: &ServerFacts) -> Check {
    let says = format!(
        "PostgreSQL {}, database {}, role {}",
        server.version, server.database, server.role
    );
    if server.version_num < OLDEST_VERSION {
        return Check::fail("postgres.version", says, "makegood needs PostgreSQL 13 or later");
    }
    Check::pass("postgres.version", says)
}

fn tls(server: &ServerFacts) -> Check {
    match &server.tls {
        Some(tls) => Check::pass("postgres.tls", format!("the connection is encrypted ({tls})")),
        None if server.is_local => {
            Check::pass("postgres.tls", "no TLS; the server is on this machine")
        }
        None => Check::warn(
            "postgres.tls",
            "passwords and payments cross the network without TLS",
            "turn ssl on in postgresql.conf, and add sslmode=verify-full to postgres.url",
        ),
    }
}

fn writes(server: &ServerFacts) -> Check {
    if server.takes_no_writes {
        return Check::fail(
            "postgres.writes",
            "the server, or the role, takes no writes",
            "point postgres.url at the primary; look at default_transaction_read_only",
        );
    }
    Check::pass("postgres.writes", "the server takes writes")
}

fn too_strong(server: &ServerFacts) -> Check {
    let rights: Vec<&str> = [
        (server.is_superuser, "is a superuser"),
        (server.may_create_roles, "may create roles"),
        (server.bypasses_row_security, "bypasses row security"),
    ]
    .into_iter()
    .filter_map(|(has, right)| has.then_some(right))
    .collect();
    if rights.is_empty() {
        return Check::pass(
            "postgres.role",
            format!("role {} has no more than it needs", server.role),
        );
    }
    Check::warn(
        "postgres.role",
        format!("role {} {}", server.role, rights.join(", ")),
        "run makegood as makegood_app: deploy/roles.sql makes it, with what it needs and no more",
    )
}

fn headroom(server: &ServerFacts, needed: i64) -> Check {
    let name = "postgres.connections";
    let free = server.max_connections - server.reserved_connections - server.used_connections;
    let limits = [server.role_limit, server.database_limit];
    let limit = limits.into_iter().filter(|limit| *limit >= 0).min();
    let says = format!(
        "a daemon opens up to {needed} connections; {free} of {} are free",
        server.max_connections
    );
    match limit {
        Some(limit) if limit < needed => Check::fail(
            name,
            format!("{says}, and the role or database is limited to {limit}"),
            format!(
                "{} (or ALTER DATABASE), or fewer lanes",
                run(format_args!("ALTER ROLE {} CONNECTION LIMIT {needed};", quoted(&server.role)))
            ),
        ),
        _ if free < needed => Check::warn(
            name,
            says,
            "raise max_connections, put PgBouncer in front of the others, or use fewer lanes",
        ),
        _ => Check::pass(name, says),
    }
}

/// Judges transactions that were left open.
pub fn transactions(found: &Transactions) -> Check {
    let name = "postgres.transactions";
    let old_prepared = found.oldest_prepared_seconds.is_some_and(|age| age > LONG);
    if old_prepared {
        return Check::warn(
            name,
            format!("{} prepared transactions wait for their second half", found.prepared),
            "`SELECT gid, prepared, owner FROM pg_prepared_xacts;` then COMMIT PREPARED or ROLLBACK PREPARED",
        );
    }
    match &found.oldest {
        Some(Oldest { pid, who, seconds }) if *seconds > LONG => Check::warn(
            name,
            format!(
                "a transaction of {who} (pid {pid}) has been open for {} minutes",
                seconds / 60
            ),
            format!(
                "dead rows pile up meanwhile; end it, if need be by `SELECT pg_terminate_backend({pid});`"
            ),
        ),
        _ => Check::pass(name, "no transaction has been open for long, of those this role may see"),
    }
}

/// Judges a clock by how far it is ahead of this machine's, in seconds, give or take `error`.
pub fn clock(name: &'static str, whose: &str, ahead: f64, error: f64) -> Check {
    let direction = if ahead < 0.0 { "behind" } else { "ahead of" };
    if ahead.abs() - error > 5.0 {
        return Check::warn(
            name,
            format!("{whose} clock is {:.0} s {direction} this machine's", ahead.abs()),
            "let both follow the same time (chrony, systemd-timesyncd)",
        );
    }
    Check::pass(name, format!("{whose} clock agrees with this machine's within 5 s"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::Level;

    fn good() -> ServerFacts {
        ServerFacts {
            version_num: 150_000,
            tls: Some("TLSv1.3".to_owned()),
            max_connections: 100,
            reserved_connections: 3,
            used_connections: 5,
            role_limit: -1,
            database_limit: -1,
            ..ServerFacts::default()
        }
    }

    fn found(server: &ServerFacts) -> Vec<(&'static str, Level)> {
        let bad = |check: &Check| check.level != Level::Pass;
        checks(server, 10).into_iter().filter(bad).map(|c| (c.name, c.level)).collect()
    }

    #[test]
    fn each_fault_of_a_server_is_found() {
        assert_eq!(found(&good()), []);
        assert_eq!(found(&ServerFacts { is_local: true, tls: None, ..good() }), []);
        for (server, name, level) in [
            (ServerFacts { version_num: 120_000, ..good() }, "postgres.version", Level::Fail),
            (ServerFacts { tls: None, ..good() }, "postgres.tls", Level::Warn),
            (ServerFacts { takes_no_writes: true, ..good() }, "postgres.writes", Level::Fail),
            (ServerFacts { is_superuser: true, ..good() }, "postgres.role", Level::Warn),
            (ServerFacts { bypasses_row_security: true, ..good() }, "postgres.role", Level::Warn),
            (ServerFacts { used_connections: 90, ..good() }, "postgres.connections", Level::Warn),
            (ServerFacts { role_limit: 9, ..good() }, "postgres.connections", Level::Fail),
        ] {
            assert_eq!(found(&server), [(name, level)]);
        }
    }

    #[test]
    fn clocks_and_transactions_have_their_limits() {
        assert_eq!(clock("c", "its", -9.0, 0.1).says, "its clock is 9 s behind this machine's");
        assert_eq!(clock("c", "its", 5.5, 1.0).level, Level::Pass);
        let oldest = Some(Oldest { pid: 7, who: "x".to_owned(), seconds: 600 });
        let long = Transactions { oldest, ..Transactions::default() };
        assert!(transactions(&long).says.contains("10 minutes"));
        let prepared =
            Transactions { prepared: 1, oldest_prepared_seconds: Some(301), oldest: None };
        assert_eq!(transactions(&prepared).level, Level::Warn);
        assert_eq!(transactions(&Transactions::default()).level, Level::Pass);
    }
}
