//! Reads a connection URL, or libpq's `key=value` text, and fills in what it leaves out.

mod syntax;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokio_postgres::config::ChannelBinding;

use syntax::{Pairs, from_text, from_url};

use super::libpq::Libpq;
use super::mistake::did_you_mean;
use super::postgres::{Postgres, RootCert, SslMode};

const KNOWN: [&str; 15] = [
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "application_name",
    "connect_timeout",
    "options",
    "channel_binding",
    "target_session_attrs",
];
/// Parameters of libpq that makegood sets itself, or that change nothing here.
const IGNORED: [&str; 7] = [
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "gssencmode",
    "fallback_application_name",
];

/// Merges a URL (empty: none) with libpq's fallbacks. The error says what would be right, and
/// never repeats a part of the text that may be a password.
pub fn merge(url: &str, libpq: &Libpq) -> Result<Postgres, String> {
    let mut pairs: Pairs = if url.is_empty() {
        Vec::new()
    } else if let Some(rest) =
        ["postgres://", "postgresql://"].iter().find_map(|s| url.strip_prefix(s))
    {
        from_url(rest)?
    } else if url.contains('=') && !url.contains("://") {
        from_text(url)?
    } else {
        return Err("write postgres://USER@HOST:PORT/DATABASE".to_owned());
    };
    for (key, value, _) in &libpq.fallbacks {
        if !pairs.iter().any(|(have, _)| have == key) {
            pairs.push(((*key).to_owned(), value.clone()));
        }
    }
    let mut merged = Postgres { url: url.to_owned().into(), ..Postgres::default() };
    let named = |wanted: &str| pairs.iter().rev().find(|(key, _)| key == wanted);
    merged.user = match (named("user"), &libpq.os_user) {
        (None, Some(user)) => user.clone(),
        _ => merged.user,
    };
    for (key, value) in &pairs {
        apply(&mut merged, key, value)?;
    }
    if named("dbname").is_none() {
        merged.dbname.clone_from(&merged.user);
    }
    finish(merged, libpq)
}

fn finish(mut merged: Postgres, libpq: &Libpq) -> Result<Postgres, String> {
    if merged.ports.len() > 1 && merged.ports.len() != merged.hosts.len() {
        return Err("give one port for all hosts, or one for each".to_owned());
    }
    if merged.sslcert.is_some() != merged.sslkey.is_some() {
        return Err("give sslcert and sslkey together".to_owned());
    }
    if merged.sslrootcert == Some(RootCert::System) {
        match merged.sslmode {
            None => merged.sslmode = Some(SslMode::VerifyFull),
            Some(SslMode::VerifyFull) => {}
            Some(_) => return Err("sslrootcert=system needs sslmode=verify-full".to_owned()),
        }
    }
    if merged.password.is_none() {
        // libpq looks a default socket up as localhost.
        let host = merged.hosts.first().map_or("localhost", String::as_str);
        let port = merged.ports.first().copied().unwrap_or(5432);
        let found = libpq.password(host, port, &merged.dbname, &merged.user);
        merged.password = found.map(SecretString::from);
    }
    Ok(merged)
}

