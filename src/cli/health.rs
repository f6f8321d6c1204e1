//! `makegood health`: asks the running daemon whether it lives, or works, so that a container needs no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{Globals, logging, print, session};
use crate::http_client::HttpClient;
use rules::problem::{Code, Problem};

/// How long the daemon may take; it answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
It asks /readyz, or /livez, of the daemon on this machine, and prints what is
not well. Exit codes: 0 if all is well, 1 if something is not, or if nobody
answers.

Examples:
  makegood health
  makegood health --live
  makegood health --url http://10.0.0.5:8745")]
pub struct Args {
    /// Whether payments become purchases: servers, routes, outbox (the default)
    #[arg(long, conflicts_with = "live")]
    ready: bool,
    /// Only whether the process works, whatever the servers do
    #[arg(long)]
    live: bool,
    /// The daemon's address [default: http.listen of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    let (host, token) = match &args.url {
        Some(url) => (host_of(url)?, None),
        None => configured(globals)?,
    };
    let path = if args.live { "/livez" } else { "/readyz?verbose" };
    let (status, body) = ask(&host, path, token.as_ref()).await?;
    print::data(&told(args.live, status, &body))?;
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where this configuration's daemon answers, seen from its own machine, and what it wants to be told.
fn configured(globals: &Globals) -> Result<(String, Option<SecretString>), Problem> {
    let http = session::load(globals)?.http;
    let Some(listen) = http.listen else {
        return Err(Problem::new(Code::System, "the daemon answers no HTTP: http.listen is empty")
            .advice("give it an address, or name another daemon's with --url"));
    };
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok((SocketAddr::new(ip, listen.port()).to_string(), http.token))
}

fn host_of(url: &str) -> Result<String, Problem> {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let is_plain = |host: &&str| {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '@' | '?' | '#'))
    };
    match host.filter(is_plain) {
        Some(host)
            if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) =>
        {
            Ok(host.to_owned())
        }
        Some(host) => Ok(format!("{host}:80")),
        None => Err(Problem::new(Code::Usage, format!("`{url}` is no address of a daemon"))
            .advice("write it as http://127.0.0.1:8745")),
    }
}

async fn ask(
    host: &str,
    path: &str,
    token: Option<&SecretString>,
) -> Result<(u16, String), Problem> {
    let mut request = Request::get(format!("http://{host}{path}"));
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    let request = request.body(Bytes::new()).map_err(|error| silent(host, &error.to_string()))?;
    let answer = HttpClient::new()?.send(request, PATIENCE).await;
    let answer = answer.map_err(|why| silent(host, &why))?;
    Ok((answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned()))
}

fn told(live: bool, status: u16, body: &str) -> String {
    let subject = if live { "live" } else { "ready" };
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    if status == 200 {
        let shadow = if answer["mode"] == "shadow" { ", as a shadow" } else { "" };
        return format!("{subject}{shadow}\n");
    }
    let text = |value: &Value| match value.as_str() {
        Some(text) => print::visible(text, false),
        None => value.to_string(),
    };
    let mut lines = format!("not {subject} (status {status})\n");
    for check in answer["checks"].as_array().into_iter().flatten().filter(|c| c["ok"] == false) {
        lines += &format!("  {}: {}\n", text(&check["check"]), text(&check["detail"]));
    }
    for one in answer["silent"].as_array().into_iter().flatten() {
        let (name, seconds) = (text(&one["loop"]), &one["silent_seconds"]);
        lines += &format!("  {name}: no sign of life for {seconds} s\n");
    }
    lines
}

fn silent(host: &str, why: &str) -> Problem {
    Problem::new(Code::System, format!("no daemon answers at {host}: {why}"))
        .advice("is `makegood run` running, and is http.listen the one of this configuration?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_that_would_end_up_in_a_header() {
        assert_eq!(host_of("http://127.0.0.1:8745/readyz").ok().as_deref(), Some("127.0.0.1:8745"));
        assert_eq!(host_of("http://[::1]:8745").ok().as_deref(), Some("[::1]:8745"));
        assert_eq!(host_of("http://makegood").ok().as_deref(), Some("makegood:80"));
        for wrong in ["", "http://", "https://x:1", "http://a\r\nb:1", "http://user@x:1", "x:1"] {
            assert!(host_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_well_is_told_a_line_each_without_steering_the_terminal() {
        assert_eq!(told(false, 200, "{}"), "ready\n");
        assert_eq!(told(false, 200, r#"{"mode":"shadow"}"#), "ready, as a shadow\n");
        let body = r#"{"checks":[{"check":"kafka","ok":false,"detail":"a\u001bb"},{"check":"routes","ok":true}]}"#;
        assert_eq!(told(false, 503, body), "not ready (status 503)\n  kafka: a\\u{1b}b\n");
        let body = r#"{"silent":[{"loop":"relay 0","silent_seconds":200}]}"#;
        let told = told(true, 503, body);
        assert_eq!(told, "not live (status 503)\n  relay 0: no sign of life for 200 s\n");
    }
}
