//! The way to somebody: a webhook or a command, tried a few times, each time for a bounded time.

use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, Command};
use tracing::{info, warn};

use super::message::Message;
use crate::config::Through;
use crate::http_client::HttpClient;
use rules::backoff::Backoff;
use rules::problem::Problem;

/// How often one word is tried: for about four minutes altogether.
const TRIES: u32 = 9;
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a command may run.
const RUN: Duration = Duration::from_secs(30);
/// As much of a command's complaint as the log shows.
const COMPLAINT: usize = 500;
/// How long a command's complaint is read after its end.
const REST: Duration = Duration::from_secs(1);
/// Variables that may hold secrets of makegood's.
const OWN: [&str; 4] = ["DATABASE_URL", "PG", "KAFKA_", "MAKEGOOD_"];

/// Where words go.
pub(super) enum AlertChannel {
    Webhook { client: HttpClient, url: SecretString },
    Command(Vec<String>),
}

impl AlertChannel {
    pub(super) fn new(through: Through) -> Result<AlertChannel, Problem> {
        Ok(match through {
            Through::Webhook(url) => AlertChannel::Webhook { client: HttpClient::new()?, url },
            Through::Command(words) => AlertChannel::Command(words.to_vec()),
        })
    }

    /// Tells somebody, or says in the log that nobody could be told. Returns whether somebody was.
    pub(super) async fn send(&self, message: &Message) -> bool {
        let call = message.call.as_str();
        for attempt in 0..TRIES {
            let why = match self.attempt(message).await {
                Ok(()) => {
                    info!(call, "somebody has been told");
                    return true;
                }
                Err(why) => why,
            };
            if attempt + 1 == TRIES {
                warn!(call, "nobody could be told, and this verdict is given up: {why}");
            } else {
                warn!(call, "nobody could be told yet: {why}");
                tokio::time::sleep(BACKOFF.delay(attempt, fastrand::f64())).await;
            }
        }
        false
    }

    async fn attempt(&self, message: &Message) -> Result<(), String> {
        let body = message.json().to_string();
        match self {
            AlertChannel::Webhook { client, url } => post(client, url, body).await,
            AlertChannel::Command(words) => {
                match tokio::time::timeout(RUN, run(words, message, body)).await {
                    Ok(ended) => ended,
                    Err(_) => Err(format!("the command did not end within {} s", RUN.as_secs())),
                }
            }
        }
    }
}

/// The error never has the URL, which may be a secret.
async fn post(client: &HttpClient, url: &SecretString, body: String) -> Result<(), String> {
    let url: Uri = url.expose_secret().parse().map_err(|_| "the webhook is no URL".to_owned())?;
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("makegood/", env!("CARGO_PKG_VERSION")))
        .body(Bytes::from(body))
        .map_err(|_| "the webhook is no URL".to_owned())?;
    let answer = client.send(request, ANSWER).await?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("the webhook says {status}")),
    }
}

/// Runs the command with the message on its standard input. It is killed when this is given up.
async fn run(words: &[String], message: &Message, body: String) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments);
    // What makegood was told is not for others.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OWN.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.envs(message.variables());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| format!("cannot run {program}: {e}"))?;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let mut complaint = Vec::new();
    let ended = {
        let mut talk = pin!(talk(input, errors, body, &mut complaint));
        tokio::select! {
            () = &mut talk => child.wait().await,
            // What it left running may have its standard error for ever; what it wrote itself is there.
            ended = child.wait() => {
                let _ = tokio::time::timeout(REST, talk).await;
                ended
            }
        }
    };
    let ended = ended.map_err(|e| format!("{program}: {e}"))?;
    if ended.success() {
        return Ok(());
    }
    Err(format!("{program} ended with {ended}: {}", String::from_utf8_lossy(&complaint).trim()))
}

/// Gives the message and takes the complaints. One that does not read is no failure: its exit code counts.
async fn talk(
    input: Option<ChildStdin>,
    errors: Option<ChildStderr>,
    body: String,
    complaint: &mut Vec<u8>,
) {
    let give = async {
        if let Some(mut input) = input {
            let _ = input.write_all(body.as_bytes()).await;
        }
    };
    let take = async {
        if let Some(mut errors) = errors {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut part).await {
                let room = COMPLAINT.saturating_sub(complaint.len());
                complaint.extend_from_slice(&part[..count.min(room)]);
            }
        }
    };
    tokio::join!(give, take);
}
