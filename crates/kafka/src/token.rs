//! Tokens for a login by SASL OAUTHBEARER: from an OIDC provider for the credentials of a client (RFC 6749, 4.4), or from a
//! command, or signed by Amazon's rules. The names of the settings are librdkafka's own, which could do the former alone, with a library more.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use reqsign_core::OsEnv;
use serde_json::Value;

use super::{msk, raw};
use outbound::command;
use outbound::http_client;

/// How long getting a token may take: the group gives up a member that does not poll for longer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a failure is told before it is tried again, so that many clients do not wait one after the other.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a token is used that does not say until when it is valid.
const LIFETIME: Duration = Duration::from_secs(300);
const CONFIG: &str = "sasl.oauthbearer.config";
const METHOD: &str = "sasl.oauthbearer.method";
/// What this file reads in librdkafka's place.
const OIDC: [&str; 5] = [
    METHOD,
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
];

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Command(Vec<String>),
    Msk { region: String },
    Oidc { url: String, id: String, secret: String, scope: String },
}

/// A token.
#[derive(Clone)]
struct Token {
    text: String,
    /// Who it is for.
    principal: String,
    /// Until when it is valid, in milliseconds since 1970.
    until: i64,
    /// When the next one is due: four fifths of its life are over.
    due: Instant,
}

/// Sources by their numbers, which the clients' settings carry, with what was last got of each.
static KNOWN: Mutex<Vec<(Source, Got)>> = Mutex::new(Vec::new());

#[derive(Clone)]
enum Got {
    Nothing,
    Token(Token),
    Failure(String, Instant),
}

/// Lets a client ask here for its tokens, if it is to log in by them.
pub(super) fn settle(settings: &mut ClientConfig, kafka: &config::Kafka) {
    let Some(source) = source(kafka) else { return };
    OIDC.iter().for_each(|name| {
        settings.remove(name);
    });
    if settings.get("sasl.mechanism").or(settings.get("sasl.mechanisms")).is_none() {
        settings.set("sasl.mechanism", "OAUTHBEARER");
    }
    if matches!(source, Source::Msk { .. }) && settings.get("security.protocol").is_none() {
        settings.set("security.protocol", "sasl_ssl");
    }
    let mut known = lock();
    let number = known.iter().position(|(known, _)| *known == source).unwrap_or_else(|| {
        known.push((source, Got::Nothing));
        known.len() - 1
    });
    settings.set(CONFIG, number.to_string());
}

fn source(kafka: &config::Kafka) -> Option<Source> {
    if !kafka.token_command.is_empty() {
        return Some(Source::Command(kafka.token_command.to_vec()));
    }
    if let Some(region) = &kafka.msk_region {
        return Some(Source::Msk { region: region.clone() });
    }
    let given: &BTreeMap<String, String> = &kafka.properties;
    let text = |name: &str| given.get(name).cloned().unwrap_or_default();
    given.get(METHOD).filter(|method| method.eq_ignore_ascii_case("oidc"))?;
    let [_, id, secret, scope, url] = OIDC.map(text);
    Some(Source::Oidc { url, id, secret, scope })
}

/// A token for a client whose settings say `number`; librdkafka asks when four fifths of the last one's life are over.
pub(super) fn generate(number: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
    let token = token(number.unwrap_or_default())?;
    Ok(OAuthToken { token: token.text, principal_name: token.principal, lifetime_ms: token.until })
}

/// Gives a client its token that is not polled, and so asks for none. Says why there is none.
pub(super) fn give<C: ClientContext>(
    client: &Client<C>,
    settings: &ClientConfig,
) -> Result<(), String> {
    let Some(number) = settings.get(CONFIG) else { return Ok(()) };
    let token = token(number)?;
    raw::set_token(client, &token.text, token.until, &token.principal)
}

/// The token of a source: the last one while it is young, else a new one.
fn token(number: &str) -> Result<Token, String> {
    let mut known = lock();
    let place = number.parse().ok().filter(|place| *place < known.len());
    let Some((source, got)) = place.map(|place: usize| &mut known[place]) else {
        return Err(
            "no token: none of kafka.token_command, kafka.msk_region and sasl.oauthbearer.method = oidc".into()
        );
    };
    match got {
        Got::Token(token) if Instant::now() < token.due => return Ok(token.clone()),
        Got::Failure(why, at) if at.elapsed() < PAUSE => return Err(why.clone()),
        _ => {}
    }
    let fetched = fetch(source.clone());
    *got = match &fetched {
        Ok(token) => Got::Token(token.clone()),
        Err(why) => Got::Failure(why.clone(), Instant::now()),
    };
    fetched
}

