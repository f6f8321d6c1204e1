//! Promise: page, metrics, probes and commands tell the same, and the truth, within ten seconds of its change.
//! Each state is made for real, on servers of the test's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::servers::kafka::PrivateKafka;
use lab::servers::postgres::PrivatePostgres;
use makegood::config;
use makegood::kafka::produce::Producer;
use rules::record::Record;
use serde_json::Value;

use crate::commands::stdout;
use crate::support::daemon::{self, Daemon, command};
use crate::support::events::{payments, raw};
use crate::support::eventually;
use crate::support::http::{address, get, scrape};
use crate::support::rig::Rig;
use crate::support::sending::make_topic;
use crate::support::world::{HOST_TABLES, connect};

/// How soon a daemon has to tell the truth.
const SOON: Duration = Duration::from_secs(10);

/// A state of the world, as everybody has to tell it.
struct Truth {
    verdict: &'static str,
    /// The checks of `/readyz` that fail.
    fails: &'static [&'static str],
    postgres: bool,
    kafka: bool,
    /// The exit code of `makegood status --exit-code`.
    status: i32,
}

const WELL: Truth = Truth { verdict: "ok", fails: &[], postgres: true, kafka: true, status: 0 };

/// A daemon on servers of its own, which may be hurt.
struct Site {
    postgres: PrivatePostgres,
    kafka: PrivateKafka,
    config: PathBuf,
    rig: Rig,
    _daemon: Daemon,
    at: String,
}

impl Site {
    async fn start() -> Site {
        let rig = Rig::new(1).await;
        let start = || (PrivatePostgres::start(false).unwrap(), PrivateKafka::start().unwrap());
        let (postgres, kafka) = tokio::task::spawn_blocking(start).await.unwrap();
        make_topic(&kafka.bootstrap(), &rig.topic, 2, &[]).await;
        connect(&postgres.url("postgres")).await.batch_execute(HOST_TABLES).await.unwrap();
        let text = rig.config(&postgres.url("postgres"), "", "");
        let config = rig.path("site.toml");
        let shared = rig.world.kafka.bootstrap();
        std::fs::write(&config, text.replace(&shared, &kafka.bootstrap())).unwrap();
        let daemon = Daemon::start(&config, 0);
        let at = address(&daemon).await;
        Site { postgres, kafka, config, rig, _daemon: daemon, at }
    }

    async fn sql(&self, sql: &str) {
        connect(&self.postgres.url("postgres")).await.batch_execute(sql).await.unwrap();
    }

    async fn send(&self, record: &Record) {
        let bootstrap_servers = self.kafka.bootstrap();
        let kafka = config::Kafka {
            bootstrap_servers,
            properties: BTreeMap::new(),
            token_command: config::Program::default(),
            msk_region: None,
        };
        let producer = Producer::new(&kafka, &self.rig.topic).unwrap();
        producer.send(record, SOON).await.unwrap();
    }

