//! What a first start stumbles over is named, and no secret is ever said aloud.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use lab::servers::kafka::PrivateKafka;
use makegood::config;
use makegood::kafka::connectivity;
use rules::problem::Code;

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::rig::Rig;

/// Waits until the daemon's log has all of these words in one line.
async fn says(daemon: &Daemon, words: &[&str]) {
    eventually(&format!("the log to say {words:?}"), || async {
        let log = daemon.log();
        log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_cannot_be_reached_is_named_with_its_address() {
    let rig = Rig::new(1).await;
    let right = rig.config(&rig.url(), "", "");
    let config = rig.path("unreachable.toml");
    fs::write(&config, right.replace(&rig.world.kafka.bootstrap(), "127.0.0.1:1")).unwrap();
    let mut daemon = Daemon::start(&config, 0);
    says(&daemon, &["MG3001", "no Kafka broker answers at 127.0.0.1:1", "bootstrap_servers"]).await;
    assert_eq!(daemon.ended(), None, "it goes on trying");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_sends_its_clients_astray_is_found_out() {
    let rig = Rig::new(1).await;
    finds(&rig.world.kafka.bootstrap(), None).await;
    let astray = tokio::task::spawn_blocking(|| {
        let mut kafka = PrivateKafka::start().unwrap();
        kafka.stop_hard().unwrap();
        let file = kafka.folder().join("server.properties");
        let right = fs::read_to_string(&file).unwrap();
        let advertised = format!("advertised.listeners=CLIENT://{}", kafka.bootstrap());
        assert!(right.contains(&advertised), "{right}");
        let wrong = right.replace(&advertised, "advertised.listeners=CLIENT://localhost:1");
        fs::write(&file, wrong).unwrap();
        kafka.start_again().unwrap();
        kafka
    })
    .await
    .unwrap();

    finds(&astray.bootstrap(), Some(Code::KafkaAdvertised)).await;
    let config = rig.path("astray.toml");
    let right = rig.config(&rig.url(), "", "");
    fs::write(&config, right.replace(&rig.world.kafka.bootstrap(), &astray.bootstrap())).unwrap();
    let daemon = Daemon::start(&config, 0);
    says(&daemon, &["MG3002", "advertises localhost:1", "advertised.listeners"]).await;
}

/// Waits until the check of these brokers ends so; they may not be in service at once.
async fn finds(bootstrap: &str, expected: Option<Code>) {
    let settings = config::Kafka {
        bootstrap_servers: bootstrap.to_owned(),
        properties: BTreeMap::new(),
        token_command: config::Program::default(),
        msk_region: None,
    };
    eventually(&format!("the check of {bootstrap} to find {expected:?}"), || async {
        let settings = settings.clone();
        let check = move || connectivity::check(&settings, Duration::from_secs(10));
        let found = tokio::task::spawn_blocking(check).await.unwrap();
        (found.err().map(|problem| problem.code) == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_line_of_what_a_failing_daemon_says() {
    let rig = Rig::new(1).await;
    let (in_url, in_properties) = ("canary-of-the-url", "canary-of-sasl");
    let sasl = format!(
        "[kafka.properties]\n\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"PLAIN\"\n\
         \"sasl.username\" = \"makegood\"\n\"sasl.password\" = \"{in_properties}\"\n"
    );
    let loud = "[log]\nlevel = \"trace\"\n";
    let port = rig.world.postgres.port();
    let start = |name: &str, url: &str| {
        let text = rig.config(url, "", loud).replace("[kafka.properties]\n", &sasl);
        let config = rig.path(name);
        fs::write(&config, text).unwrap();
        Daemon::start(&config, 0)
    };
    // Nobody listens; the password is wrong; PostgreSQL is right and Kafka refuses the login.
    let nobody = start("nobody.toml", &format!("postgres://shop:{in_url}@127.0.0.1:1/shop"));
    says(&nobody, &["waiting", "127.0.0.1:1"]).await;
    let wrong =
        start("wrong.toml", &format!("postgres://postgres:{in_url}@127.0.0.1:{port}/postgres"));
    says(&wrong, &["waiting", "password authentication failed"]).await;
    let kafka = start("kafka.toml", &rig.url());
    says(&kafka, &["MG300"]).await;
    let password = rig.url().split([':', '@']).nth(2).unwrap().to_owned();
    assert!(password.len() > 20);
    for said in [nobody.log(), wrong.log(), kafka.log()] {
        assert!(said.contains("makegood starts") && said.len() > 500, "{said}");
        for canary in [in_url, in_properties, &password] {
            assert!(!said.contains(canary), "{canary} is in:\n{said}");
        }
    }
    // A configuration that is refused must not be quoted either.
    let broken = rig.path("broken.toml");
    let text = rig.config(&format!("postgres://shop:{in_url}@[::1/shop"), "", "nonsense = 1\n");
    fs::write(&broken, text.replace("[kafka.properties]\n", &sasl)).unwrap();
    let mut daemon = Daemon::start(&broken, 0);
    let status = tokio::task::block_in_place(|| daemon.wait(Duration::from_secs(60)));
    assert_eq!(status.code(), Some(78));
    for canary in [in_url, in_properties] {
        assert!(!daemon.log().contains(canary), "{canary} is in:\n{}", daemon.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sighup_reads_the_log_level_again() {
    let rig = Rig::new(1).await;
    let file = rig.config_file(&rig.url(), "", "");
    let daemon = Daemon::start(&file, 0);
    says(&daemon, &["reading"]).await;
    assert!(!daemon.log().contains("\"DEBUG\""), "{}", daemon.log());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[log]\nlevel = \"debug\"\n")).unwrap();
    daemon.signal("HUP");
    says(&daemon, &["log level read again"]).await;
    rig.pay(&payments(1)).await;
    says(&daemon, &["DEBUG", "batch applied"]).await;
    fs::write(&file, format!("{text}\n[log]\nlevel = \"makegood=chatty\"\n")).unwrap();
    daemon.signal("HUP");
    says(&daemon, &["ERROR", "the old log level stays"]).await;
}
