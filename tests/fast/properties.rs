//! What is written below [kafka.properties] is held to what the Kafka client itself takes, before anything is connected to.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

/// The exit code of `makegood config check` for these lines, and what it says.
fn check(lines: &str) -> (Option<i32>, String) {
    said(&["config", "check"], lines)
}

fn said(command: &[&str], lines: &str) -> (Option<i32>, String) {
    let file = std::env::temp_dir().join(format!("makegood-{}.toml", uuid::Uuid::new_v4()));
    let text =
        format!("[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[kafka.properties]\n{lines}\n");
    let mut open = fs::OpenOptions::new();
    let mut closed = open.write(true).create_new(true).mode(0o600).open(&file).unwrap();
    closed.write_all(text.as_bytes()).unwrap();
    let mut makegood = Command::new(env!("CARGO_BIN_EXE_makegood"));
    makegood.args(command).arg("--config").arg(&file).env_clear();
    let output = makegood.output().unwrap();
    fs::remove_file(&file).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_name_or_a_value_that_the_client_does_not_take_is_refused_with_its_line() {
    for (line, why) in [
        ("\"sasl.mecanism\" = \"PLAIN\"", "No such configuration property"),
        ("\"session.timeout.ms\" = \"10s\"", "it would be read as 10"),
        ("\"linger.ms\" = \"0.5.1\"", "linger.ms"),
        ("\"session.timeout.ms\" = \"0\"", "outside allowed range"),
        ("\"security.protocol\" = \"tls\"", "Invalid value"),
        ("\"topic.blacklist\" = \"[\"", "topic.blacklist"),
    ] {
        for command in [&["config", "check"][..], &["run"], &["status"]] {
            let (code, text) = said(command, line);
            assert_eq!(code, Some(78), "{command:?} {line}: {text}");
            assert!(text.contains(".toml:4") && text.contains(why), "{line}: {text}");
        }
    }
    let (code, text) = check("\"a.b\" = \"1\"\n\"linger.ms\" = \"soon\"\n\"acks\" = \"all\"");
    assert_eq!(code, Some(78), "{text}");
    for part in ["2 mistakes", ".toml:4", ".toml:5", "a.b", "linger.ms"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

/// Each by itself is fine; together no client can be made of them.
#[test]
fn properties_that_do_not_go_together_are_refused() {
    for (lines, why) in [
        (
            "\"session.timeout.ms\" = \"60000\"\n\"max.poll.interval.ms\" = \"30000\"",
            "max.poll.interval.ms",
        ),
        (
            "\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"/nowhere/ca.pem\"",
            "ssl.ca.location",
        ),
    ] {
        let (code, text) = check(lines);
        assert_eq!(code, Some(78), "{lines}: {text}");
        assert!(text.contains(why), "{lines}: {text}");
    }
}

#[test]
fn what_the_client_takes_or_makegood_reads_itself_is_fine_and_no_secret_is_told() {
    for lines in [
        "\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"1000\"\n\"client.rack\" = \"a\"",
        "\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\
         \"sasl.username\" = \"u\"\n\"sasl.password\" = \"p\"",
        "\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"OAUTHBEARER\"\n\
         \"sasl.oauthbearer.method\" = \"oidc\"\n\"sasl.oauthbearer.client.id\" = \"m\"\n\
         \"sasl.oauthbearer.client.secret\" = \"s\"\n\
         \"sasl.oauthbearer.token.endpoint.url\" = \"https://login.example.com/token\"",
    ] {
        let (code, text) = check(lines);
        assert_eq!(code, Some(0), "{lines}: {text}");
    }
    let (code, text) = check("\"client.dns.lookup\" = \"\"");
    assert!(code == Some(78) && !text.contains("***"), "{text}");
    let (code, text) = check("\"sasl.pasword\" = \"canary\"\n\"ssl.crl.location\" = \"canary\"");
    assert_eq!(code, Some(78), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

/// The shipped file, all that it proposes uncommented, those for tokens together.
#[test]
fn what_the_shipped_file_proposes_is_taken() {
    let shipped = include_str!("../../deploy/makegood.toml");
    let lines = shipped.lines().filter_map(|line| line.strip_prefix("# "));
    let proposed = lines.filter(|line| line.starts_with('"') && line.contains("\" = "));
    let (token, others): (Vec<_>, Vec<_>) = proposed.partition(|line| line.contains("oauthbearer"));
    assert!(token.len() > 3 && others.len() > 3, "{token:?} {others:?}");
    for lines in others.into_iter().map(str::to_owned).chain([token.join("\n")]) {
        let (_, text) = check(&lines);
        assert!(!text.contains("does not take"), "{lines}: {text}");
    }
}