    /// Waits until the work is done, which takes the servers' time too.
    async fn ready(&self) {
        eventually("the daemon to be ready", || async {
            (get(&self.at, "/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    /// Waits until the daemon tells the truth, at most ten seconds; then asks the commands.
    async fn tells(&self, what: &str, truth: &Truth) {
        let began = Instant::now();
        eventually(what, || async { (self.daemon_says(truth).await == Ok(())).then_some(()) })
            .await;
        let took = began.elapsed();
        eprintln!("{what}: told after {took:?}");
        assert!(took <= SOON, "{what}: told after {took:?}");
        self.commands_say(what, truth).await;
        assert_eq!(get(&self.at, "/livez").await.status, 200, "{what}: it lives all the same");
    }

    async fn daemon_says(&self, truth: &Truth) -> Result<(), String> {
        let ready = get(&self.at, "/readyz").await;
        let status = get(&self.at, "/api/v1/status").await.json();
        let metrics = scrape(&self.at).await;
        let checks = ready.json();
        let failed: Vec<&str> = (checks["checks"].as_array().unwrap().iter())
            .filter(|check| check["ok"] == false)
            .map(|check| check["check"].as_str().unwrap())
            .collect();
        let verdict = |word: &str| {
            let series =
                format!("makegood_route_verdict{{route=\"purchases\",verdict=\"{word}\"}}");
            metrics.get(&series).copied()
        };
        let check = |name: &str| metrics.get(&format!("makegood_ready_check{{check=\"{name}\"}}"));
        let is_ready = truth.fails.is_empty();
        let agree = failed == truth.fails
            && (ready.status == 200) == is_ready
            && metrics.get("makegood_ready") == Some(&f64::from(u8::from(is_ready)))
            && failed.iter().all(|name| check(name) == Some(&0.0))
            && verdict(truth.verdict) == Some(1.0)
            && (!truth.postgres || self.view_says().await == truth.verdict)
            && (!truth.postgres || status["outbox"]["verdict"] == self.outbox_view_says().await)
            && says(&status, truth);
        if agree { Ok(()) } else { Err(format!("{failed:?} {status}")) }
    }

    /// What the database tells whoever reads SQL.
    async fn view_says(&self) -> String {
        let client = connect(&self.postgres.url("postgres")).await;
        let sql = "SELECT verdict FROM makegood.status WHERE starts_with(sentence, verdict)";
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn outbox_view_says(&self) -> String {
        let client = connect(&self.postgres.url("postgres")).await;
        let sql = "SELECT verdict FROM makegood.outbox_status WHERE starts_with(sentence, verdict)";
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn commands_say(&self, what: &str, truth: &Truth) {
        eventually(&format!("{what}: the commands to say so"), || async {
            let run = |args: &'static [&'static str]| {
                let mut command = command();
                command.args(args).arg("--config").arg(&self.config);
                tokio::task::spawn_blocking(move || command.output().unwrap())
            };
            let output = run(&["status", "--exit-code", "-o", "json"]).await.unwrap();
            let status: Value = serde_json::from_str(&stdout(&output)).unwrap();
            let agrees = says(&status, truth) && output.status.code() == Some(truth.status);
            if !agrees {
                eprintln!("{what}: the command said {}: {status}", output.status);
            }
            agrees.then_some(())
        })
        .await;
        let url = format!("http://{}", self.at);
        let health = command().args(["health", "--url", &url]).output().unwrap();
        assert_eq!(health.status.success(), truth.fails.is_empty(), "{what}: {}", stdout(&health));
        for check in truth.fails {
            assert!(
                stdout(&health).contains(&format!("  {check}: ")),
                "{what}: {}",
                stdout(&health)
            );
        }
    }
}

/// Whether a status document tells the truth.
fn says(status: &Value, truth: &Truth) -> bool {
    let route = &status["routes"][0];
    route["verdict"] == truth.verdict
        && status["database"]["reachable"] == truth.postgres
        && route["kafka"]["reachable"] == truth.kafka
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_tells_the_same_truth_about_every_state() {
    let mut site = Site::start().await;
    site.ready().await;
    site.send(&payments(1)[0].record()).await;
    site.tells("all is well", &WELL).await;

    site.sql("ALTER TABLE student_course_purchases RENAME COLUMN amount TO price").await;
    site.send(&payments(1)[0].record()).await;
    let held = Truth { verdict: "suspect", fails: &["routes"], status: 3, ..WELL };
    site.tells("the schema does not fit", &held).await;
    site.sql("ALTER TABLE student_course_purchases RENAME COLUMN price TO amount").await;
    site.tells("the schema is mended", &WELL).await;

    let unreachable = Truth {
        verdict: "unreachable",
        fails: &["postgres", "routes", "outbox"],
        postgres: false,
        status: 4,
        ..WELL
    };
    site.postgres.stop_immediate().unwrap();
    site.tells("PostgreSQL is stopped", &unreachable).await;
    site.postgres.start_again().unwrap();
    site.ready().await;
    site.tells("PostgreSQL is back", &WELL).await;

    site.kafka.pause().unwrap();
    // One look waits long enough for what was known to be old.
    let (said, code) = daemon::status(&site.config).await;
    assert!(said.starts_with("purchases: unknown: Kafka is out of reach"), "{said}");
    assert_eq!(code, Some(4), "{said}");
    // That it is out of reach is told at once; until the last look is eight seconds old, what is known counts.
    eventually("the daemon to miss Kafka", || async {
        let checks = get(&site.at, "/readyz").await.json();
        (checks["checks"][3]["check"] == "kafka" && checks["checks"][3]["ok"] == false)
            .then_some(())
    })
    .await;
    let unknown =
        Truth { verdict: "unknown", fails: &["kafka", "routes"], kafka: false, status: 4, ..WELL };
    site.tells("Kafka is frozen", &unknown).await;
    site.kafka.resume().unwrap();
    site.ready().await;
    site.tells("Kafka is thawed", &WELL).await;

    site.send(&raw(Some(b"key"), Some(b"\xff"))).await;
    // Work is done, so it is ready; a person is wanted all the same.
    let quarantine = Truth { verdict: "quarantine", status: 3, ..WELL };
    site.tells("a record is in quarantine", &quarantine).await;
    let series = "makegood_quarantine_records{route=\"purchases\",reason=\"not_utf8\"}";
    assert_eq!(scrape(&site.at).await.get(series), Some(&1.0));
}
