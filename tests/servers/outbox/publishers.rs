//! A publisher can name no topic but its own, and cannot fill the disk.

use tokio_postgres::Client;

use crate::audit::people;
use crate::commands::{run, stdout};
use crate::mapping_commands::checks;
use crate::support::rig::Rig;
use crate::support::world::connect;

async fn publisher(rig: &Rig, name: &str) -> Client {
    let role = format!("{}_{name}", rig.database);
    let sql = format!("CREATE ROLE {role} LOGIN PASSWORD 'pw' IN ROLE makegood_publisher");
    rig.client.batch_execute(&sql).await.unwrap();
    let port = rig.world.postgres.port();
    connect(&format!("postgres://{role}:pw@127.0.0.1:{port}/{}", rig.database)).await
}

/// Publishes; the SQLSTATE, the message and the hint of a refusal.
async fn publish(
    client: &Client,
    topic: &str,
    bytes: usize,
) -> Result<(), (String, String, String)> {
    let payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes));
    let sql = format!("SELECT makegood.publish('{topic}', 'k', 'T', '{payload}')");
    client.batch_execute(&sql).await.map_err(|error| {
        let error = error.as_db_error().unwrap();
        let hint = error.hint().unwrap_or_default().to_owned();
        (error.code().code().to_owned(), error.message().to_owned(), hint)
    })
}

/// The statement in a text for people.
fn statement(text: &str) -> &str {
    let from = text.find("SELECT makegood.").unwrap();
    &text[from..=from + text[from..].find(';').unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_names_its_own_topics_and_no_others() {
    let rig = Rig::new(1).await;
    let (ops, app, _) = people(&rig).await;
    let (shop, other) = (publisher(&rig, "shop").await, publisher(&rig, "other").await);
    // Nobody has said anything yet, and doctor says so.
    publish(&shop, "anything", 1).await.unwrap();
    let doctor = stdout(&run(&rig, &["doctor", "-o", "json"]).await);
    let (level, says) = checks(&doctor, "outbox.publishers").remove(0);
    assert!(
        level == "warn" && says.contains("makegood_publisher may publish to any topic"),
        "{says}"
    );
    rig.client.batch_execute(statement(&says)).await.unwrap();
    let doctor = stdout(&run(&rig, &["doctor", "-o", "json"]).await);
    assert_eq!(checks(&doctor, "outbox.publishers")[0].0, "pass");
    publish(&shop, &rig.topic, 1).await.unwrap();
    assert_eq!(publish(&shop, "anything", 1).await.unwrap_err().0, "42501");

    let shops = format!("{}_shop", rig.database);
    let only = format!(
        "SELECT makegood.forbid_publisher('makegood_publisher'); SELECT makegood.allow_publisher('{shops}', '{{orders}}')"
    );
    rig.client.batch_execute(&only).await.unwrap();
    publish(&shop, "orders", 1).await.unwrap();
    assert_eq!(publish(&other, "orders", 1).await.unwrap_err().0, "42501");
    let (code, says, hint) = publish(&shop, "refunds", 1).await.unwrap_err();
    assert_eq!(
        (code.as_str(), says),
        ("42501", format!("makegood.publish: role {shops} may not publish to the topic refunds"))
    );
    for anybody in [&shop, &ops, &app] {
        for sql in [
            statement(&hint),
            "DELETE FROM makegood.outbox_publishers",
            "SELECT makegood.forbid_publisher('x')",
        ] {
            let error = anybody.batch_execute(sql).await.expect_err(sql);
            assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{sql}");
        }
    }
    rig.client.batch_execute(statement(&hint)).await.unwrap();
    for topic in ["orders", "refunds"] {
        publish(&shop, topic, 1).await.unwrap();
    }
    let sql = "SELECT count(*) FROM makegood.audit WHERE action = 'publisher'";
    assert_eq!(rig.number(sql).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_gets_no_more_room_than_its_quota_until_its_old_events_are_removed() {
    let rig = Rig::new(1).await;
    people(&rig).await;
    let (shop, other) = (publisher(&rig, "shop").await, publisher(&rig, "other").await);
    let allow = format!(
        "SELECT makegood.allow_publisher('{0}_shop', '{{*}}', 100 * 1024), makegood.allow_publisher('{0}_other', '{{*}}', 100 * 1024)",
        rig.database
    );
    rig.client.batch_execute(&allow).await.unwrap();
    // Whatever is rolled back, or not committed, was on the disk as well.
    shop.batch_execute("BEGIN").await.unwrap();
    let mut taken = 0;
    let (code, says, hint) = loop {
        match publish(&shop, "t", 9000).await {
            Ok(()) => taken += 1,
            Err(refused) => break refused,
        }
        assert!(taken < 100, "nothing ends it");
    };
    assert!((9..=12).contains(&taken) && code == "53400", "{taken} {code} {says}");
    shop.batch_execute("ROLLBACK").await.unwrap();
    publish(&other, "t", 9000).await.unwrap();
    assert!(publish(&shop, "t", 90_000).await.is_err());
    rig.client.batch_execute(statement(&hint)).await.unwrap();
    publish(&shop, "t", 9000).await.unwrap();
    rig.client.batch_execute(&allow).await.unwrap();
    assert!(publish(&shop, "t", 9000).await.is_err());
    let used = format!("SELECT used FROM makegood.publishers WHERE role = '{}_shop'", rig.database);
    assert!(rig.number(&used).await > 100_000);
    // Three turns later none of the tables has a row of then.
    for turn in 1..=3 {
        assert!(publish(&shop, "t", 9000).await.is_err(), "turn {turn}");
        rig.client
            .execute("INSERT INTO makegood.outbox_turns (turn) VALUES ($1)", &[&i64::from(turn)])
            .await
            .unwrap();
    }
    publish(&shop, "t", 9000).await.unwrap();
    assert!(rig.number(&used).await < 50_000);
}