/// Gets a token, on a thread of its own: the caller may be inside of another runtime.
fn fetch(source: Source) -> Result<Token, String> {
    let getting = thread::Builder::new().name("kafka-token".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        runtime.block_on(async {
            let late = || Err(format!("no token within {} s", PATIENCE.as_secs()));
            let got = tokio::time::timeout(PATIENCE, get(&source));
            got.await.unwrap_or_else(|_| late()).map_err(|why| format!("{}: {why}", name(&source)))
        })
    });
    let ended = getting.map_err(|e| e.to_string())?.join();
    ended.unwrap_or_else(|_| Err("the thread that gets tokens has failed".to_owned()))
}

/// What gives no token, as an operator knows it.
fn name(source: &Source) -> String {
    match source {
        Source::Command(words) => {
            format!("kafka.token_command {}", words.first().map_or("", String::as_str))
        }
        Source::Msk { region } => format!("kafka.msk_region {region}"),
        Source::Oidc { url, .. } => format!("the token endpoint {url}"),
    }
}

async fn get(source: &Source) -> Result<Token, String> {
    match source {
        Source::Command(words) => {
            read(command::printed(words, PATIENCE).await?.trim(), None, "makegood")
        }
        Source::Msk { region } => {
            let (text, life) = msk::token(region, OsEnv).await?;
            read(&text, Some(life), "makegood")
        }
        Source::Oidc { url, id, secret, scope } => {
            let answer = asked(url, id, secret, scope).await?;
            let text = answer["access_token"].as_str().ok_or("its answer has no access_token")?;
            let lifetime = answer["expires_in"].as_u64().map(Duration::from_secs);
            read(text, lifetime, id)
        }
    }
}

/// What a token endpoint answers to the credentials of a client.
async fn asked(url: &str, id: &str, secret: &str, scope: &str) -> Result<Value, String> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !scope.is_empty() {
        form.append_pair("scope", scope);
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(AUTHORIZATION, basic)
        .body(Bytes::from(form.finish()))
        .map_err(|e| e.to_string())?;
    let client = http_client::HttpClient::new().map_err(|problem| problem.reason)?;
    let answer = client.send(request, PATIENCE).await?;
    let (head, body) = answer.into_parts();
    let body = http_body_util::Full::new(body).collect().await.map(|body| body.to_bytes());
    let json: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    if head.status.is_success() {
        return Ok(json);
    }
    // RFC 6749, 5.2: the reason of a refusal.
    let why =
        [&json["error"], &json["error_description"]].map(|text| text.as_str().unwrap_or_default());
    Err(format!("it answers {} {}", head.status.as_u16(), why.join(" ").trim())
        .trim_end()
        .to_owned())
}

/// A token and until when it is valid: as it says itself, if it is a JWT, or as who gave it says.
fn read(text: &str, lifetime: Option<Duration>, principal: &str) -> Result<Token, String> {
    if text.is_empty() {
        return Err("it gives an empty token".to_owned());
    }
    let payload = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Value =
        payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let now = Timestamp::now();
    let of_claim = claims["exp"].as_i64().map(|exp| exp.saturating_sub(now.as_second()));
    let life = match of_claim {
        Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        None => lifetime.unwrap_or(LIFETIME),
    };
    if life.is_zero() {
        return Err("it gives a token that has expired".to_owned());
    }
    let until =
        now.as_millisecond().saturating_add(i64::try_from(life.as_millis()).unwrap_or(i64::MAX));
    let principal = claims["sub"].as_str().unwrap_or(principal).to_owned();
    let due = Instant::now() + life.min(Duration::from_secs(86_400)) * 4 / 5;
    Ok(Token { text: text.to_owned(), principal, until, due })
}

fn lock() -> MutexGuard<'static, Vec<(Source, Got)>> {
    // Each entry is whole at every moment, so a panic elsewhere does not spoil them.
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_says_itself_until_when_it_is_valid_and_for_whom() {
        let soon = Timestamp::now().as_second() + 100;
        let token = read(&jwt(&format!(r#"{{"exp":{soon},"sub":"shop"}}"#)), None, "x").unwrap();
        assert_eq!(token.principal, "shop");
        assert!((token.until / 1000 - soon).abs() <= 1);
        let old = read(&jwt(r#"{"exp":1}"#), None, "x").err();
        assert_eq!(old.as_deref(), Some("it gives a token that has expired"));
        let opaque = read("abc", Some(Duration::from_secs(60)), "client").unwrap();
        assert_eq!(opaque.principal, "client");
        for odd in ["a.b.c", "..", "a.!!.c", &jwt("[]"), &jwt(r#"{"exp":"x"}"#)] {
            assert!(read(odd, None, "x").is_ok(), "{odd}");
        }
        assert!(read("", None, "x").is_err());
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let said = fetch(Source::Command(vec!["/nowhere/token".to_owned()])).err().unwrap();
        assert!(said.starts_with("kafka.token_command /nowhere/token: "), "{said}");
        let said = fetch(Source::Command(vec!["false".to_owned()])).err().unwrap();
        assert!(said.contains("exit status: 1"), "{said}");
        let got = fetch(Source::Command(vec!["echo".to_owned(), "abc".to_owned()])).ok().unwrap();
        assert_eq!(got.text, "abc");
    }
}
