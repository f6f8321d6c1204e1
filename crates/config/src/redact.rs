//! What may be shown. Whatever is not known to be harmless is masked.

/// The mask.
pub const MASK: &str = "***";

/// librdkafka properties whose values are no secrets; every other one is masked.
const HARMLESS: &[&str] = &[
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.type",
    "debug",
    "enable.ssl.certificate.verification",
    "linger.ms",
    "message.max.bytes",
    "broker.address.family",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
];
const HARMLESS_ENDINGS: &[&str] = &[".ms", ".bytes", ".kbytes", ".messages", ".max", ".size"];

/// The value of a librdkafka property, fit to be shown.
pub fn property(name: &str, value: &str) -> String {
    let is_harmless =
        HARMLESS.contains(&name) || HARMLESS_ENDINGS.iter().any(|ending| name.ends_with(ending));
    if is_harmless { value.to_owned() } else { MASK.to_owned() }
}

/// A URL up to its host: what follows is what a chat takes for a password.
pub(super) fn origin(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/{MASK}")
        }
        None if url.is_empty() => String::new(),
        None => MASK.to_owned(),
    }
}

/// A program without its arguments, which may be passwords.
pub(super) fn program(words: &[String]) -> String {
    match words {
        [program, _, ..] => format!("{program} {MASK}"),
        words => words.concat(),
    }
}

/// Parameters of a connection whose values are no secrets; every other one is masked.
const PLAIN: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "options",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

/// A connection URL with its password masked; a `key=value` text is masked as a whole, unless all it names is plain.
pub fn url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        let is_plain = url.split_whitespace().all(is_plain);
        return if is_plain { url.to_owned() } else { MASK.to_owned() };
    };
    if !scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return MASK.to_owned();
    }
    // The same cut as when connecting: the last @ before the path ends the credentials. An @ after
    // that may belong to a password with a raw slash, so everything before it is masked too.
    let (main, query) = rest.split_once('?').unwrap_or((rest, ""));
    let main = match main.rsplit_once('@') {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => main.to_owned(),
        },
        None if has_ports(main) => main.to_owned(),
        None => MASK.to_owned(),
    };
    if query.is_empty() {
        return format!("{scheme}://{main}");
    }
    if query.contains('@') {
        // A raw ? inside the password: nothing behind the scheme can be trusted.
        return format!("{scheme}://{MASK}");
    }
    let query: Vec<String> = query.split('&').map(parameter).collect();
    format!("{scheme}://{main}?{}", query.join("&"))
}

/// Whether what follows each host is a port, and no password whose host was forgotten.
fn has_ports(main: &str) -> bool {
    let hosts = main.split('/').next().unwrap_or_default();
    hosts.split(',').all(|host| {
        let name = host.rsplit_once(']').map_or(host, |(_, port)| port);
        let port = name.split_once(':').map_or("", |(_, port)| port);
        port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn parameter(pair: &str) -> String {
    match pair.split_once('=') {
        _ if is_plain(pair) => pair.to_owned(),
        Some((name, _)) if ["password", "sslpassword"].contains(&name) => format!("{name}={MASK}"),
        _ => MASK.to_owned(),
    }
}

/// Whether it names a parameter that is no secret, and only that.
fn is_plain(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, value)| {
        PLAIN.contains(&name.to_ascii_lowercase().as_str()) && !value.contains(['=', ';', '\''])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_url_shows_its_password() {
        for text in [
            "postgres://u:canary@h/db",
            "postgres://u:can@canary@h:5432/db?sslmode=require",
            "postgres://u:can/canary@h/db",
            "postgres://u:ab?canary@h/db",
            "postgresql://h/db?user=u&password=canary",
            "postgresql://h/db?sslpassword=canary",
            "host=h password=canary",
            "host=h PASSWORD = 'canary'",
            "canary",
        ] {
            let shown = url(text);
            assert!(!shown.contains("canary"), "{text} was shown as {shown}");
        }
        assert_eq!(url("postgres://u:x@h:5432/db"), "postgres://u:***@h:5432/db");
        assert_eq!(url("postgres://u@h/db"), "postgres://u@h/db");
        assert_eq!(url("host=/tmp user=u"), "host=/tmp user=u");
    }

    #[test]
    fn neither_the_path_of_a_webhook_nor_an_argument_is_shown() {
        assert_eq!(origin(""), "");
        for text in
            ["https://h/canary", "https://h?canary", "https://u:canary@h/x", "https://h#canary"]
        {
            assert_eq!(origin(text), "https://h/***");
        }
        assert_eq!(origin("canary"), MASK);
        assert_eq!(program(&["/bin/page", "canary", "more"].map(str::to_owned)), "/bin/page ***");
    }

    #[test]
    fn a_kafka_property_is_shown_only_if_it_is_known_to_be_harmless() {
        let shown = |name: &str| property(name, "canary");
        for name in ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.config", "new.secret"] {
            assert_eq!(shown(name), MASK);
        }
        assert_eq!(shown("security.protocol"), "canary");
    }
}
