//! Doctor while something is locked or silent: it says what it knows as it knows it, names who is in the way,
//! and ends.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::{has, in_payments};
use crate::support::daemon::command;
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::world::connect;

/// Within this it has to end, whatever is locked or silent.
const PATIENCE: Duration = Duration::from_secs(30);

struct Heard {
    status: ExitStatus,
    text: String,
    /// When the first line came, and when the last.
    first: Duration,
    last: Duration,
}

/// Runs doctor and listens to it.
async fn listen(config: PathBuf, format: &'static str) -> Heard {
    let listening = move || {
        let mut doctor = command();
        doctor.args(["doctor", "-o", format, "--config"]).arg(config);
        let began = Instant::now();
        let mut child = doctor.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut text, mut first) = (String::new(), None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            first.get_or_insert(began.elapsed());
            text += &(line.unwrap() + "\n");
        }
        let status = child.wait().unwrap();
        Heard { status, text, first: first.unwrap_or_default(), last: began.elapsed() }
    };
    tokio::task::spawn_blocking(listening).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_who_has_locked_what_once_and_ends() {
    let rig = Rig::new(1).await;
    let paid = payments(2);
    in_payments(&rig, &paid).await;
    rig.pay(&paid).await;
    let blocker = connect(&rig.url()).await;
    blocker
        .batch_execute(
            "SET application_name = 'night shift'; BEGIN;
             LOCK TABLE payments, student_course_purchases, makegood.positions, makegood.inbox,
                 makegood.routes, makegood.outbox, makegood.inbox_migrations IN ACCESS EXCLUSIVE MODE",
        )
        .await
        .unwrap();
    let pid: i32 = blocker.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let heard = listen(rig.config_file(&rig.url(), "", ""), "table").await;
    let text = &heard.text;
    assert_eq!(heard.status.code(), Some(1), "{text}");
    assert!(heard.last < PATIENCE, "it took {:?}: {text}", heard.last);
    assert!(heard.first < heard.last / 2, "nothing was said for {:?}: {text}", heard.first);
    let mend = format!("SELECT pg_terminate_backend({pid});");
    assert_eq!(text.matches(&mend).count(), 1, "{text}");
    assert_eq!(text.matches("night shift").count(), 1, "{text}");
    assert!(text.contains("PASS  kafka.topic"), "the rest is looked at: {text}");
    let unseen = |line: &str| line.starts_with("UNSEEN") && line.contains("mapping.trial");
    assert!(text.lines().any(unseen), "{text}");
    // What it prints mends it.
    rig.client.batch_execute(&mend).await.unwrap();
    let heard = listen(rig.config_file(&rig.url(), "", ""), "json").await;
    assert_eq!(heard.status.code(), Some(0), "{}", heard.text);
    has(&heard.text, "mapping.trial", "pass", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_take_connections_and_never_answer_are_said_once_each() {
    let rig = Rig::new(1).await;
    // The kernel takes the connections; nobody reads from them.
    let (kafka, database) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let (kafka, at) = (kafka.local_addr().unwrap().to_string(), database.local_addr().unwrap());
    let job = |name: &str, inbox: &str| {
        format!("[[reconcile]]\nname = \"{name}\"\ninbox = \"{inbox}\"\nsource = \"payments\"\n")
    };
    let more = format!(
        "[[inbox]]\nname = \"second\"\ntopic = \"second\"\ngroup = \"second\"\n{}{}\
         [outbox]\ndatabase = \"payments\"\n\
         [databases.payments]\nurl = \"postgres://nobody@{at}/pay?sslmode=disable\"\n",
        job("one", "purchases"),
        job("two", "second"),
    );
    let text = rig.config(&rig.url(), "", &more).replace(&rig.world.kafka.bootstrap(), &kafka);
    let config = rig.path("silent.toml");
    std::fs::write(&config, text).unwrap();
    let heard = listen(config, "table").await;
    let text = &heard.text;
    assert!(heard.last < PATIENCE, "it took {:?}: {text}", heard.last);
    assert!(heard.first < heard.last / 2, "nothing was said for {:?}: {text}", heard.first);
    let failed =
        |at: &str| text.lines().filter(|l| l.starts_with("FAIL") && l.contains(at)).count();
    assert_eq!(failed(&at.to_string()), 1, "{text}");
    assert_eq!(failed(&kafka), 1, "{text}");
    assert_eq!(text.matches("PASS  mapping.apply").count(), 2, "{text}");
    drop(database);
}
