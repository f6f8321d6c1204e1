//! What a daemon answers by HTTP.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::daemon::Daemon;
use super::eventually;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

/// Sends bytes and reads until the other side closes.
pub async fn converse(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks for a path. HTTP/1.0, so that the answer comes in one piece.
pub async fn get(address: &str, path: &str) -> Answer {
    get_with(address, path, "").await
}

/// The same with more headers, a line each.
pub async fn get_with(address: &str, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n");
    let text = converse(address, request.as_bytes()).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Waits until a daemon says at which address it answers.
pub async fn address(daemon: &Daemon) -> String {
    eventually("the daemon to answer HTTP", || async {
        let log = daemon.log();
        let line = log.lines().find(|line| line.contains("answers HTTP"))?;
        let line: Value = serde_json::from_str(line).ok()?;
        Some(line["address"].as_str()?.to_owned())
    })
    .await
}

/// The samples of a scrape: name with labels, and value.
pub async fn scrape(address: &str) -> BTreeMap<String, f64> {
    let answer = get(address, "/metrics").await;
    assert_eq!(answer.status, 200);
    let samples = answer.body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}
