//! The schema is made, or refused in a sentence, whatever the database's own settings are; and its SQL is plain ASCII.

use std::path::Path;

use makegood::store::migrate;

use crate::support::library::store;
use crate::support::rig::Rig;
use crate::support::world::connect;

/// A database of this encoding without anything of makegood's.
async fn database(rig: &Rig, encoding: &str) -> String {
    let name = format!("{}_{}", rig.database, encoding.to_lowercase());
    let admin = connect(&rig.world.postgres.url("postgres")).await;
    let create = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    admin.batch_execute(&create).await.unwrap();
    rig.world.postgres.url(&name)
}

#[test]
fn the_sql_of_makegoods_own_is_ascii_and_has_no_backslash_in_a_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("migrations"), root.join("sql/core")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.is_ascii(), "{} is not ASCII", path.display());
            // What '\_' means depends on standard_conforming_strings.
            assert!(!text.contains('\\'), "{} has a backslash", path.display());
        }
    }
    assert!(seen > 100, "{seen} files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_encoding_cannot_hold_every_event_is_refused_in_a_sentence() {
    let rig = Rig::new(1).await;
    let url = database(&rig, "LATIN1").await;
    for set in migrate::BOTH {
        let mut client = connect(&url).await;
        let problem = migrate::up(&mut client, &[*set]).await.unwrap_err();
        let said = format!("{} {}", problem.reason, problem.advice);
        assert!(said.contains("LATIN1") && said.contains("UTF8"), "{said}");
        assert_eq!(problem.code, rules::problem::Code::Schema, "{said}");
        let error = client.batch_execute(&migrate::sql(&[*set])).await.unwrap_err();
        let said = error.as_db_error().unwrap().message().to_owned();
        assert!(said.contains("LATIN1") && said.contains("UTF8"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_bytes_refuses_an_event_that_is_no_utf8_in_its_own_transaction() {
    let rig = Rig::new(1).await;
    let url = database(&rig, "SQL_ASCII").await;
    let mut client = connect(&url).await;
    migrate::up(&mut client, migrate::BOTH).await.unwrap();
    client.batch_execute("SET client_encoding = 'SQL_ASCII'").await.unwrap();
    // One Latin-1 byte, made in the server: the driver here writes UTF-8 only.
    let byte = "convert_from('\\xe9', 'SQL_ASCII')";
    let object = format!("('{{\"a\": \"' || {byte} || '\"}}')::jsonb");
    for arguments in [
        format!("'t', 'k', 'T', {object}"),
        format!("'t', {byte}, 'T', '{{}}'"),
        format!("'t', 'k', {byte}, '{{}}'"),
        format!("'t', 'k', 'T', '{{}}', {object}"),
    ] {
        let error = client.batch_execute(&format!("SELECT makegood.publish({arguments})")).await;
        let error = error.unwrap_err();
        let said = error.as_db_error().unwrap().message().to_owned();
        assert!(said.contains("UTF-8"), "{arguments}: {said}");
    }
    client
        .batch_execute("SELECT makegood.publish('t', 'k', 'T', '{\"a\": \"\u{e9}\"}')")
        .await
        .unwrap();
    let kept = client.query_one("SELECT count(*) FROM makegood.outbox", &[]).await.unwrap();
    assert_eq!(kept.get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_database_change_nothing_about_the_schema_or_what_it_does() {
    let rig = Rig::new(1).await;
    for (setting, value) in [
        ("standard_conforming_strings", "off"),
        ("search_path", "evil, pg_catalog"),
        ("search_path", "nowhere"),
        ("DateStyle", "'SQL, DMY'"),
        ("IntervalStyle", "sql_standard"),
        ("bytea_output", "escape"),
        ("check_function_bodies", "off"),
    ] {
        let url = database(&rig, "UTF8").await;
        let (_, name) = url.rsplit_once('/').unwrap();
        let client = connect(&url).await;
        let sql = format!(
            "CREATE SCHEMA evil;
             CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT timestamptz ''epoch''';
             CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT timestamptz ''epoch''';
             ALTER DATABASE {name} SET {setting} = {value}"
        );
        client.batch_execute(&sql).await.unwrap();
        let mut client = connect(&url).await;
        migrate::up(&mut client, migrate::BOTH).await.unwrap();
        let steps = migrate::status(&store(&url), migrate::BOTH).await.unwrap();
        assert!(steps.iter().all(|step| step.applied), "{setting}");
        let client = connect(&url).await;
        let publish = "SELECT makegood.publish('t', 'k', 'T', '{}', '{\"cefoo\": \"x\"}')";
        client.batch_execute(publish).await.unwrap();
        let refused = "SELECT makegood.publish('t', 'k', 'T', '{}', '{\"ce_foo\": \"x\"}')";
        assert!(client.batch_execute(refused).await.is_err(), "{setting}");
        let sql = "SELECT pg_catalog.count(*) FROM makegood.outbox
                   WHERE created_at > pg_catalog.now() - pg_catalog.make_interval(mins => 5)";
        let sql = if setting == "search_path" {
            sql.replace(" > ", " OPERATOR(pg_catalog.>) ")
        } else {
            sql.to_owned()
        };
        assert_eq!(client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0), 1, "{setting}");
        drop(client);
        let admin = connect(&rig.world.postgres.url("postgres")).await;
        admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    }
}
