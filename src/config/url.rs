//! Reads a connection URL, or libpq's `key=value` text, and fills in what it leaves out.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokio_postgres::config::ChannelBinding;

use super::libpq::Libpq;
use super::mistake::did_you_mean;
use super::postgres::{Postgres, RootCert, SslMode};

const KNOWN: [&str; 12] = [
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
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

type Pairs = Vec<(String, String)>;

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
        "sslcert" | "sslkey" => {
            return Err("client certificates are not supported; use a password".to_owned());
        }
        ignored if IGNORED.contains(&ignored) => {}
        unknown => {
            let fix = did_you_mean(unknown, &KNOWN);
            return Err(format!("unknown connection parameter `{unknown}`: {fix}"));
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

/// `USER:PASSWORD@HOST:PORT,…/DATABASE?KEY=VALUE&…`
fn from_url(rest: &str) -> Result<Pairs, String> {
    let (main, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = main.split_once('/').unwrap_or((main, ""));
    if dbname.contains('@') || query.contains('@') {
        return Err("write / ? and @ in a password as %2F, %3F and %40".to_owned());
    }
    let mut pairs = Pairs::new();
    let mut add = |key: &str, text: &str| -> Result<(), String> {
        if !text.is_empty() {
            pairs.push((key.to_owned(), decoded(text)?));
        }
        Ok(())
    };
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    add("user", user)?;
    add("password", password)?;
    add("dbname", dbname)?;
    if !hosts.is_empty() {
        let (names, ports): (Vec<&str>, Vec<&str>) = hosts.split(',').map(host_and_port).unzip();
        add("host", &names.join(","))?;
        if ports.iter().any(|port| !port.is_empty()) {
            let ports: Vec<&str> =
                ports.iter().map(|port| if port.is_empty() { "5432" } else { port }).collect();
            add("port", &ports.join(","))?;
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or("write each parameter after ? as KEY=VALUE")?;
        add(&decoded(key)?, value)?;
    }
    Ok(pairs)
}

fn host_and_port(text: &str) -> (&str, &str) {
    match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':').unwrap_or(port)),
        None => text.rsplit_once(':').unwrap_or((text, "")),
    }
}

/// libpq's `key=value key='va lue'`, with backslash escapes.
fn from_text(text: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, tail) = rest.split_once('=').ok_or("write KEY=VALUE pairs, or a URL")?;
        let tail = tail.trim_start();
        let quoted = tail.starts_with('\'');
        let mut value = String::new();
        let mut end = None;
        let mut letters = tail.char_indices().skip(usize::from(quoted));
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
                '\'' if quoted => end = Some(at + 1),
                space if !quoted && space.is_whitespace() => end = Some(at),
                other => value.push(other),
            }
            if end.is_some() {
                break;
            }
        }
        if quoted && end.is_none() {
            return Err("a quote is not closed".to_owned());
        }
        pairs.push((key.trim().to_owned(), value));
        rest = tail.get(end.unwrap_or(tail.len())..).unwrap_or_default().trim_start();
    }
    Ok(pairs)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn decoded(text: &str) -> Result<String, String> {
    let bad = || "a % in a URL is followed by two hexadecimal digits; a % itself is %25".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| bad())
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
