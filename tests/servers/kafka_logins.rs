//! A Kafka that wants TLS and a login gets what the configuration says, from every client; and who is not let in, or
//! may not do something, hears which of the settings or rights it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::mapping_commands::checks;
use crate::support::daemon::{Daemon, command};
use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::secured::{Login, SECRET, SecuredKafka, with, without};
use crate::support::{eventually, ledger};

pub async fn secured(rig: &Rig) -> SecuredKafka {
    let kafka = tokio::task::spawn_blocking(SecuredKafka::start).await.unwrap();
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", kafka.kafka.bootstrap());
    let admin: AdminClient<DefaultClientContext> = settings.create().unwrap();
    let topic = NewTopic::new(&rig.topic, 2, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    made[0].as_ref().unwrap();
    kafka
}

/// Runs a command and returns its exit code and what it printed.
pub async fn said(config: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut asked = command();
    asked.args(args).arg("--config").arg(config);
    let out = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(text).unwrap())
}

/// The rights that the documentation says makegood takes, as arguments of `kafka-acls`: for this user, topic and group.
fn documented(rig: &Rig, user: &str) -> Vec<Vec<String>> {
    let lines = include_str!("../../docs/how-to/tls-and-sasl.md").lines();
    let commands =
        lines.filter_map(|line| line.strip_prefix("kafka-acls --bootstrap-server BROKER "));
    let words = |line: &str| {
        let filled = (line.replace("User:makegood", user))
            .replace("purchase-confirmed", &rig.topic)
            .replace("purchase-creation-workers", &rig.group);
        filled.split_whitespace().map(str::to_owned).collect()
    };
    commands.map(words).collect()
}

fn change(kafka: &SecuredKafka, how: &str, right: &[String]) {
    let mut args: Vec<&str> = right.iter().map(String::as_str).collect();
    for word in &mut args {
        *word = if *word == "--add" { how } else { *word };
    }
    if how == "--remove" {
        args.push("--force");
    }
    kafka.acls(&args);
}

/// Publishes a payment in the outbox.
pub async fn publish(rig: &Rig) -> Payment {
    let payment = payments(1).remove(0);
    let sql = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb)";
    let (key, json) = (payment.student.to_string(), payment.json());
    rig.client.query_one(sql, &[&rig.topic, &key, &json]).await.unwrap();
    payment
}

