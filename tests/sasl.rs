//! A Kafka that wants TLS and a login gets what the configuration says, from every client.

use std::fs;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::mapping_commands::checks;
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::secured::{SECRET, SecuredKafka};
use crate::support::{eventually, ledger};

async fn make_topic(rig: &Rig, kafka: &SecuredKafka) {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", kafka.kafka.bootstrap());
    let admin: AdminClient<DefaultClientContext> = settings.create().unwrap();
    let topic = NewTopic::new(&rig.topic, 2, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    made[0].as_ref().unwrap();
}

/// Runs a command and returns its exit code and what it printed.
async fn said(config: &std::path::Path, args: &[&str]) -> (Option<i32>, String) {
    let mut asked = command();
    asked.args(args).arg("--config").arg(config);
    let out = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_goes_from_the_outbox_to_its_purchase_through_sasl_ssl() {
    let kafka = tokio::task::spawn_blocking(SecuredKafka::start).await.unwrap();
    let rig = Rig::new(2).await;
    make_topic(&rig, &kafka).await;
    let mut paid = Vec::new();
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let properties: String = (kafka.login(mechanism).iter())
            .map(|(name, value)| format!("\"{name}\" = '''{value}'''\n"))
            .collect();
        let text = rig
            .config(&rig.url(), "", "[outbox]\n")
            .replace(&rig.world.kafka.bootstrap(), &kafka.bootstrap())
            .replace("[kafka.properties]\n", &format!("[kafka.properties]\n{properties}"));
        let config = rig.path(&format!("{mechanism}.toml"));
        fs::write(&config, text).unwrap();
        let daemon = Daemon::start(&config, 0);
        // The relay's producer sends it, the member reads it, the probe finds its start.
        let payment = payments(1).remove(0);
        let sql = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb)";
        let (key, json) = (payment.student.to_string(), payment.json());
        rig.client.query_one(sql, &[&rig.topic, &key, &json]).await.unwrap();
        paid.push(payment);
        eventually(&format!("the purchase, by {mechanism}"), || async {
            (ledger::count(&rig.client).await == paid.len()).then_some(())
        })
        .await;
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
