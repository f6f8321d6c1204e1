//! What the Kafka client's words about a login mean. Its codes do not tell: a refused password, a listener of another
//! kind and a broker that is away end alike, as a lost connection. The words are those of librdkafka 2.12, of the
//! broker, and of OpenSSL; where they change, the test of each wrong login says so.

/// Words, and what to do when the client says them. The first that fits counts.
type Advice = (&'static str, &'static str);

/// Words of a login that was refused.
const REFUSED: [Advice; 15] = [
    ("Unsupported SASL mechanism", "set sasl.mechanism to one that the broker supports"),
    (
        "Request not valid in current SASL state",
        "this listener takes no SASL login: set security.protocol to ssl (plaintext without TLS), or name the port of the listener with SASL",
    ),
    ("OAUTHBEARER", "check where the token comes from: the broker does not take it"),
    ("token", "check where the token comes from"),
    (
        "SASL authentication error",
        "check sasl.username and sasl.password: the broker does not take them",
    ),
    (
        "certificate verify failed",
        "the broker's certificate is not one that ssl.ca.location vouches for, has expired, or names another host than kafka.bootstrap_servers",
    ),
    ("SSL alert number 40", CERTIFICATE_WANTED),
    ("SSL alert number 42", CERTIFICATE_WANTED),
    ("SSL alert number 116", CERTIFICATE_WANTED),
    ("SSL alert number 44", CERTIFICATE_REFUSED),
    ("SSL alert number 45", CERTIFICATE_REFUSED),
    ("SSL alert number 46", CERTIFICATE_REFUSED),
    ("SSL alert number 48", CERTIFICATE_REFUSED),
    ("wrong version number", NO_TLS),
    ("connecting to a PLAINTEXT broker listener", NO_TLS),
];
/// Words of a connection that ended where listeners of another kind end it. A broker that stops ends some there, too.
const ENDED: [Advice; 3] = [
    (
        WANTS_TLS,
        "if the broker runs, this listener wants TLS: set security.protocol to ssl, or to sasl_ssl with a login",
    ),
    (
        WANTS_LOGIN,
        "if the broker runs, this listener wants a login: set security.protocol to sasl_ssl (sasl_plaintext without TLS), and sasl.mechanism",
    ),
    (
        "SSL connection closed by peer",
        "if the broker runs, see whether its listener speaks TLS (security.protocol), and whether it wants a client's certificate (ssl.certificate.location)",
    ),
];
const WANTS_TLS: &str = "before it said anything";
const WANTS_LOGIN: &str = "at the first question";
const CERTIFICATE_WANTED: &str =
    "this listener wants a client's certificate: set ssl.certificate.location and ssl.key.location";
const CERTIFICATE_REFUSED: &str = "the broker does not take this client's certificate: see who signed ssl.certificate.location, and until when it is valid";
const NO_TLS: &str = "this listener speaks no TLS: set security.protocol to plaintext, or to sasl_plaintext with a login, or name the port of the listener with TLS";

fn fitting(list: &[Advice], words: &str) -> Option<&'static str> {
    list.iter().find(|(part, _)| words.contains(part)).map(|(_, advice)| *advice)
}

/// What an operator can do about a login that was refused, which does not pass by itself; nothing where the words are
/// not about one.
pub fn refused(words: &str) -> Option<&'static str> {
    fitting(&REFUSED, words)
}

/// The same, and what may be the reason of a connection's end.
pub fn advice(words: &str) -> Option<&'static str> {
    refused(words).or_else(|| fitting(&ENDED, words))
}

/// Whether the words tell less than what was said before them: a connection that ends for a reason ends once more
/// without.
pub fn is_less(words: &str) -> bool {
    is_end(words) && refused(words).is_none()
}

fn is_end(words: &str) -> bool {
    ["Disconnected", "Broken pipe", "Connection reset"].iter().any(|part| words.contains(part))
}

/// What an operator can do about settings that no client can be made of.
pub fn settings_advice(words: &str) -> &'static str {
    const FILES: [(&str, &str); 4] = [
        (
            "ssl.key.location failed",
            "see whether ssl.key.location is the key of ssl.certificate.location and, where it is encrypted, whether ssl.key.password opens it",
        ),
        (
            "ssl.certificate.location failed",
            "ssl.certificate.location is a file with certificates in PEM",
        ),
        (
            "ssl.ca.location failed",
            "ssl.ca.location is a file with the authority's certificates in PEM",
        ),
        (
            "ssl.keystore.location failed",
            "see whether ssl.keystore.password opens ssl.keystore.location",
        ),
    ];
    let fits = FILES.iter().find(|(part, _)| words.contains(part));
    fits.map_or(
        "see [kafka.properties]; names and values are the Kafka client's own",
        |(_, advice)| advice,
    )
}

/// The words without the thread that said them and how long it took, but with what the connection's state tells.
pub fn trimmed(words: &str) -> String {
    let (said, state) = words.rsplit_once(" (after ").unwrap_or((words, ""));
    let said = said.rsplit_once("]: ").map_or(said, |(_, rest)| rest);
    let said = said.replace("/bootstrap: ", ": ");
    let said = said.trim().trim_end_matches(':');
    let has = |protocol: &str| said.contains(&format!("{protocol}://"));
    let is_short = state.split_once("ms").is_some_and(|(ms, _)| ms.len() < 4);
    let ended = match is_end(said) {
        true if state.contains("APIVERSION_QUERY") && !said.contains("ssl://") => WANTS_TLS,
        true if state.contains("in state UP")
            && is_short
            && !has("sasl_ssl")
            && !has("sasl_plaintext") =>
        {
            WANTS_LOGIN
        }
        _ => return said.to_owned(),
    };
    format!("{said}, {ended}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_is_told_from_a_connection_that_ended() {
        let refused_ones = "[thrd:sasl_ssl://b:1/bootstrap]: sasl_ssl://b:1/bootstrap: SASL authentication error: no (after 5ms in state AUTH_REQ)";
        assert_eq!(trimmed(refused_ones), "sasl_ssl://b:1: SASL authentication error: no");
        assert!(refused(refused_ones).is_some() && !is_less(refused_ones));
        let closed = "b:1/bootstrap: Disconnected: connection closed by peer (after 3ms in state APIVERSION_QUERY)";
        let closed = trimmed(closed);
        assert!(
            closed.ends_with(WANTS_TLS) && refused(&closed).is_none() && advice(&closed).is_some()
        );
        let old =
            trimmed("b:1/1: Disconnected: connection closed by peer (after 90000ms in state UP)");
        assert!(advice(&old).is_none() && is_less(&old), "{old}");
        assert_eq!(advice("Connect to ipv4#127.0.0.1:1 failed: Connection refused"), None);
    }
}
