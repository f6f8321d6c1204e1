//! Kinds of values that one or two keys have.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;

use hyper::Uri;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;

use super::{ValueKind, list, text, written};
use crate::layers::Raw;
use crate::redact;
use crate::sections::Start;

/// Fewer characters could be tried one after the other.
const SHORTEST: usize = 16;

/// Where to listen; an empty text is nowhere.
pub fn address() -> ValueKind<Option<SocketAddr>> {
    let wanted = "write ADDRESS:PORT, such as 127.0.0.1:8745, or \"\" for none";
    let read = move |raw: &Raw| match written(raw)? {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| wanted.to_owned()),
    };
    let show = |address: &Option<SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    ValueKind::new("an address with its port, or \"\" for none", read, show)
}

/// A secret that callers send; an empty text is none.
pub fn token() -> ValueKind<Option<SecretString>> {
    let read = |raw: &Raw| match written(raw)? {
        "" => Ok(None),
        text if text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(text.into()))
        }
        _ => Err(format!(
            "write at least {SHORTEST} letters, digits and signs, such as `openssl rand -hex 32` prints"
        )),
    };
    let show =
        |token: &Option<SecretString>| token.as_ref().map_or("", |_| redact::MASK).to_owned();
    ValueKind::new(format!("a secret of at least {SHORTEST} characters"), read, show).secret()
}

/// Names of hosts, without ports.
pub fn hosts() -> ValueKind<Vec<String>> {
    let fits = |name: &String| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !name.is_empty() && name.chars().all(allowed)
    };
    let any = list::<String>("[\"makegood.example.com\"]");
    let read = move |raw: &Raw| match (any.read)(raw)? {
        names if names.iter().all(fits) => {
            Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect())
        }
        _ => Err("write names without ports, such as [\"makegood.example.com\"]".to_owned()),
    };
    ValueKind { read: Box::new(read), ..list("") }
}

/// A connection URL or libpq's `key=value` text; its parts are read where libpq's variables are known.
pub fn url() -> ValueKind<SecretString> {
    let read = |raw: &Raw| written(raw).map(SecretString::from);
    ValueKind::new("a connection URL", read, |url| redact::url(url.expose_secret())).secret()
}

/// A URL that is posted to, which may be a secret; an empty text is none.
pub fn webhook() -> ValueKind<Option<SecretString>> {
    let read = |raw: &Raw| {
        let text = written(raw)?;
        if text.is_empty() {
            return Ok(None);
        }
        let wanted = || "write a URL such as https://chat.example/hooks/…".to_owned();
        let url: Uri = text.parse().map_err(|_| wanted())?;
        let is_http = matches!(url.scheme_str(), Some("https" | "http"));
        let authority = url.authority().filter(|_| is_http).ok_or_else(wanted)?;
        match authority.as_str().contains('@') {
            true => {
                Err("a user before the host is not sent; put the token into the path".to_owned())
            }
            false => Ok(Some(text.into())),
        }
    };
    let show = |url: &Option<SecretString>| {
        url.as_ref().map_or_else(String::new, |u| redact::origin(u.expose_secret()))
    };
    ValueKind::new("a URL", read, show).secret()
}

/// A program with its arguments, which are not shown: they may be passwords. An empty list is none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Program(Vec<String>);

impl Deref for Program {
    type Target = Vec<String>;

    fn deref(&self) -> &Vec<String> {
        &self.0
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&redact::program(&self.0)).finish()
    }
}

/// One as it is configured.
pub fn program() -> ValueKind<Program> {
    let read = |raw: &Raw| {
        let words = match raw {
            Raw::List(words) => words.clone(),
            Raw::Text(program) if program.is_empty() => Vec::new(),
            Raw::Text(program) => vec![program.clone()],
            _ => {
                return Err("write a list such as [\"/usr/local/bin/page\", \"oncall\"]".to_owned());
            }
        };
        match words.first() {
            Some(program) if program.trim().is_empty() => {
                Err("the program's name is empty".to_owned())
            }
            _ => Ok(Program(words)),
        }
    };
    ValueKind::new("a program and its arguments", read, |words| redact::program(words))
}

/// A region of Amazon's; an empty text is none.
pub fn region() -> ValueKind<Option<String>> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let read = move |raw: &Raw| match written(raw)? {
        "" => Ok(None),
        name if name.bytes().all(allowed) => Ok(Some(name.to_owned())),
        _ => Err("write the name of a region, such as eu-west-1".to_owned()),
    };
    ValueKind::new("a region's name", read, |name| name.clone().unwrap_or_default())
}

/// A whole share in percent.
pub fn share() -> ValueKind<u8> {
    let read = |raw: &Raw| {
        let number = written(raw).ok().and_then(|text| text.strip_suffix('%')?.trim().parse().ok());
        number.filter(|n| *n <= 100).ok_or_else(|| "write a share such as \"50%\"".to_owned())
    };
    ValueKind::new("0% to 100%", read, |share| format!("{share}%"))
}

/// Where a partition starts.
pub fn start() -> ValueKind<Start> {
    let read = |raw: &Raw| match written(raw)? {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        time => time.parse().map(Start::At).map_err(|_| {
            "write \"earliest\", or a time with its zone such as 2026-01-07T00:00:00Z".to_owned()
        }),
    };
    let show = |start: &Start| match start {
        Start::Earliest => "earliest".to_owned(),
        Start::Latest => "latest".to_owned(),
        Start::At(time) => time.to_string(),
    };
    ValueKind::new("earliest, latest or a time with its zone", read, show)
}

/// A level of the log, or a filter.
pub fn level() -> ValueKind<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let read = |raw: &Raw| {
        let written = (text().read)(raw)?;
        // A bare word is also a valid filter on a target of that name; a misspelt level must not be.
        let plain =
            |part: &str| part.contains(['=', '[', ']', '}', '{']) || LEVELS.contains(&part.trim());
        match EnvFilter::try_new(&written).is_ok() && written.split(',').all(plain) {
            true => Ok(written),
            false => Err(format!(
                "write one of {}, or a filter such as info,makegood=debug",
                LEVELS.join(", ")
            )),
        }
    };
    ValueKind::new("a level or a filter", read, String::clone)
}
