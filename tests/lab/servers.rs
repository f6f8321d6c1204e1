//! The private servers: they start side by side, survive a pulled plug, and leave nothing behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::servers::host::PrivateFolder;
use lab::servers::kafka::PrivateKafka;
use lab::servers::postgres::PrivatePostgres;
use lab::servers::process::{Launch, Server};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn both_servers_run_twice_at_once_and_leave_nothing_behind() {
    let pairs: Vec<_> = std::thread::scope(|scope| {
        let start = || (PrivatePostgres::start(false).unwrap(), PrivateKafka::start().unwrap());
        let starts = [scope.spawn(start), scope.spawn(start)];
        starts.map(|start| start.join().unwrap()).into()
    });
    let mut left: Vec<(u32, PathBuf)> = Vec::new();
    for (postgres, kafka) in pairs {
        assert_eq!(sql(&postgres, "SELECT 42"), "42");
        assert_eq!(sql(&postgres, "SHOW synchronous_commit"), "on");
        assert_eq!(sql(&postgres, "SHOW fsync"), "off");
        kafka.topics(&["--create", "--topic", "t", "--partitions", "2"]).unwrap();
        assert_eq!(kafka.topics(&["--list"]).unwrap().trim(), "t");
        assert_eq!(kafka.consumer_groups(&["--list"]).unwrap().trim(), "");
        left.push((postgres.pid().unwrap(), postgres.folder().into()));
        left.push((kafka.pid().unwrap(), kafka.folder().into()));
    }
    for (pid, folder) in left {
        assert!(!runs(pid), "process {pid} still runs");
        assert!(!folder.exists(), "{} still exists", folder.display());
    }
}

#[test]
fn only_a_durable_postgres_syncs_its_files() {
    let postgres = PrivatePostgres::start(true).unwrap();
    assert_eq!(sql(&postgres, "SHOW fsync"), "on");
    assert_eq!(sql(&postgres, "SHOW full_page_writes"), "on");
}

#[test]
fn nobody_logs_in_to_a_private_postgres_without_its_password() {
    let postgres = PrivatePostgres::start(false).unwrap();
    let bare = format!("postgres://postgres:guess@127.0.0.1:{}/postgres", postgres.port());
    let refused = block_on(tokio_postgres::connect(&bare, tokio_postgres::NoTls)).err().unwrap();
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD));
}

#[test]
fn committed_rows_outlive_a_pulled_plug() {
    let mut postgres = PrivatePostgres::start(false).unwrap();
    let (port, first) = (postgres.port(), postgres.pid().unwrap());
    sql(&postgres, "CREATE TABLE kept AS SELECT 7 AS number");
    postgres.stop_immediate().unwrap();
    assert!(!runs(first));
    postgres.start_again().unwrap();
    assert_eq!(postgres.port(), port);
    assert_eq!(sql(&postgres, "SELECT number FROM kept"), "7");
    let log = std::fs::read_to_string(postgres.folder().join("log")).unwrap();
    assert!(log.contains("not properly shut down"), "the stop was a clean one:\n{log}");
}

#[test]
fn acknowledged_records_outlive_a_killed_broker() {
    let mut kafka = PrivateKafka::start().unwrap();
    kafka.topics(&["--create", "--topic", "kept", "--partitions", "1"]).unwrap();
    send(&kafka.bootstrap(), "kept");
    let (bootstrap, first) = (kafka.bootstrap(), kafka.pid().unwrap());
    kafka.stop_hard().unwrap();
    assert!(!runs(first));
    kafka.start_again().unwrap();
    assert_eq!(kafka.bootstrap(), bootstrap);
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    assert_eq!(client.fetch_watermarks("kept", 0, SOON).unwrap(), (0, 1));
}

