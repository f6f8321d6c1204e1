//! The two ways to write a connection: a URL, and pairs of `key=value`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Parameters by name, decoded, in the order they were written.
pub type Pairs = Vec<(String, String)>;

/// `USER:PASSWORD@HOST:PORT,…/DATABASE?KEY=VALUE&…`
pub fn from_url(rest: &str) -> Result<Pairs, String> {
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
pub fn from_text(text: &str) -> Result<Pairs, String> {
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

fn decoded(text: &str) -> Result<String, String> {
    let bad = || "a % in a URL is followed by two hexadecimal digits; a % itself is %25".to_owned();
    // The crate leaves a % alone that nothing fitting follows.
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let fits = |rest: &str| is_digit(rest.as_bytes().first()) && is_digit(rest.as_bytes().get(1));
    if !text.split('%').skip(1).all(fits) {
        return Err(bad());
    }
    percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| bad())
}
