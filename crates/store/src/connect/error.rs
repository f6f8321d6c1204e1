//! What a failed connection or statement means to a person.

use std::error::Error as _;
use std::io;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use rules::problem::{Code, Problem};

/// What is said of a server that answers the login and then nothing.
pub(super) const MUTE: &str = "it took the login, and does not answer since";

/// The driver's error as a problem. `where_` names the database as `host:port/name`. PostgreSQL's
/// DETAIL is left out: it may quote whole rows.
pub fn problem(e: &Error, where_: &str) -> Problem {
    if let Some(answer) = e.as_db_error() {
        return answered(answer, where_);
    }
    // The driver tells its kinds apart only in their text.
    let kind = e.to_string();
    let source = e.source().map(ToString::to_string).unwrap_or_default();
    if kind.contains("TLS") {
        return untrusted(&source, where_);
    }
    if source.contains("password missing") {
        let cause = format!("PostgreSQL at {where_} wants a password and none is configured");
        return Problem::new(Code::PostgresUnreachable, cause)
            .advice("set PGPASSWORD or PGPASSWORD_FILE, add it to the URL or to ~/.pgpass, or set password_command");
    }
    if let Some(io) = e.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return unreachable(io, where_);
    }
    let lost = e.is_closed() || kind.contains("timeout") || kind.contains("communicating");
    let code = if lost || kind.contains("authentication") || kind.contains("connecting") {
        Code::PostgresUnreachable
    } else {
        Code::Postgres
    };
    let more = if source.is_empty() { source } else { format!(": {source}") };
    Problem::new(code, format!("PostgreSQL at {where_}: {kind}{more}"))
}

/// Whether another password or certificate may be what is wanted.
pub(super) fn is_of_login(e: &Error) -> bool {
    let (mut said, mut source) = (e.to_string(), e.source());
    while let Some(reason) = source {
        said += &reason.to_string();
        source = reason.source();
    }
    match e.code() {
        Some(state) => state.code().starts_with("28"),
        None => ["TLS", "alert", "ertificate", "password"].iter().any(|part| said.contains(part)),
    }
}

/// A pool's error as a problem; see [`problem`].
pub fn pool_problem(e: &PoolError, where_: &str) -> Problem {
    use deadpool_postgres::TimeoutType::Wait;
    match e {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            problem(error, where_)
        }
        PoolError::Timeout(Wait) => {
            let cause = format!("no connection to {where_} became free in time");
            Problem::new(Code::Postgres, cause)
                .advice("look for long transactions in pg_stat_activity")
        }
        PoolError::Timeout(_) => {
            let cause = format!("PostgreSQL at {where_} does not answer in time");
            Problem::new(Code::PostgresUnreachable, cause)
                .advice("check that the address is PostgreSQL's, and that no firewall drops packets")
        }
        PoolError::PostCreateHook(HookError::Message(why)) => {
            Problem::new(Code::PostgresUnreachable, format!("PostgreSQL at {where_}: {why}")).advice(
                "see whether the server is overloaded or frozen; a pooler before it takes logins all the same",
            )
        }
        other => Problem::new(Code::Postgres, format!("PostgreSQL at {where_}: {other}")),
    }
}

fn answered(answer: &DbError, where_: &str) -> Problem {
    let state = answer.code();
    let message = answer.message();
    let unreachable = |hint: &str| {
        let cause = format!("PostgreSQL at {where_} refuses the connection: {message}");
        Problem::new(Code::PostgresUnreachable, cause).advice(hint)
    };
    if *state == SqlState::INVALID_PASSWORD {
        return unreachable("check the role and its password (URL, PGPASSWORD or ~/.pgpass)");
    }
    if *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        return unreachable(
            "check the role, and pg_hba.conf; if it says \"no encryption\", add sslmode=require",
        );
    }
    if *state == SqlState::INVALID_CATALOG_NAME {
        return unreachable("create the database, or correct its name in the URL or PGDATABASE");
    }
    if *state == SqlState::TOO_MANY_CONNECTIONS {
        return unreachable("raise max_connections, or let other programs hold fewer connections");
    }
    if *state == SqlState::CANNOT_CONNECT_NOW {
        return unreachable("wait: it is starting up or shutting down");
    }
    // Class 08 is the connection itself, 57P0x a server that is shutting down or being restarted.
    let gone = state.code().starts_with("08") || state.code().starts_with("57P0");
    let code = if gone { Code::PostgresUnreachable } else { Code::Postgres };
    let cause = format!("PostgreSQL at {where_}: {message} (SQLSTATE {})", state.code());
    Problem::new(code, cause).advice(answer.hint().unwrap_or_default())
}

fn untrusted(why: &str, where_: &str) -> Problem {
    let cause = format!("no TLS connection to PostgreSQL at {where_}: {why}");
    let hint = if why.contains("does not support TLS") {
        "turn ssl on in the server's postgresql.conf; or, where the network between is trusted, say sslmode=disable (without an \
         sslmode, towards another machine, it is verify-full)"
    } else if why.contains("NotValidForName") || why.contains("not valid for name") {
        "connect by a name that is in the certificate, or use sslmode=verify-ca"
    } else if why.contains("UnknownIssuer") || why.contains("CaUsedAsEndEntity") {
        "name the authority that signed the server's certificate: sslrootcert=FILE (without an sslmode, towards another machine, \
         it is verify-full)"
    } else if why.contains("xpired") {
        "renew the server's certificate"
    } else {
        "compare sslmode and sslrootcert with the server's certificate"
    };
    Problem::new(Code::PostgresUnreachable, cause).advice(hint)
}

fn unreachable(e: &io::Error, where_: &str) -> Problem {
    let hint = match e.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: start PostgreSQL, or correct the host and port"
        }
        io::ErrorKind::NotFound => "no socket there: start PostgreSQL, or name its host and port",
        io::ErrorKind::TimedOut => "check the host, the network and the firewall",
        io::ErrorKind::PermissionDenied if e.to_string().contains("allow writes") => {
            "this is a standby: name the primary too, as host1,host2"
        }
        io::ErrorKind::PermissionDenied => "this user may not open the socket's folder",
        _ if e.to_string().contains("lookup") => "check the host's name and the DNS",
        _ => "check that PostgreSQL runs there, and the network between",
    };
    let cause = format!("PostgreSQL at {where_} cannot be reached: {e}");
    Problem::new(Code::PostgresUnreachable, cause).advice(hint)
}