#[test]
fn a_paused_broker_is_silent_until_resumed() {
    let kafka = PrivateKafka::start().unwrap();
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    client.fetch_metadata(None, SOON).unwrap();
    kafka.pause().unwrap();
    client.fetch_metadata(None, Duration::from_millis(500)).unwrap_err();
    kafka.resume().unwrap();
    client.fetch_metadata(None, SOON).unwrap();
    // Dropping a paused one must not hang either.
    kafka.pause().unwrap();
    let pid = kafka.pid().unwrap();
    drop(kafka);
    assert!(!runs(pid));
}

#[test]
fn a_server_that_does_not_start_shows_the_end_of_its_log() {
    let folder = PrivateFolder::new("test", None).unwrap();
    let mut server = shell(&folder, "echo no room here; exit 3");
    let problem = server.wait_until(SOON, || false).unwrap_err();
    assert!(problem.reason.contains("exit status: 3"), "{problem}");
    assert!(problem.advice.contains("no room here"), "{problem}");
}

#[test]
fn a_server_that_ignores_its_stop_signal_is_killed() {
    let folder = PrivateFolder::new("test", None).unwrap();
    let mut server = shell(&folder, "trap '' TERM; echo up; while :; do sleep 1; done");
    let log = folder.path().join("log");
    server.wait_until(SOON, || std::fs::read_to_string(&log).is_ok_and(|l| l == "up\n")).unwrap();
    let pid = server.pid();
    drop(server);
    assert!(!runs(pid));
}

#[test]
fn servers_end_with_an_owner_that_is_killed() {
    let mut owner = Owner::start();
    let (pid, folder) = owner.server();
    assert!(runs(pid) && folder.exists());
    owner.0.kill().unwrap();
    eventually("the server is gone", || !runs(pid));
    eventually("its folder is gone", || !folder.exists());
}

/// Not a promise of its own: what the test above runs in a process it can kill.
#[test]
#[ignore = "run by servers_end_with_an_owner_that_is_killed in a process of its own"]
fn own_a_server_for_ever() {
    let postgres = PrivatePostgres::start(false).unwrap();
    println!("\nowns {} {}", postgres.pid().unwrap(), postgres.folder().display());
    loop {
        std::thread::park();
    }
}

/// This test binary, running [`own_a_server_for_ever`].
struct Owner(Child);

impl Owner {
    fn start() -> Owner {
        let mut again = Command::new(std::env::current_exe().expect("a test knows its binary"));
        again.args(["--ignored", "--exact", "own_a_server_for_ever", "--nocapture"]);
        Owner(again.stdout(Stdio::piped()).spawn().expect("the test binary runs again"))
    }

    fn server(&mut self) -> (u32, PathBuf) {
        let stdout = self.0.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let line =
            lines.find(|line| line.starts_with("owns ")).expect("the owner says what it owns");
        let words: Vec<&str> = line.split(' ').collect();
        (words[1].parse().expect("a process id"), Path::new(words[2]).to_owned())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shell(folder: &PrivateFolder, script: &str) -> Server {
    let launch = Launch {
        name: "the script",
        command: ["sh", "-c", script].map(Into::into).into(),
        folder: folder.path().to_owned(),
        account: None,
        stop_signal: "TERM",
    };
    Server::start(launch).expect("a shell starts")
}

fn runs(pid: u32) -> bool {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s 0 \"$1\" 2>/dev/null", "sh", &pid.to_string()]);
    kill.status().expect("sh runs").success()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "not so in {SOON:?}: {what}");
        std::thread::yield_now();
    }
}

fn send(bootstrap: &str, topic: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .expect("a producer can be made");
    producer
        .send(BaseRecord::<(), str>::to(topic).payload("paid"))
        .map_err(|(error, _)| error)
        .expect("the record is queued");
    producer.flush(SOON).expect("the broker acknowledges");
}

fn sql(postgres: &PrivatePostgres, statement: &str) -> String {
    let url = postgres.url("postgres");
    block_on(async move {
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("a login");
        let connection = tokio::spawn(connection);
        let answer = client.simple_query(statement).await.expect("the statement works");
        drop(client);
        connection.await.expect("the connection ends").expect("in order");
        let value = answer.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        value.unwrap_or_default()
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}
