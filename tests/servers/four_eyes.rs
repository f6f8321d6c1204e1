//! Four eyes, where the owner wants them: who asks does not approve, whatever the way.

use tokio_postgres::Client;

use crate::audit::{WORK, people};
use crate::commands::stderr;
use crate::support::daemon::command;
use crate::support::rig::Rig;
use crate::support::world::connect;

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_takes_two_who_log_in_as_different_roles() {
    let rig = Rig::new(1).await;
    let (alice, app, name) = people(&rig).await;
    let bobs = format!(
        "CREATE ROLE {name}_bob LOGIN PASSWORD 'pw' IN ROLE makegood_ops; GRANT {name}_bob TO {name}"
    );
    rig.client.batch_execute(&bobs).await.unwrap();
    let port = rig.world.postgres.port();
    let bob = connect(&format!("postgres://{name}_bob:pw@127.0.0.1:{port}/{name}")).await;
    rig.client.batch_execute(WORK).await.unwrap();
    // Only the owner turns it on, or off again.
    for nobody in [&alice, &app] {
        for sql in [
            "SELECT makegood.require_four_eyes(false)",
            "DELETE FROM makegood.four_eyes",
            "UPDATE makegood.asks SET asked_by = 'x'",
        ] {
            let error = nobody.batch_execute(sql).await.expect_err(sql);
            assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{sql}");
        }
    }
    rig.client.batch_execute("SELECT makegood.require_four_eyes(true)").await.unwrap();

    let done = "SELECT (SELECT count(*) FROM makegood.decisions)
        + (SELECT count(*) FROM makegood.findings WHERE resolved_at IS NOT NULL)
        + (SELECT count(*) FROM makegood.gaps WHERE covered_at IS NOT NULL)
        + (SELECT count(*) FROM makegood.quarantine WHERE resolved_at IS NOT NULL)";
    for (decision, works) in [
        ("replay(1, 'why')", 1),
        ("discard(2, 'why')", 2),
        ("accept('r', 'why')", 1),
        ("dismiss(1, 'why')", 1),
        ("dismiss_gap(1, 'why')", 1),
    ] {
        let before = number(&rig.client, done).await;
        let sql = format!("SELECT makegood.{decision}");
        // Again, and in another's role, it is the same who asks.
        alice.batch_execute(&sql).await.unwrap();
        alice.batch_execute(&sql).await.unwrap();
        alice.batch_execute(&format!("SET ROLE {name}_bob; {sql}; RESET ROLE")).await.unwrap();
        assert_eq!(number(&rig.client, done).await, before, "{decision} by one");
        assert_eq!(number(&bob, "SELECT count(*) FROM makegood.asks_waiting").await, 1);
        // What was asked for long ago is void.
        let age = "UPDATE makegood.asks SET asked_at = asked_at - interval '2 days' WHERE approved_at IS NULL";
        rig.client.batch_execute(age).await.unwrap();
        bob.batch_execute(&sql).await.unwrap();
        assert_eq!(
            number(&rig.client, done).await,
            before,
            "{decision} by one and one of the day before yesterday"
        );
        alice.batch_execute(&sql).await.unwrap();
        assert_eq!(number(&rig.client, done).await, before + works, "{decision} by two");
        assert_eq!(number(&bob, "SELECT count(*) FROM makegood.asks_waiting").await, 0);
    }
    let sql = "SELECT count(*) FROM makegood.audit WHERE action = 'agree' AND role = $1";
    let agreed: i64 = rig.client.query_one(sql, &[&name]).await.unwrap().get(0);
    assert_eq!(agreed, 5);

    // A run that was held: who asked for it does not approve it.
    let jobs = "INSERT INTO makegood.jobs (name, route_id) VALUES ('j', 1)";
    rig.client.batch_execute(jobs).await.unwrap();
    let run = number(&alice, "SELECT makegood.reconcile('j')").await;
    rig.client
        .execute("UPDATE makegood.runs SET state = 'held', held = 'x' WHERE id = $1", &[&run])
        .await
        .unwrap();
    let approve = format!("SELECT makegood.approve({run})");
    let error = alice.batch_execute(&approve).await.unwrap_err();
    assert_eq!(error.code().map(|c| c.code()), Some("42501"));
    assert!(alice.batch_execute(&format!("SET ROLE {name}_bob; {approve}")).await.is_err());
    bob.batch_execute(&approve).await.unwrap();

    // The command line says so.
    let url = format!("postgres://{name}_app:pw@127.0.0.1:{port}/{name}");
    let config = rig.config_file(&url, "", "[migrate]\nmode = \"check\"\n");
    let args = ["quarantine", "replay", "--id", "2", "--execute", "--config"];
    let wait = move || command().args(args).arg(config).output().unwrap();
    let output = tokio::task::spawn_blocking(wait).await.unwrap();
    assert!(
        output.status.code() == Some(5) && stderr(&output).contains("another role must ask"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_enough_by_default() {
    let rig = Rig::new(1).await;
    let (ops, _, _) = people(&rig).await;
    rig.client.batch_execute(WORK).await.unwrap();
    assert!(number(&ops, "SELECT makegood.replay(1)").await > 0);
}
