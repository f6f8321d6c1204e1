//! `[alert]`: who is told.

use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::layers::Raw;
use super::reader::{Reader, text};
use super::{Alert, Through};

/// Takes the section.
pub fn alert(from: &mut Reader, default: &Alert) -> Alert {
    let month = (Duration::from_secs(1), Duration::from_secs(30 * 24 * 60 * 60));
    let show =
        |url: &Option<SecretString>| url.as_ref().map_or("", |url| url.expose_secret()).to_owned();
    let url = from.take("alert.webhook", None, webhook, show);
    let command = from.take("alert.command", Vec::new(), command, |words| words.join(" "));
    let through = match (url, command.is_empty()) {
        (Some(_), false) => {
            let origin = from.origin("alert.command");
            from.layers.mistake(origin, "`alert.webhook` is set too", "keep one of the two");
            None
        }
        (Some(url), true) => Some(Through::Webhook(url)),
        (None, true) => None,
        (None, false) => Some(Through::Command(command)),
    };
    if let Some(Through::Command(words)) = &through {
        look_for(from, words);
    }
    Alert {
        through,
        after: from.duration("alert.after", default.after, month),
        repeat: from.duration("alert.repeat", default.repeat, month),
    }
}

/// A program that is missing is found out now, not at three in the morning. It may be there where makegood
/// runs, though.
fn look_for(from: &mut Reader, words: &[String]) {
    if let Some(program) = words.first()
        && program.contains('/')
        && !Path::new(program).is_file()
    {
        from.layers.notes.push(format!("alert.command: there is no {program} here"));
    }
}

fn webhook(raw: &Raw) -> Result<Option<SecretString>, String> {
    let written = text(raw)?;
    if written.is_empty() {
        return Ok(None);
    }
    let wanted = "write a URL such as https://chat.example/hooks/…";
    let url: hyper::Uri = written.parse().map_err(|_| wanted.to_owned())?;
    let is_http = matches!(url.scheme_str(), Some("https" | "http"));
    let Some(authority) = url.authority().filter(|_| is_http) else {
        return Err(wanted.to_owned());
    };
    if authority.as_str().contains('@') {
        return Err("a user before the host is not sent; put the token into the path".to_owned());
    }
    Ok(Some(written.into()))
}

pub fn command(raw: &Raw) -> Result<Vec<String>, String> {
    let words = match raw {
        Raw::List(words) => words.clone(),
        Raw::Text(program) if program.is_empty() => Vec::new(),
        Raw::Text(program) => vec![program.clone()],
        _ => return Err("write a list such as [\"/usr/local/bin/page\", \"oncall\"]".to_owned()),
    };
    match words.first() {
        Some(program) if program.trim().is_empty() => Err("the program's name is empty".to_owned()),
        _ => Ok(words),
    }
}
