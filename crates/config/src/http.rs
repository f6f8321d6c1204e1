//! `[http]`: who is answered.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use super::layers::Raw;
use super::reader::{Reader, some_text, text};
use super::{Config, Http};

/// Fewer characters could be tried one after the other.
const SHORTEST: usize = 16;

/// Takes the section.
pub fn http(from: &mut Reader, default: Http) -> Http {
    let token_shown =
        |token: &Option<SecretString>| token.as_ref().map_or("", |t| t.expose_secret()).to_owned();
    let mut http = Http {
        listen: from.take("http.listen", default.listen, address, address_shown),
        ..Http::clone(&default)
    };
    // A payment's terms are for whoever sits at the machine, unless somebody says more.
    http.explain = from.truth("http.explain", !http.is_reachable());
    http.token = from.take("http.token", None, token, token_shown);
    http.open = from.truth("http.open", default.open);
    http.hosts = from.take("http.hosts", default.hosts, hosts, |names| names.join(","));
    http
}

/// Notes where others would be answered without anybody having said so.
pub fn check(config: &Config, from: &mut Reader) {
    if config.http.is_reachable() && config.http.token.is_none() && !config.http.open {
        let origin = from.origin("http.listen");
        let what = "`http.listen` lets other machines ask, and nothing keeps them from it";
        let fix = "set http.token (MAKEGOOD_HTTP_TOKEN_FILE names a file with it), or say open = true in [http] where a \
                   firewall or a proxy with a login does that";
        from.layers.mistake(origin, what, fix);
    }
}

fn address(raw: &Raw) -> Result<Option<SocketAddr>, String> {
    let text = text(raw)?;
    let wanted = "write ADDRESS:PORT, such as 127.0.0.1:8745, or \"\" for none";
    (!text.is_empty()).then(|| text.parse().map_err(|_| wanted.to_owned())).transpose()
}

fn address_shown(address: &Option<SocketAddr>) -> String {
    address.map(|address| address.to_string()).unwrap_or_default()
}

fn token(raw: &Raw) -> Result<Option<SecretString>, String> {
    let text = text(raw)?;
    let fits = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
    match text.is_empty() {
        true => Ok(None),
        false if fits => Ok(Some(text.into())),
        false => Err(format!(
            "write at least {SHORTEST} letters, digits and signs, such as `openssl rand -hex 32` prints"
        )),
    }
}

fn hosts(raw: &Raw) -> Result<Vec<String>, String> {
    let names = match raw {
        Raw::List(list) => list.clone(),
        raw => some_text(raw)?.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    let fits = |name: &String| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    match names.iter().all(fits) {
        true => Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect()),
        false => Err("write names without ports, such as [\"makegood.example.com\"]".to_owned()),
    }
}
