//! A login by a token: from the token endpoint of an OIDC provider, which a small server stands in for, or from a
//! command. The broker is a real one, that takes tokens without a signature.

mod msk;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::kafka_logins::{publish, purchases, said, secured};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::rig::Rig;
use crate::support::secured::{BEARER, SECRET};

/// How long a token is valid, in seconds: so short that each client needs several.
const LIFE: u64 = 5;

/// A token as the broker takes it.
fn token(life: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(r#"{{"sub":"{BEARER}","iat":{now},"exp":{}}}"#, now + life);
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// The token endpoint.
#[derive(Clone, Default)]
struct Endpoint {
    asked: Arc<AtomicUsize>,
    refuses: Arc<AtomicBool>,
}

impl Endpoint {
    /// Starts it and returns its address.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/oauth2/token", listener.local_addr().unwrap());
        let this = self.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 8192];
                let read = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                this.asked.fetch_add(1, Ordering::Relaxed);
                let basic = STANDARD.encode(format!("shop:{SECRET}"));
                let is_right = request.contains(&format!("Basic {basic}"))
                    && request.contains("grant_type=client_credentials&scope=kafka");
                let (status, body) = match is_right && !this.refuses.load(Ordering::Relaxed) {
                    true => (
                        200,
                        format!(r#"{{"access_token":"{}","expires_in":{LIFE}}}"#, token(LIFE)),
                    ),
                    false => (401, r#"{"error":"invalid_client"}"#.to_owned()),
                };
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_purchased_through_a_login_by_tokens_that_end_and_are_renewed() {
    let rig = Rig::new(2).await;
    let kafka = secured(&rig).await;
    let endpoint = Endpoint::default();
    let url = endpoint.start().await;
    let login = vec![
        ("security.protocol", "sasl_plaintext".to_owned()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("sasl.oauthbearer.method", "oidc".to_owned()),
        ("sasl.oauthbearer.token.endpoint.url", url),
        ("sasl.oauthbearer.client.id", "shop".to_owned()),
        ("sasl.oauthbearer.client.secret", SECRET.to_owned()),
        ("sasl.oauthbearer.scope", "kafka".to_owned()),
    ];
    let config = rig.path("oidc.toml");
    fs::write(&config, kafka.config(&rig, &kafka.token(), &login, "[outbox]\n")).unwrap();
    let daemon = Daemon::start(&config, 0);
    publish(&rig).await;
    purchases(&rig, 1).await;
    let (code, json) = said(&config, &["doctor", "-o", "json"]).await;
    assert_eq!(code, Some(0), "{json}");
    // Several lives later it still works.
    let so_far = endpoint.asked.load(Ordering::Relaxed);
    eventually("more tokens to be asked for", || async {
        (endpoint.asked.load(Ordering::Relaxed) >= so_far + 3).then_some(())
    })
    .await;
    publish(&rig).await;
    purchases(&rig, 2).await;
    // Where no token is given, that is what is said, by those who ask anew too.
    endpoint.refuses.store(true, Ordering::Relaxed);
    let (_, told) = said(&config, &["doctor"]).await;
    assert!(
        told.contains("answers 401 invalid_client") && told.contains("/oauth2/token"),
        "{told}"
    );
    endpoint.refuses.store(false, Ordering::Relaxed);
    publish(&rig).await;
    purchases(&rig, 3).await;
    assert!(!daemon.log().contains(SECRET), "the log has the secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gives_the_token_and_is_named_when_it_gives_none() {
    let rig = Rig::new(2).await;
    let kafka = secured(&rig).await;
    let (file, config) = (rig.path("token"), rig.path("command.toml"));
    let login = vec![("security.protocol", "sasl_plaintext".to_owned())];
    let text = kafka.config(&rig, &kafka.token(), &login, "[outbox]\n");
    let command = format!("[kafka]\ntoken_command = [\"cat\", \"{}\"]\n", file.display());
    fs::write(&config, text.replacen("[kafka]\n", &command, 1)).unwrap();
    let (_, told) = said(&config, &["doctor"]).await;
    assert!(told.contains("kafka.token_command cat: exit status: 1"), "{told}");
    let _daemon = Daemon::start(&config, 0);
    fs::write(&file, token(3600)).unwrap();
    publish(&rig).await;
    purchases(&rig, 1).await;
}
