//! What programs print that the operator names: a password, a token.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// The longest output that is read, in bytes.
const MOST: u64 = 64 << 10;

/// Runs a program with its arguments, and returns what it printed, without the end of its line. The error says why there is
/// nothing of use: it could not be run, failed, took longer than `patience`, printed nothing.
pub async fn printed(words: &[String], patience: Duration) -> Result<String, String> {
    let Some((program, args)) = words.split_first() else { return Err("it is empty".to_owned()) };
    let run = async {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().map_err(|e| e.to_string())?;
        let mut text = String::new();
        if let Some(out) = child.stdout.take() {
            out.take(MOST).read_to_string(&mut text).await.map_err(|e| e.to_string())?;
        }
        let status = child.wait().await.map_err(|e| e.to_string())?;
        match text.trim_end_matches(['\r', '\n']) {
            _ if !status.success() => Err(status.to_string()),
            "" => Err("it prints nothing".to_owned()),
            text => Ok(text.to_owned()),
        }
    };
    let slow = || Err(format!("it took more than {} s", patience.as_secs()));
    tokio::time::timeout(patience, run).await.unwrap_or_else(|_| slow())
}
