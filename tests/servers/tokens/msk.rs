//! A login to Amazon MSK by IAM. No such cluster can be had here: a small server takes a login as a broker does and keeps the
//! token, whose signature is computed again by a program of its own; another stands in for where a container's
//! credentials come from.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::kafka_logins::said;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::rig::Rig;

const REGION: &str = "eu-west-1";
/// How long credentials are valid, in seconds: so short that several are needed.
const LIFE: i64 = 6;

/// What broker and credentials have seen.
#[derive(Clone, Default)]
struct Seen {
    tokens: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Seen {
    fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }

    /// Serves each connection, and returns the address.
    async fn serve<F>(&self, serve: fn(Seen, TcpStream) -> F) -> String
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, seen) = (listener.local_addr().unwrap().to_string(), self.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(seen.clone(), stream));
            }
        });
        at
    }
}

/// An old broker as far as the login: it says that it takes OAUTHBEARER, and keeps what is sent to it.
async fn broker(seen: Seen, mut stream: TcpStream) -> Option<()> {
    loop {
        let length = stream.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).ok()?];
        stream.read_exact(&mut frame).await.ok()?;
        let text = String::from_utf8_lossy(&frame).into_owned();
        if let Some((_, token)) = text.split_once("auth=Bearer ") {
            let token = token.split('\u{1}').next()?;
            seen.tokens.lock().unwrap().push(token.to_owned());
            return None;
        }
        let mut answer = frame.get(4..8)?.to_vec();
        match frame.get(..4)? {
            // ApiVersions in version 0: SaslHandshake in version 0, after which tokens come as they are, and this one.
            [0, 18, 0, 0] => {
                answer.extend([0, 0, 0, 0, 0, 2, 0, 17, 0, 0, 0, 0, 0, 18, 0, 0, 0, 0])
            }
            // In a newer one: no.
            [0, 18, ..] => answer.extend([0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 0]),
            // SaslHandshake: no error, one mechanism.
            _ => {
                answer.extend([0, 0, 0, 0, 0, 1, 0, 11]);
                answer.extend(b"OAUTHBEARER");
            }
        }
        stream.write_i32(i32::try_from(answer.len()).ok()?).await.ok()?;
        stream.write_all(&answer).await.ok()?;
    }
}

/// Where a container gets its credentials: each time others.
async fn credentials(seen: Seen, mut stream: TcpStream) -> Option<()> {
    let mut request = vec![0; 8192];
    let read = stream.read(&mut request).await.ok()?;
    let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
    let n = seen.asked.fetch_add(1, Ordering::Relaxed);
    let until = Timestamp::now() + SignedDuration::from_secs(LIFE);
    let body = format!(
        r#"{{"AccessKeyId":"AKIA{n}","SecretAccessKey":"{}","Token":"{}","Expiration":"{}"}}"#,
        secret(n),
        session(n),
        until.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    let status = if request.contains("authorization: pod") { "200 OK" } else { "401 No" };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.ok()
}

fn secret(n: usize) -> String {
    format!("wJalrXUtnFEMI/K7MDENG+bPxRfiCY{n}")
}

fn session(n: usize) -> String {
    format!("IQoJb3JpZ2luX2VjE//+{n}==")
}

/// What the other implementation says of a token: the number of its key, and for how long it is valid.
fn checked(token: &str) -> (usize, i64) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/tokens/sigv4.py");
    for n in 0.. {
        let mut python = Command::new("/usr/bin/python3");
        python.args([script, token, REGION, &secret(n), &session(n)]).stdin(Stdio::null());
        let out = python.output().unwrap();
        let words = String::from_utf8_lossy(&out.stdout).into_owned();
        if let Some((key, life)) = words.trim().split_once(' ') {
            assert_eq!(key, format!("AKIA{n}"));
            return (n, life.parse().unwrap());
        }
        assert!(n < 20, "{token}: {}", String::from_utf8_lossy(&out.stderr));
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_iam_is_signed_as_aws_says_and_again_with_new_credentials() {
    let rig = Rig::new(1).await;
    let seen = Seen::default();
    let (broker, metadata) = (seen.serve(broker).await, seen.serve(credentials).await);
    let text = rig.config(&rig.url(), "", "").replace(&rig.world.kafka.bootstrap(), &broker);
    let text = text.replacen("[kafka]\n", &format!("[kafka]\nmsk_region = \"{REGION}\"\n"), 1);
    let plain = "[kafka.properties]\n\"security.protocol\" = \"sasl_plaintext\"\n";
    let config = rig.path("msk.toml");
    fs::write(&config, text.replacen("[kafka.properties]\n", plain, 1)).unwrap();
    let env = [
        ("HOME", "/nonexistent".to_owned()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{metadata}/role")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod".to_owned()),
    ];
    let daemon = Daemon::start_with(&config, 0, &env);
    let first = eventually("a token", || async { seen.tokens().first().cloned() }).await;
    let (key, life) = checked(&first);
    assert!((1..=LIFE).contains(&life), "{life} s, longer than what it was signed with");
    let next = eventually("a token of new credentials", || async {
        seen.tokens().into_iter().find(|token| checked(token).0 > key)
    })
    .await;
    assert_ne!(next, first);
    let log = daemon.log();
    assert!(!log.contains("wJalrXUtnFEMI") && !log.contains("IQoJb3JpZ2lu"), "{log}");
    drop(daemon);
    // Without any, that is what is said.
    let (_, told) = said(&config, &["doctor"]).await;
    assert!(told.contains("kafka.msk_region eu-west-1: no AWS credentials"), "{told}");
}
