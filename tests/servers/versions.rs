//! What runs with every version of PostgreSQL and Kafka. `bin/test` runs it with those that are there, `bin/test --matrix`
//! with each that the documentation names.

use std::fs;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;

use crate::mapping_commands::checks;
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

async fn says(config: &std::path::Path, args: &[&str]) -> (Option<i32>, String) {
    let mut asked = command();
    asked.args(args).arg("--config").arg(config);
    let out = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_becomes_its_purchase_and_every_command_tells() {
    let rig = Rig::new(2).await;
    let version = rig.client.query_one("SELECT current_setting('server_version')", &[]).await;
    println!("PostgreSQL {}", version.unwrap().get::<_, String>(0));
    let config = rig.path("versions.toml");
    let text = rig.config(
        &rig.url(),
        "verify_payment = true",
        "[outbox]\n[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\ngrace = \"0s\"\n",
    );
    fs::write(&config, text).unwrap();
    assert_eq!(says(&config, &["migrate", "status"]).await.0, Some(0));
    let daemon = Daemon::start(&config, 0);
    let paid = payments(4);
    let insert = "INSERT INTO payments (id, student_id, course_id, amount, currency, status)
                  VALUES ($1, $2, $3, $4::text::numeric, $5, 'succeeded')";
    for (number, payment) in paid.iter().enumerate() {
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&payment.id, &payment.student, &payment.course, &payment.amount, &payment.currency];
        rig.client.execute(insert, &row).await.unwrap();
        // The last one's event is forgotten.
        if number < 3 {
            let publish = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb)";
            let (key, json) = (payment.student.to_string(), payment.json());
            rig.client.query_one(publish, &[&rig.topic, &key, &json]).await.unwrap();
        }
    }
    eventually("the purchases from the outbox", || async {
        (ledger::count(&rig.client).await >= 3).then_some(())
    })
    .await;
    let (code, text) = says(&config, &["reconcile", "run"]).await;
    assert_eq!(code, Some(0), "{text}");
    eventually("the purchase that had no event", || async {
        (ledger::count(&rig.client).await == 4).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    eventually("status to be ok", || async {
        says(&config, &["status"]).await.1.starts_with("ok: ").then_some(())
    })
    .await;
    let (code, json) = says(&config, &["doctor", "-o", "json"]).await;
    assert_eq!(code, Some(0), "{json}");
    assert!(!checks(&json, "kafka.topic").is_empty(), "{json}");
    let status: Value =
        serde_json::from_str(&says(&config, &["status", "-o", "json"]).await.1).unwrap();
    assert_eq!(status["schema_version"], 1);
    daemon.stop();
}

/// Records in a format from before Kafka 0.11, as clusters keep them that were upgraded in place: compressed or not.
/// librdkafka 2.12 hands them over without key and value.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_an_old_format_are_read_or_held_and_never_passed_over() {
    let rig = Rig::new(1).await;
    let settings: Vec<(String, &str, &str)> =
        [("0.9.0", "none"), ("0.10.0", "none"), ("0.10.2", "gzip")]
            .into_iter()
            .map(|(format, packed)| (format!("{}-{format}", rig.topic), format, packed))
            .collect();
    let paid = payments(20);
    for (topic, format, packed) in &settings {
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
        let new = new
            .set("message.format.version", format)
            .set("compression.type", if *packed == "none" { "uncompressed" } else { packed });
        let made = rig.admin().create_topics([&new], &AdminOptions::new()).await.unwrap();
        if made[0].is_err() {
            println!("this Kafka writes no old formats: {made:?}");
            return;
        }
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", rig.world.kafka.bootstrap())
            .set("linger.ms", "100")
            .create()
            .unwrap();
        let sent: Vec<_> = paid
            .iter()
            .map(|payment| {
                let (key, json) = (payment.student.to_string(), payment.json());
                let record = FutureRecord::to(topic).key(&key).payload(&json);
                producer.send_result(record).map_err(|(e, _)| e).unwrap()
            })
            .collect();
        for one in sent {
            one.await.unwrap().map_err(|(e, _)| e).unwrap();
        }
    }
    for (number, (topic, format, packed)) in settings.iter().enumerate() {
        let name = format!("old{number}");
        let config = rig.path(&format!("{name}.toml"));
        let text =
            rig.config(&rig.url(), "", "[watchdog]\npatience = \"20s\"").replace(&rig.topic, topic);
        let text = text.replace("name = \"purchases\"", &format!("name = \"{name}\""));
        fs::write(&config, text.replace(&rig.group, &format!("{}-{name}", rig.group))).unwrap();
        let (code, said) = says(&config, &["doctor"]).await;
        assert!(
            code == Some(1) && said.contains("cannot read")
                || said.contains("start.events") && !said.contains("no event waits"),
            "{said}"
        );
        let daemon = Daemon::start(&config, number);
        let sql = "SELECT concat_ws(' ', sentence, reason) FROM makegood.status WHERE route = $1";
        let seen = eventually("it to be read or held", || async {
            if ledger::count(&rig.client).await == paid.len() {
                return Some("read".to_owned());
            }
            let row = rig.client.query_opt(sql, &[&name]).await.unwrap()?;
            let said: String = row.get(0);
            said.contains("older than Kafka 0.11").then_some(said)
        })
        .await;
        println!("{format} {packed}: {seen}");
        let passed = format!(
            "SELECT count(*) FROM makegood.consumer_positions WHERE route = '{name}' AND (next_offset > 0 OR tombstone > 0)"
        );
        if seen != "read" {
            assert_eq!(rig.number(&passed).await, 0, "{format} was gone past");
        }
        rig.client.execute("DELETE FROM student_course_purchases", &[]).await.unwrap();
        daemon.stop();
    }
}