fn apply(to: &mut Postgres, key: &str, value: &str) -> Result<(), String> {
    match key {
        "host" => to.hosts = list(value),
        "port" => {
            let ports: Option<Vec<u16>> =
                list(value).iter().map(|port| port.parse().ok()).collect();
            to.ports = ports.ok_or_else(|| "the port is a number from 1 to 65535".to_owned())?;
        }
        "user" => to.user = value.to_owned(),
        "password" => to.password = Some(SecretString::from(value)),
        "dbname" => to.dbname = value.to_owned(),
        "sslmode" => to.sslmode = Some(sslmode(value)?),
        "sslrootcert" if value == "system" => to.sslrootcert = Some(RootCert::System),
        "sslrootcert" => to.sslrootcert = Some(RootCert::File(PathBuf::from(value))),
        "application_name" => to.application_name = Some(value.to_owned()),
        "connect_timeout" => {
            let seconds: u64 = value.parse().map_err(|_| "connect_timeout is whole seconds")?;
            // 0 means for ever to libpq; a daemon that never gives up a dead address hangs.
            to.connect_timeout = Duration::from_secs(seconds.clamp(1, 60));
        }
        "options" => to.options = Some(value.to_owned()),
        "channel_binding" => {
            to.channel_binding = match value {
                "disable" => ChannelBinding::Disable,
                "prefer" => ChannelBinding::Prefer,
                "require" => ChannelBinding::Require,
                _ => return Err("channel_binding is disable, prefer or require".to_owned()),
            }
        }
        "target_session_attrs" if ["read-write", "primary", "any"].contains(&value) => {}
        "target_session_attrs" => {
            return Err("makegood writes: target_session_attrs must be read-write".to_owned());
        }
        "sslcert" => to.sslcert = Some(PathBuf::from(value)),
        "sslkey" => to.sslkey = Some(PathBuf::from(value)),
        "sslpassword" => to.sslpassword = Some(SecretString::from(value)),
        ignored if IGNORED.contains(&ignored) => {}
        unknown => {
            let fix = did_you_mean(unknown, &KNOWN);
            // It may be a part of a password.
            return Err(format!("a connection parameter is unknown: {fix}"));
        }
    }
    Ok(())
}

fn sslmode(text: &str) -> Result<SslMode, String> {
    const MODES: [(&str, SslMode); 6] = [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Prefer),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
    let found = MODES.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, mode)| *mode)
        .ok_or_else(|| "sslmode is disable, prefer, require, verify-ca or verify-full".to_owned())
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(text: &str) -> Result<Postgres, String> {
        merge(text, &Libpq::default())
    }

    #[test]
    fn every_part_of_a_url_is_read() {
        let url = "postgresql://us%40er:p%3Aw@h1:1,[::1]:2/d?sslmode=verify-ca&options=-c%20x%3Dy";
        let read = read(url).unwrap();
        assert_eq!(read.hosts, ["h1", "::1"]);
        assert_eq!(
            (read.ports, read.user.as_str(), read.dbname.as_str()),
            (vec![1, 2], "us@er", "d")
        );
        assert_eq!(read.password.unwrap().expose_secret(), "p:w");
        assert_eq!(
            (read.sslmode, read.options.as_deref()),
            (Some(SslMode::VerifyCa), Some("-c x=y"))
        );
    }

    #[test]
    fn a_socket_a_default_and_a_key_value_text_are_read() {
        assert_eq!(read("postgres:///shop?host=/tmp&port=6").unwrap().hosts, ["/tmp"]);
        assert_eq!(read("postgres://%2Frun%2Fpg/shop").unwrap().hosts, ["/run/pg"]);
        assert!(read("postgres:///shop").unwrap().hosts.is_empty());
        let read = read("host=h dbname = 'my db' user=u password='it\\'s'").unwrap();
        assert_eq!((read.dbname.as_str(), read.user.as_str()), ("my db", "u"));
        assert_eq!(read.password.unwrap().expose_secret(), "it's");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_without_repeating_secrets() {
        for text in [
            "mysql://u:canary@h/db",
            "canary",
            "postgres://u:can/canary@h/db",
            "postgres://u:a?canary=1@h/db",
            "postgres://u:%zz@h/db",
            "postgres://h:port/db",
            "postgres://h/db?sslmode=canary",
            "postgres://h/db?sslmdoe=require",
            "postgres://h/db?sslcert=x",
            "postgres://h/db?target_session_attrs=standby",
            "postgres://h/db?sslrootcert=system&sslmode=require",
            "host=h password='canary",
        ] {
            let error = read(text).expect_err(text);
            assert!(!error.contains("canary"), "{text}: {error}");
        }
        let near = read("postgres://h/db?sslmdoe=require").unwrap_err();
        assert!(near.contains("did you mean `sslmode`?"), "{near}");
    }
}
