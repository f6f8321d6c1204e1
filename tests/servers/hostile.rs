//! Callers, terminals and pipes that mean harm: no payment waits for them, and nobody learns or sees what they should
//! not.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::commands::{run, stderr, stdout};
use crate::quarantine::Mapping;
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::http::{address, converse, get};
use crate::support::ledger;
use crate::support::load::chance;
use crate::support::rig::Rig;

const TOKEN: &str = "a-token-that-nobody-guesses";

/// A daemon with other settings of `[http]`.
fn daemon_with(rig: &Rig, http: &str) -> Daemon {
    let text = rig.config(&rig.url(), "", "");
    let file = rig.path("http.toml");
    std::fs::write(&file, text.replace("listen = \"127.0.0.1:0\"", http)).unwrap();
    Daemon::start(&file, 0)
}

/// Asks with a head of one's own; returns the status.
async fn asked(at: &str, path: &str, headers: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    let text = converse(at, request.as_bytes()).await;
    let status = text.split(' ').nth(1).unwrap_or_default().to_owned();
    (status, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_never_read_take_no_probe_away() {
    let rig = Rig::new(1).await;
    let daemon = rig.daemon();
    let at = address(&daemon).await;
    let mut deaf = Vec::new();
    let requests = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(500);
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&at).await.unwrap();
        let _ = timeout(Duration::from_secs(1), stream.write_all(requests.as_bytes())).await;
        deaf.push(stream);
        if deaf.len() % 100 == 0 {
            let probe = timeout(Duration::from_secs(5), get(&at, "/livez")).await;
            assert_eq!(probe.expect("a probe's answer").status, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_by_a_name_that_is_not_ours_or_without_the_token_learns_nothing() {
    let rig = Rig::new(1).await;
    let daemon = rig.daemon();
    let at = address(&daemon).await;
    for (host, status) in [
        ("evil.example", "421"),
        ("127.0.0.1.evil.example:8745", "421"),
        ("localhost.evil.example", "421"),
        ("", "421"),
        ("localhost:8745", "200"),
        ("LOCALHOST", "200"),
        ("127.0.0.1:80", "200"),
        ("[::1]:8745", "200"),
    ] {
        let (found, _) = asked(&at, "/page.css", &format!("Host: {host}\r\n")).await;
        assert_eq!(found, status, "{host}");
    }
    assert_eq!(asked(&at, "/livez", "Host: 10-0-0-1.pod.cluster.local\r\n").await.0, "200");
    drop(daemon);

    let daemon = daemon_with(&rig, &format!("listen = \"0.0.0.0:0\"\ntoken = \"{TOKEN}\""));
    let at = address(&daemon).await.replace("0.0.0.0", "127.0.0.1");
    let basic = "Authorization: Basic b3BzOmEtdG9rZW4tdGhhdC1ub2JvZHktZ3Vlc3Nlcw==\r\n";
    for (path, header, status) in [
        ("/", "", "401"),
        ("/metrics", "", "401"),
        ("/api/v1/status", "Authorization: Bearer a-token-that-nobody-guesse\r\n", "401"),
        ("/explain?id=1", "Authorization: Bearer\r\n", "401"),
        ("/live", "Authorization: Basic !!!\r\n", "401"),
        ("/livez", "", "200"),
        ("/metrics", &format!("Authorization: bearer {TOKEN}\r\n"), "200"),
        ("/", basic, "200"),
        ("/explain?id=1", basic, "403"),
    ] {
        let (found, text) = asked(&at, path, &format!("Host: x.example\r\n{header}")).await;
        assert_eq!(found, status, "{path} {header} {text}");
    }
    let verbose = |header: String| async move {
        asked(&at, "/readyz?verbose", &format!("Host: x\r\n{header}")).await.1
    };
    assert!(!verbose.clone()(String::new()).await.contains("\"detail\""));
    assert!(verbose(format!("Authorization: Bearer {TOKEN}\r\n")).await.contains("\"detail\""));
    assert!(!daemon.log().contains(TOKEN));
}

/// How many of the page's look-ups the server is at.
const AT_IT: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'makegood page' AND state = 'active'";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_lists_nobodys_events_by_a_persons_id_and_asks_the_database_for_nobody_who_has_gone()
{
    let rig = Rig::new(1).await;
    let mapping = Mapping::new(&rig);
    let slow = include_str!("../../sql/purchases/lookup.sql")
        .replace("WHERE id IS NOT NULL", "WHERE pg_sleep(60) IS NOT NULL");
    std::fs::write(rig.path("mapping").join("lookup.sql"), slow).unwrap();
    let daemon = rig.daemon();
    let at = address(&daemon).await;
    let event: uuid::Uuid = {
        let publish = "SELECT makegood.publish($1, 'student-7', 'OTHER', '{\"secret\": 1}'::jsonb)";
        rig.client.query_one(publish, &[&rig.topic]).await.unwrap().get(0)
    };
    let found = get(&at, &format!("/explain?id={event}")).await;
    assert!(found.status == 200 && found.body.contains("student-7"), "{}", found.body);
    let found = get(&at, "/explain?id=student-7").await;
    assert!(found.status == 404 && !found.body.contains(&event.to_string()), "{}", found.body);
    drop(daemon);

    let daemon = rig.daemon_with(&mapping.route(""));
    let at = address(&daemon).await;
    let mut caller = TcpStream::connect(&at).await.unwrap();
    let id = uuid::Uuid::new_v4();
    let request = format!("GET /explain?id={id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    caller.write_all(request.as_bytes()).await.unwrap();
    eventually("the database to be asked", || async {
        (rig.number(AT_IT).await == 1).then_some(())
    })
    .await;
    let begun = std::time::Instant::now();
    drop(caller);
    eventually("the database to be asked no more", || async {
        (rig.number(AT_IT).await == 0).then_some(())
    })
    .await;
    // It would go on until its time is out, after 10 s.
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_answered_unless_somebody_said_so() {
    let rig = Rig::new(1).await;
    let check = |http: &str| {
        let text = rig.config(&rig.url(), "", "");
        let file = rig.path("check.toml");
        std::fs::write(&file, text.replace("listen = \"127.0.0.1:0\"", http)).unwrap();
        command().args(["config", "check", "--config"]).arg(file).output().unwrap()
    };
    let refused = check("listen = \"0.0.0.0:8745\"");
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(stderr(&refused).contains("http.token") && stderr(&refused).contains("open = true"));
    assert!(!check("listen = \"[::]:8745\"").status.success());
    assert!(!check("token = \"short\"").status.success());
    assert!(check("listen = \"0.0.0.0:8745\"\nopen = true").status.success());
    assert!(check("listen = \"[::1]:8745\"").status.success());
    let shown = check(&format!("listen = \"0.0.0.0:8745\"\ntoken = \"{TOKEN}\""));
    assert!(shown.status.success() && !stdout(&shown).contains(TOKEN), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_any_kind_are_answered_or_let_go() {
    let rig = Rig::new(1).await;
    let daemon = rig.daemon();
    let at = address(&daemon).await;
    let head = "Host: localhost\r\nConnection: close\r\n";
    let chunk = "fffffff\r\n".to_owned() + &"x".repeat(100_000);
    let mut rng = chance("requests of any kind");
    let odd = (0..300).map(|_| any_request(&mut rng));
    let known = [
        "\0\0\0\0".repeat(5000),
        "GET".to_owned() + &" ".repeat(100_000),
        format!("GET /{} HTTP/1.1\r\n{head}\r\n", "a/".repeat(30_000)),
        format!("GET / HTTP/1.1\r\n{}{head}\r\n", "X: y\r\n".repeat(5000)),
        format!("POST / HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n{chunk}"),
        format!("POST / HTTP/1.1\r\n{head}Content-Length: 18446744073709551615\r\n\r\n"),
        format!(
            "POST / HTTP/1.1\r\n{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("GET /explain?id=%00%1b%5b31m HTTP/1.1\r\n{head}\r\n"),
        format!(
            "GET /explain?id={}&route=../../etc HTTP/1.1\r\n{head}\r\n",
            "%f0%9f%92%a9".repeat(500)
        ),
        format!("GET /explain?id=%ff%fe%c0 HTTP/1.1\r\n{head}\r\n"),
        format!("GET /..%2f..%2fetc/passwd HTTP/1.1\r\n{head}\r\n"),
        format!("CONNECT localhost:1 HTTP/1.1\r\n{head}\r\n"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{head}"),
    ];
    for request in known.into_iter().chain(odd) {
        let talk = async {
            let mut stream = TcpStream::connect(&at).await.unwrap();
            let _ = stream.write_all(request.as_bytes()).await;
            // A head that does not end is waited for only while more may come.
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
            answer
        };
        let answer = timeout(Duration::from_secs(30), talk).await.expect("an end");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("root:") && !answer.contains('\u{1b}'), "{answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{request:.60} {answer}");
    }
    assert_eq!(get(&at, "/livez").await.status, 200);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// A request of parts that are each right, odd or broken.
fn any_request(rng: &mut fastrand::Rng) -> String {
    let any = |rng: &mut fastrand::Rng, parts: &[&str]| rng.choice(parts).unwrap().to_string();
    let mut request = any(rng, &["GET", "HEAD", "POST", "OPTIONS", "TRACE", "get", "G\u{e9}T", ""]);
    request += &any(rng, &[" ", "  ", "\t", ""]);
    let paths =
        ["/", "/explain", "/api/v1/status", "/metrics", "/readyz", "/live", "//", "*", "http://x/"];
    request += &any(rng, &paths);
    for _ in 0..rng.usize(..4) {
        request += &any(
            rng,
            &[
                "?id=",
                "&",
                "%00",
                "%",
                "%zz",
                "verbose",
                "=",
                "#",
                "+",
                "\u{1f600}",
                "/../",
                "%1b[31m",
            ],
        );
    }
    request +=
        &any(rng, &[" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/9.9\r\n", "\r\n", " HTTP/1.1\n"]);
    for _ in 0..rng.usize(..5) {
        let name = [
            "Host",
            "Authorization",
            "Content-Length",
            "Transfer-Encoding",
            "Expect",
            "Upgrade",
            "Range",
            "X\0",
            "",
        ];
        request += &any(rng, &name);
        request += &any(rng, &[": ", ":", " : ", ""]);
        let value = [
            "localhost",
            "Basic !!!",
            "bearer",
            "-1",
            "5",
            "chunked",
            "100-continue",
            "websocket",
            "bytes=9-",
            "\u{1b}[2J",
        ];
        request += &any(rng, &value);
        request += &any(rng, &["\r\n", "\n", "\r"]);
    }
    request + &any(rng, &["Connection: close\r\n\r\n", "\r\n", "\r\n\r\n5\r\nabcde\r\n", ""])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_keeps_no_payment_waiting() {
    let rig = Rig::new(1).await;
    let file = rig.config_file(&rig.url(), "batch = { rows = 1 }", "[log]\nlevel = \"trace\"\n");
    let mut child = command()
        .args(["run", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open, and never read.
    let _log = child.stderr.take();
    let paid = payments(500);
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let pid = child.id().to_string();
    Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    let ended = timeout(Duration::from_secs(60), ended).await.expect("its end").unwrap();
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_command_whose_reader_is_gone_ends_quietly() {
    for (args, code) in [(&["config", "init", "-"][..], 0), (&["--help"], 0)] {
        let mut child =
            command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{args:?} {}", stderr(&ended));
        assert_eq!(stderr(&ended), "", "{args:?}");
    }
    let mut child = command()
        .args(["config", "check", "--config", "/nowhere.toml"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(78));
}

/// Fails for characters that steer a terminal, turn text around, or cannot be seen.
fn assert_plain(text: &str) {
    let is_odd = |c: &char| {
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
            || (c.is_control() && *c != '\n')
    };
    let odd: String = text.chars().filter(is_odd).collect();
    assert!(odd.is_empty(), "{odd:?} in {text:?}");
}

const TRICKS: &str = "\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m\r\u{8}\u{202e}\u{2066}\u{200b}\u{feff}";

#[tokio::test(flavor = "multi_thread")]
async fn no_text_from_outside_steers_a_terminal() {
    let rig = Rig::new(1).await;
    let mut paid = payments(1);
    paid[0].currency = "INR".to_owned();
    let insert = "INSERT INTO payments (id, student_id, course_id, amount, currency) VALUES ($1, $2, $3, 1, $4)";
    let terms: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&paid[0].id, &paid[0].student, &paid[0].course, &TRICKS];
    rig.client.execute(insert, &terms).await.unwrap();
    let id = paid[0].id.to_string();
    let explained = run(&rig, &["explain", &id]).await;
    assert!(stdout(&explained).contains("\\u{202e}"), "{}", stdout(&explained));
    assert_plain(&stdout(&explained));
    let json = stdout(&run(&rig, &["explain", &id, "-o", "json"]).await);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["events"][0]["contents"]["currency"], TRICKS);
    assert_plain(&json);
    for args in [
        &["explain", TRICKS][..],
        &["quarantine", "list", "--reason", TRICKS],
        &["inbox", "show", TRICKS],
    ] {
        let told = run(&rig, args).await;
        assert_plain(&stderr(&told));
        assert_plain(&stdout(&told));
    }
}

/// Numbers, times and texts that are none, or none that anybody can mean.
#[tokio::test(flavor = "multi_thread")]
async fn no_argument_makes_a_command_panic() {
    let rig = Rig::new(1).await;
    let far = ["0s", "-1s", "18446744073709551615d", "106751991167300d", "9999999d", "é", ""];
    let numbers =
        ["-9223372036854775808", "9223372036854775807", "18446744073709551616", "0", "1e9"];
    let times = [
        "-9999-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
        "106751991167300d",
        "",
    ];
    let texts = [TRICKS, "", "'; DROP TABLE payments; --", "%s%n", "../../etc/passwd"];
    let tables: [(&[&str], &[&str]); 14] = [
        (&["quarantine", "list", "--since"], &far),
        (&["quarantine", "list", "--until"], &far),
        (&["quarantine", "list", "--id"], &numbers),
        (&["quarantine", "show"], &numbers),
        (&["inbox", "list", "--limit"], &numbers),
        (&["outbox", "list", "--limit"], &numbers),
        (&["offsets", "reset", "--to-offset"], &numbers),
        (&["offsets", "reset", "--shift-by"], &numbers),
        (&["offsets", "reset", "--to-datetime"], &times),
        (&["reconcile", "run", "--dry-run", "--since"], &times),
        (&["reconcile", "show"], &numbers),
        (&["explain"], &texts),
        (&["inbox", "show"], &texts),
        (&["send-test", "--timeout"], &far),
    ];
    let file = rig.config_file(&rig.url(), "", "");
    let runs =
        tables.iter().flat_map(|(args, values)| values.iter().map(move |value| (args, value)));
    for (args, value) in runs {
        // A value that looks like an option is one.
        let (option, rest) = args.split_last().unwrap();
        let words = match option.starts_with("--") {
            true => vec![format!("{option}={value}")],
            false => vec![(*option).to_owned(), "--".to_owned(), (*value).to_owned()],
        };
        let config = file.clone();
        let mut asked = command();
        asked.args(rest.iter()).args(&words);
        if option.starts_with("--") {
            asked.arg("--config").arg(&config);
        } else {
            asked.env("MAKEGOOD_CONFIG", &config);
        }
        let run = tokio::task::spawn_blocking(move || asked.stdin(Stdio::null()).output().unwrap());
        let ended = timeout(Duration::from_secs(60), run).await.expect("an end").unwrap();
        let said = stderr(&ended);
        assert!(!said.contains("panicked"), "{args:?} {value:?}: {said}");
        let code = ended.status.code();
        assert!(
            code.is_some_and(|code| [0, 1, 2, 5, 6].contains(&code)),
            "{args:?} {value:?}: {code:?} {said}"
        );
        assert_plain(&said);
    }
}
