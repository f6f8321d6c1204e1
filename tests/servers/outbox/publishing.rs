//! The payment side of the outbox: one function, for a role that may do nothing else, and its refusals.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site};
use crate::support::world::connect;

const FUNCTION: &str = "makegood.publish(text, text, text, jsonb, jsonb, uuid)";

/// A connection of a role that may use the schema and run that one function.
async fn publisher(site: &Site) -> (Client, String) {
    let role = format!("publisher_{}", site.rig.database);
    let sql = format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA makegood TO {role};
         GRANT EXECUTE ON FUNCTION {FUNCTION} TO {role}"
    );
    site.client.batch_execute(&sql).await.unwrap();
    let client = connect(&site.payments).await;
    client.batch_execute(&format!("SET SESSION AUTHORIZATION {role}")).await.unwrap();
    (client, role)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_publish_can_do_nothing_else() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 1).await;
        let (client, role) = publisher(&site).await;
        let event = Numbers::default().next("k");
        event.publish(&client, &site.rig.topic).await;
        // What it may touch of makegood's beyond that; functions that only compute are no matter.
        let sql = "
            SELECT c.relname::text FROM pg_class c
            WHERE c.relnamespace = 'makegood'::regnamespace AND c.relkind IN ('r', 'p', 'v')
                  AND has_table_privilege($1, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
            UNION ALL
            SELECT s.sequencename FROM pg_sequences s
            WHERE s.schemaname = 'makegood'
                  AND has_sequence_privilege($1, format('makegood.%I', s.sequencename), 'USAGE, SELECT, UPDATE')
            UNION ALL
            SELECT p.oid::regprocedure::text FROM pg_proc p
            WHERE p.pronamespace = 'makegood'::regnamespace AND p.provolatile <> 'i'
                  AND has_function_privilege($1, p.oid, 'EXECUTE') AND p.oid <> $2::text::regprocedure
            UNION ALL
            SELECT 'the schema' WHERE has_schema_privilege($1, 'makegood', 'CREATE')";
        let more = site.client.query(sql, &[&role, &FUNCTION]).await.unwrap();
        let more: Vec<String> = more.iter().map(|row| row.get(0)).collect();
        assert_eq!(more, Vec::<String>::new(), "a publisher may touch these as well");
        for sql in [
            "SELECT * FROM makegood.outbox",
            "SELECT * FROM makegood.outbox_pending",
            "SELECT * FROM makegood.outbox_unsent()",
            "INSERT INTO makegood.outbox_turns VALUES (7)",
            "DELETE FROM makegood.outbox",
        ] {
            let error = client.batch_execute(sql).await.unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{sql}");
        }
        let _daemon = site.daemon();
        site.assert_relayed(&[event]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_arguments_fail_in_the_callers_transaction() {
    let site = Site::new(Place::Beside, 1).await;
    let ok = "'{\"a\": 1}'";
    let large = format!("jsonb_build_object('a', repeat('x', {}))", 960 * 1024);
    let headers = |text: &str| format!("'t', 'k', 'T', {ok}, '{text}'");
    let cases: Vec<(String, &str)> = vec![
        (format!("NULL, 'k', 'T', {ok}"), "topic is missing"),
        (format!("'', 'k', 'T', {ok}"), "topic is missing"),
        (format!("'a b', 'k', 'T', {ok}"), "topic is no name"),
        (format!("E'a\\nb', 'k', 'T', {ok}"), "topic is no name"),
        (format!("'ü', 'k', 'T', {ok}"), "topic is no name"),
        (format!("'..', 'k', 'T', {ok}"), "topic is no name"),
        (format!("repeat('t', 250), 'k', 'T', {ok}"), "topic is no name"),
        (format!("'t', '', 'T', {ok}"), "key is empty"),
        (format!("'t', 'k', NULL, {ok}"), "event_type is missing"),
        (format!("'t', 'k', '', {ok}"), "event_type is missing"),
        ("'t', 'k', 'T', NULL".into(), "payload is missing"),
        ("'t', 'k', 'T', 'null'".into(), "payload is not a JSON object"),
        ("'t', 'k', 'T', '[1]'".into(), "payload is not a JSON object"),
        ("'t', 'k', 'T', '\"text\"'".into(), "payload is not a JSON object"),
        (format!("'t', 'k', 'T', {large}"), "983040 is the most"),
        (format!("'t', repeat('ü', 1001), 'T', {ok}"), "key has 2002 bytes and 2000 is the most"),
        (format!("'t', 'k', repeat('T', 1001), {ok}"), "event_type has 1001 bytes"),
        (
            format!("'t', 'k', 'T', {ok}, jsonb_build_object('n', repeat('x', 983040))"),
            "983040 is the most",
        ),
        (headers("[]"), "headers is not a JSON object"),
        (headers("null"), "headers is not a JSON object"),
        (headers("{\"n\": 1}"), "headers must be texts"),
        (headers("{\"n\": null}"), "headers must be texts"),
        (headers("{\"\": \"x\"}"), "headers must be texts, each with a name"),
        (headers("{\"id\": \"x\"}"), "are set by makegood"),
        (headers("{\"type\": \"x\"}"), "are set by makegood"),
        (headers("{\"content-type\": \"x\"}"), "are set by makegood"),
        (headers("{\"ce_anything\": \"x\"}"), "are set by makegood"),
    ];
    for (arguments, words) in &cases {
        site.client.batch_execute("BEGIN").await.unwrap();
        site.publish(&[Numbers::default().next("lost")]).await;
        let call = format!("SELECT makegood.publish({arguments})");
        let error = site.client.batch_execute(&call).await.expect_err(words);
        let said = error.as_db_error().unwrap();
        assert_eq!(said.code(), &SqlState::INVALID_PARAMETER_VALUE, "{words}: {said}");
        assert!(said.message().contains(words), "{words}: {said}");
        assert!(said.message().starts_with("makegood.publish: "), "{said}");
        let next = site.client.batch_execute("SELECT 1").await.unwrap_err();
        assert_eq!(next.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION), "{words}");
        site.client.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(site.number("SELECT count(*) FROM makegood.outbox").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_works_where_makegood_never_ran() {
    let site = Site::new(Place::Apart, 3).await;
    let mut numbers = Numbers::default();
    let written: Vec<Written> = (0..3000).map(|n| numbers.next(&format!("k{}", n % 9))).collect();
    site.publish(&written).await;
    let sql = "SELECT count(*) FROM makegood.outbox_steps WHERE holder IS NOT NULL";
    assert_eq!(site.number(sql).await, 0, "a relay ran");
    let _daemon = site.daemon();
    assert_eq!(site.assert_relayed(&written).await, 0);
}

/// Not even a table without its first rows, as a dump of the schema alone leaves it, loses an event.
#[tokio::test(flavor = "multi_thread")]
async fn publishing_works_in_a_schema_without_its_first_rows() {
    let site = Site::new(Place::Beside, 3).await;
    let sql = "DELETE FROM makegood.outbox_turns; DELETE FROM makegood.outbox_steps";
    site.client.batch_execute(sql).await.unwrap();
    let event = Numbers::default().next("k");
    site.publish(std::slice::from_ref(&event)).await;
    let _daemon = site.daemon();
    crate::support::eventually("the event to arrive", || async {
        site.rig.log_ends().values().any(|end| *end > 0).then_some(())
    })
    .await;
    site.assert_relayed(&[event]).await;
}