pub async fn purchases(rig: &Rig, count: usize) {
    eventually("the purchase", || async {
        (ledger::count(&rig.client).await == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_goes_from_the_outbox_to_its_purchase_through_every_login() {
    let rig = Rig::new(2).await;
    let kafka = secured(&rig).await;
    for user in ["User:makegood", "User:CN=makegood"] {
        let rights = documented(&rig, user);
        assert!(!rights.is_empty());
        rights.iter().for_each(|right| change(&kafka, "--add", right));
    }
    let mut paid = Vec::new();
    for (name, bootstrap, login) in [
        ("plain", kafka.sasl(), kafka.login("PLAIN")),
        ("scram", kafka.sasl(), kafka.login("SCRAM-SHA-512")),
        ("certificate", kafka.mtls(), kafka.certificate()),
    ] {
        let config = rig.path(&format!("{name}.toml"));
        fs::write(&config, kafka.config(&rig, &bootstrap, &login, "[outbox]\n")).unwrap();
        let daemon = Daemon::start(&config, 0);
        // The relay's producer sends it, the member reads it, the probe finds its start.
        paid.push(publish(&rig).await);
        purchases(&rig, paid.len()).await;
        // The watchdog's and the overview's handles see the same.
        eventually("status to be ok", || async {
            let (_, text) = said(&config, &["status"]).await;
            text.starts_with("ok: ").then_some(())
        })
        .await;
        // Reach, group, topic settings by the admin client, the records in the topic.
        let (code, json) = said(&config, &["doctor", "-o", "json"]).await;
        assert_eq!(code, Some(0), "{json}");
        assert!(!json.contains("cannot"), "{json}");
        for name in ["kafka.reach", "kafka.group", "kafka.topic", "start.events"] {
            assert!(!checks(&json, name).is_empty(), "{json}");
        }
        // The plain producer.
        let (code, text) = said(&config, &["send-test"]).await;
        assert_eq!(code, Some(0), "{text}");
        assert!(!daemon.log().contains(SECRET), "{}", daemon.log());
        daemon.stop();
    }
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// Which login is wrong how, and what has to be named.
fn wrong(kafka: &SecuredKafka) -> Vec<(&'static str, String, Login, Vec<&'static str>)> {
    let (sasl, mtls) = (kafka.sasl(), kafka.mtls());
    let (plain, scram) = (kafka.login("PLAIN"), kafka.login("SCRAM-SHA-512"));
    let certificate = kafka.certificate();
    let other = |file: &str| kafka.path(&format!("other/{file}"));
    let stranger = with(&certificate, "ssl.certificate.location", other("client.pem"));
    let stranger =
        without(&with(&stranger, "ssl.key.location", other("client.key")), &["ssl.key.password"]);
    let anonymous = ["ssl.certificate.location", "ssl.key.location", "ssl.key.password"];
    vec![
        (
            "plain password",
            sasl.clone(),
            with(&plain, "sasl.password", "wrong"),
            vec!["sasl.password"],
        ),
        (
            "plain user",
            sasl.clone(),
            with(&plain, "sasl.username", "nobody"),
            vec!["sasl.username"],
        ),
        (
            "scram password",
            sasl.clone(),
            with(&scram, "sasl.password", "wrong"),
            vec!["sasl.password"],
        ),
        (
            "scram user",
            sasl.clone(),
            with(&scram, "sasl.username", "nobody"),
            vec!["sasl.username"],
        ),
        (
            "mechanism",
            sasl.clone(),
            with(&scram, "sasl.mechanism", "SCRAM-SHA-256"),
            vec!["sasl.mechanism", "SCRAM-SHA-512"],
        ),
        (
            "authority",
            sasl.clone(),
            with(&scram, "ssl.ca.location", other("ca.pem")),
            vec!["ssl.ca.location"],
        ),
        (
            "no login",
            sasl.clone(),
            with(
                &without(&scram, &["sasl.mechanism", "sasl.username", "sasl.password"]),
                "security.protocol",
                "ssl",
            ),
            vec!["security.protocol", "sasl"],
        ),
        ("plaintext to TLS", sasl.clone(), vec![], vec!["security.protocol"]),
        ("plaintext to mutual TLS", mtls.clone(), vec![], vec!["security.protocol"]),
        (
            "login in plaintext to TLS",
            sasl.clone(),
            with(&plain, "security.protocol", "sasl_plaintext"),
            vec!["security.protocol"],
        ),
        (
            "TLS to plaintext",
            kafka.kafka.bootstrap(),
            certificate.clone(),
            vec!["security.protocol"],
        ),
        (
            "login by TLS to plaintext",
            kafka.kafka.bootstrap(),
            scram.clone(),
            vec!["security.protocol"],
        ),
        (
            "login to a listener without",
            mtls.clone(),
            with(&certificate, "security.protocol", "sasl_ssl")
                .into_iter()
                .chain(without(&plain, &["security.protocol", "ssl.ca.location"]))
                .collect(),
            vec!["security.protocol"],
        ),
        (
            "no client certificate",
            mtls.clone(),
            without(&certificate, &anonymous),
            vec!["ssl.certificate.location"],
        ),
        ("client certificate", mtls.clone(), stranger, vec!["ssl.certificate.location"]),
        (
            "key password",
            mtls.clone(),
            with(&certificate, "ssl.key.password", "wrong"),
            vec!["ssl.key.password"],
        ),
        (
            "no key password",
            mtls.clone(),
            without(&certificate, &["ssl.key.password"]),
            vec!["ssl.key.password"],
        ),
        (
            "key of another certificate",
            mtls.clone(),
            with(&certificate, "ssl.certificate.location", kafka.path("broker.pem")),
            vec!["ssl.key.location"],
        ),
        (
            "no such file",
            mtls,
            with(&certificate, "ssl.ca.location", "/nowhere/ca.pem"),
            vec!["ssl.ca.location", "/nowhere/ca.pem"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_login_is_named() {
    let rig = Rig::new(2).await;
    let kafka = secured(&rig).await;
    let mut bad = Vec::new();
    let table = wrong(&kafka);
    let asked = table.into_iter().map(|(name, bootstrap, login, words)| {
        let config = rig.path(&format!("{}.toml", name.replace(' ', "-")));
        fs::write(&config, kafka.config(&rig, &bootstrap, &login, "")).unwrap();
        async move {
            let (_, doctor) = said(&config, &["doctor", "-o", "json"]).await;
            let (_, status) = said(&config, &["status"]).await;
            (name, words, doctor, status)
        }
    });
    for (name, words, doctor, status) in futures_util::future::join_all(asked).await {
        let doctor: Vec<String> =
            checks(&doctor, "kafka.reach").into_iter().map(|(l, s)| format!("{l}: {s}")).collect();
        for (what, text) in [("doctor", doctor.join("\n")), ("status", status)] {
            let is_named = words.iter().all(|word| text.contains(word));
            let is_idle =
                ["is Kafka running", "within 10 s", "timed out"].iter().any(|w| text.contains(w));
            if !is_named || is_idle {
                bad.push(format!("--- {name}, {what}:\n{text}"));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Waits until a command says this.
async fn named(config: &Path, command: &str, words: &str) {
    eventually(&format!("{command} to say {words}"), || async {
        let (_, text) = said(config, &[command]).await;
        text.contains(words).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_is_named_and_its_return_is_all_that_is_needed() {
    let rig = Rig::new(2).await;
    let kafka = secured(&rig).await;
    let rights = documented(&rig, "User:makegood");
    rights.iter().for_each(|right| change(&kafka, "--add", right));
    let config = rig.path("makegood.toml");
    let login = kafka.login("SCRAM-SHA-512");
    fs::write(
        &config,
        kafka.config(&rig, &kafka.sasl(), &login, "[outbox]\n[watchdog]\npatience = \"5s\"\n"),
    )
    .unwrap();
    let daemon = Daemon::start(&config, 0);
    let mut paid = vec![publish(&rig).await];
    purchases(&rig, 1).await;
    let of_group = "grant this user Read on the consumer group";
    for (right, status, doctor) in [
        (&rights[0], "grant this user Read and Describe on the topic", "grant this user Read"),
        (&rights[1], "grant this user Write", "grant this user Write"),
        (&rights[2], "", "grant this user DescribeConfigs"),
        (&rights[3], of_group, of_group),
    ] {
        change(&kafka, "--remove", right);
        // Something to do that wants the right; what can go on without it does. A second one, for the first may have
        // been through before the broker had heard of it.
        paid.push(publish(&rig).await);
        named(&config, "doctor", doctor).await;
        paid.push(publish(&rig).await);
        named(&config, "status", status).await;
        change(&kafka, "--add", right);
        purchases(&rig, paid.len()).await;
        named(&config, "status", "ok: ").await;
    }
    daemon.stop();
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// Writes a file that nobody else may read.
fn keep(file: &Path, text: &[u8]) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_or_certificate_is_taken_without_a_restart() {
    let rig = Rig::new(2).await;
    let mut kafka = secured(&rig).await;
    let all = "--add --operation All --topic * --group * --cluster";
    let who = "--allow-principal User:makegood --allow-principal User:CN=makegood";
    kafka.acls(&all.split(' ').chain(who.split(' ')).collect::<Vec<_>>());
    let (config, file) = (rig.path("makegood.toml"), rig.path("password"));
    let login = without(&kafka.login("SCRAM-SHA-512"), &["sasl.password"]);
    let patience = "[outbox]\n[watchdog]\npatience = \"5s\"\n";
    fs::write(&config, kafka.config(&rig, &kafka.sasl(), &login, patience)).unwrap();
    keep(&file, SECRET.as_bytes());
    let variable = [("MAKEGOOD_KAFKA__SASL_PASSWORD_FILE", file.as_os_str())];
    let daemon = Daemon::start_with(&config, 0, &variable);
    let mut paid = vec![publish(&rig).await];
    purchases(&rig, 1).await;

    // The broker has another one first; who is connected stays so until the connection ends.
    kafka.kafka.set_scram("makegood", "the second one").unwrap();
    kafka.kafka.stop_hard().unwrap();
    kafka.kafka.start_again().unwrap();
    paid.push(publish(&rig).await);
    eventually("the refused login to be said", || async {
        daemon.log().contains("check sasl.username and sasl.password").then_some(())
    })
    .await;
    keep(&file, b"the second one\n");
    purchases(&rig, 2).await;

    // Or makegood has another one first.
    keep(&file, b"the third one\n");
    daemon.signal("HUP");
    eventually("the login to be read again", || async {
        (daemon.log().matches("the login to Kafka was read again").count() == 2).then_some(())
    })
    .await;
    // Who is connected stays so; the next login is by the new one, though nobody touches the file any more.
    paid.push(publish(&rig).await);
    purchases(&rig, 3).await;
    kafka.kafka.set_scram("makegood", "the third one").unwrap();
    kafka.kafka.stop_hard().unwrap();
    kafka.kafka.start_again().unwrap();
    paid.push(publish(&rig).await);
    purchases(&rig, 4).await;
    assert!(!daemon.log().contains("the third one"), "{}", daemon.log());
    daemon.stop();

    let (config, folder) = (rig.path("certificate.toml"), kafka.path(""));
    let own = |file: &str| rig.path(file).display().to_string();
    let login = with(&kafka.certificate(), "ssl.certificate.location", own("client.pem"));
    let login = with(&login, "ssl.key.location", own("client.key"));
    let login = without(&login, &["ssl.key.password"]);
    fs::write(&config, kafka.config(&rig, &kafka.mtls(), &login, patience)).unwrap();
    let serve = |from: &str| {
        for name in ["client.key", "client.pem"] {
            keep(&rig.path(name), &fs::read(Path::new(&folder).join(from).join(name)).unwrap());
        }
    };
    serve("other");
    let daemon = Daemon::start(&config, 1);
    paid.push(publish(&rig).await);
    named(&config, "status", "ssl.certificate.location").await;
    serve("");
    purchases(&rig, 5).await;
    daemon.stop();
    ledger::assert_exactly(&rig.client, &paid).await;
}
