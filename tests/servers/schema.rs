//! makegood's own schema: made once however many start, the same as the golden file, and readable by a
//! dashboard's role through its views alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::time::Duration;

use makegood::store::migrate;
use rules::outcome::{Counter, Outcome};
use rules::states::{CaseEnd, FindingEnd, Phase, RunState, WorkerState};
use tokio_postgres::Client;

use crate::support::golden::assert_golden;
use crate::support::library::store;
use crate::support::rig::Rig;
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{daemon, eventually};

/// The views that a dashboard may read.
const VIEWS: [&str; 13] = [
    "consumer_positions",
    "gaps_open",
    "inbox_events",
    "outbox_cursor",
    "outbox_held_topics",
    "outbox_pending",
    "outbox_parked_events",
    "outbox_status",
    "paid_not_purchased",
    "quarantine_open",
    "reconcile_findings",
    "reconcile_runs",
    "status",
];

/// A database of the rig's server with the host's tables and nothing of makegood's, and its URL.
async fn empty_database(rig: &Rig, purpose: &str) -> (Client, String) {
    let name = format!("{}_{purpose}", rig.database);
    let admin = connect(&rig.world.postgres.url("postgres")).await;
    admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    let url = rig.world.postgres.url(&name);
    let client = connect(&url).await;
    client.batch_execute(HOST_TABLES).await.unwrap();
    (client, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_daemons_that_start_at_once_on_an_empty_database_all_come_up() {
    let rig = Rig::new(1).await;
    let (client, url) = empty_database(&rig, "empty").await;
    let mut daemons: Vec<_> = (0..10).map(|_| rig.daemon_at(&url, "")).collect();
    eventually("ten daemons to be members of the group", || {
        let ended = daemons.iter_mut().find_map(|d| d.ended().map(|_| d.log()));
        assert_eq!(ended, None, "one did not come up");
        let up = daemons.iter().all(|d| d.log().contains("\"message\":\"reading\""));
        async move { up.then_some(()) }
    })
    .await;
    let migrated =
        daemons.iter().map(|d| d.log().matches("schema migrated").count()).sum::<usize>();
    assert_eq!(migrated, 2, "purchases and outbox: one migrates each, the others find it done");
    let sql = "SELECT count(*), count(DISTINCT version) FROM makegood.inbox_migrations";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1), "each migration once");
    let steps = migrate::status(&store(&url), migrate::BOTH).await.unwrap();
    assert!(!steps.is_empty() && steps.iter().all(|step| step.applied), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing() {
    let rig = Rig::new(1).await;
    let before = (dump(&rig, &rig.url()), history(&rig.client).await);
    let mut client = connect(&rig.url()).await;
    assert_eq!(migrate::up(&mut client, migrate::BOTH).await.unwrap(), Vec::<String>::new());
    assert_eq!((dump(&rig, &rig.url()), history(&rig.client).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_run_by_hand_leaves_what_migrate_up_would() {
    let rig = Rig::new(1).await;
    let (client, url) = empty_database(&rig, "by_hand").await;
    let config = rig.config_file(&url, "", "[migrate]\nmode = \"check\"\n");
    let printed = |args: &[&str]| {
        let mut command = daemon::command();
        let output = command.args(["migrate", "sql"]).args(args).arg("--config").arg(&config);
        let output = output.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = printed(&[]);
    assert_eq!(printed(&["--missing"]), whole);
    // What an older program would have printed.
    let (older, _) = whole.split_once("\n-- V5__").unwrap();
    client.batch_execute(&format!("{older}\nCOMMIT;")).await.unwrap();
    let rest = printed(&["--missing"]);
    assert!(!rest.contains("\n-- V4__views") && rest.contains("\n-- V5__reconcile"), "{rest}");
    client.batch_execute(&rest).await.unwrap();
    assert_eq!(printed(&["--missing"]), "");
    let mut client = connect(&url).await;
    assert_eq!(migrate::up(&mut client, migrate::BOTH).await.unwrap(), Vec::<String>::new());
    assert_eq!(dump(&rig, &url), dump(&rig, &rig.url()));
}

async fn history(client: &Client) -> Vec<String> {
    let sql = "SELECT m::text FROM makegood.inbox_migrations m ORDER BY version";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_may_only_check_refuses_a_database_that_is_behind() {
    let rig = Rig::new(1).await;
    let (mut client, url) = empty_database(&rig, "behind").await;
    let config = rig.config_file(&url, "", "[migrate]\nmode = \"check\"\n");
    let refused = |says: &str| {
        let mut daemon = daemon::Daemon::start(&config, 0);
        let status = tokio::task::block_in_place(|| daemon.wait(Duration::from_secs(60)));
        assert_eq!(status.code(), Some(78), "{}", daemon.log());
        let log = daemon.log();
        assert!(log.contains("error[MG2003]") && log.contains(says), "no {says} in {log}");
    };
    refused("makegood migrate up");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'makegood'";
    assert_eq!(client.query_one(schemas, &[]).await.unwrap().get::<_, i64>(0), 0);
    migrate::up(&mut client, migrate::BOTH).await.unwrap();
    let newest = "DELETE FROM makegood.inbox_migrations WHERE version = (SELECT max(version) FROM makegood.inbox_migrations)";
    client.batch_execute(newest).await.unwrap();
    refused("the schema makegood lacks V");
    let ahead = "INSERT INTO makegood.inbox_migrations SELECT 9999, 'later', applied_on, checksum FROM makegood.inbox_migrations LIMIT 1";
    client.batch_execute(ahead).await.unwrap();
    refused("install that version");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_the_golden_one() {
    let rig = Rig::new(1).await;
    let found = dump(&rig, &rig.url());
    assert_golden("tests/golden/schema.sql", &found);
}

/// A system library that sorts otherwise, as glibc 2.28 did, would leave an index in its collation wrong.
#[tokio::test(flavor = "multi_thread")]
async fn no_index_depends_on_how_the_operating_system_sorts() {
    let rig = Rig::new(1).await;
    let sql = r#"SELECT DISTINCT i.indexrelid::regclass::text
                 FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid, unnest(i.indcollation::oid[]) AS used
                 WHERE c.relnamespace = 'makegood'::regnamespace AND used NOT IN (0, 'pg_catalog."C"'::regcollation)"#;
    let rows = rig.client.query(sql, &[]).await.unwrap();
    let indexes: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(indexes, Vec::<String>::new(), "declare their texts COLLATE \"C\"");
}

/// The schema as the server's own `pg_dump` gives it, without what depends on version or owner.
/// The words that a CHECK allows, by its column. Each closed set is either an enum of the code or one that SQL alone writes and
/// compares; a column that is neither fails.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_allows_the_words_of_the_code_and_no_others() {
    let rig = Rig::new(1).await;
    let kept: Vec<Outcome> = Outcome::kept().collect();
    let words: [(&str, Vec<&str>); 14] = [
        ("inbox.outcome", kept.into_iter().map(Outcome::as_str).collect()),
        ("quarantine.resolution", CaseEnd::ALL.map(CaseEnd::as_str).to_vec()),
        ("findings.resolution", FindingEnd::ALL.map(FindingEnd::as_str).to_vec()),
        ("runs.phase", Phase::ALL.map(Phase::as_str).to_vec()),
        ("runs.state", RunState::ALL.map(RunState::as_str).to_vec()),
        ("workers.state", WorkerState::ALL.map(WorkerState::as_str).to_vec()),
        ("decisions.decided_via", vec!["sql", "cli"]),
        ("decisions.kind", vec!["replay", "discard", "accept"]),
        ("gaps.covered_how", vec!["sweep", "dismissed"]),
        ("inbox.origin", vec!["reconcile"]),
        ("inbox_ended.what", vec!["event", "had", "ignored"]),
        ("positions.kind", vec!["claim", "batch"]),
        ("quarantine.suspect", vec!["unproven", "proven", "unverified"]),
        ("runs.requested_via", vec!["sql", "cli", "signal", "schedule"]),
    ];
    let sql = "SELECT r.relname || '.' || a.attname, pg_get_constraintdef(c.oid)
        FROM pg_constraint c
        JOIN pg_class r ON r.oid = c.conrelid
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'c' AND c.connamespace = 'makegood'::regnamespace AND cardinality(c.conkey) = 1 AND NOT r.relispartition
          AND pg_get_constraintdef(c.oid) LIKE '%''%'";
    let mut allowed = BTreeMap::new();
    for row in rig.client.query(sql, &[]).await.unwrap() {
        let check: String = row.get(1);
        let of_check: BTreeSet<String> =
            check.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(allowed.insert(row.get::<_, String>(0), of_check).is_none(), "{check}");
    }
    let own = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    let known: BTreeMap<String, BTreeSet<String>> =
        words.into_iter().map(|(column, words)| (column.to_owned(), own(words))).collect();
    assert_eq!(allowed, known);
}

/// Positions have their counters in an array, by place; the views name them.
#[tokio::test(flavor = "multi_thread")]
async fn each_counter_of_a_position_is_seen_under_its_name() {
    let rig = Rig::new(1).await;
    let numbered: Vec<i64> = (1..).take(Counter::ALL.len()).collect();
    let sql = "INSERT INTO makegood.positions
            (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, writer, counts)
        VALUES ('g', gen_random_uuid(), 0, 1, 't', 0, 1, 'claim', gen_random_uuid(), $1)";
    rig.client.execute(sql, &[&numbered]).await.unwrap();
    let sql = "INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('r', 't', 'g')";
    rig.client.execute(sql, &[]).await.unwrap();
    let view = "SELECT * FROM makegood.consumer_positions WHERE consumer_group = 'g'";
    let position = rig.client.query_one(view, &[]).await.unwrap();
    let seen = Counter::ALL.map(|counter| position.get::<_, i64>(counter.as_str()));
    assert_eq!(seen.to_vec(), numbered);
    let view = "SELECT * FROM makegood.status WHERE route = 'r'";
    let status = rig.client.query_one(view, &[]).await.unwrap();
    for counter in Counter::shown() {
        assert_eq!(status.get::<_, i64>(counter.as_str()), numbered[counter as usize], "{counter}");
    }
}

fn dump(rig: &Rig, url: &str) -> String {
    let postgres = &rig.world.postgres;
    let server = fs::read_link(format!("/proc/{}/exe", postgres.pid().unwrap())).unwrap();
    let mut command = Command::new(server.with_file_name("pg_dump"));
    command.args(["--schema-only", "--schema=makegood", "--no-owner", "--no-privileges"]);
    let out = command.arg("--dbname").arg(url).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let noise = ["--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict"];
    let lines = text.lines().filter(|line| !noise.iter().any(|n| line.starts_with(n)));
    let mut kept = String::new();
    for line in lines {
        // Blank lines come in runs once the comments between them are gone.
        if !line.is_empty() || !(kept.is_empty() || kept.ends_with("\n\n")) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept.trim_end().to_owned() + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_and_every_column_of_a_public_view_is_explained() {
    let rig = Rig::new(1).await;
    let sql = "SELECT c.relname || coalesce('.' || a.attname, '')
               FROM pg_class c
               LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND c.relkind = 'v'
               WHERE c.relnamespace = 'makegood'::regnamespace AND c.relkind IN ('r', 'v')
                     AND c.relname NOT LIKE '%\\_migrations'
                     AND (col_description(c.oid, coalesce(a.attnum, 0)) IS NULL AND a.attnum IS NOT NULL
                          OR obj_description(c.oid, 'pg_class') IS NULL)";
    let rows = rig.client.query(sql, &[]).await.unwrap();
    let silent: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert!(silent.is_empty(), "without a COMMENT: {silent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboards_role_reads_the_views_and_no_table() {
    let rig = Rig::new(1).await;
    let role = format!("viewer_{}", rig.database);
    let views = VIEWS.map(|view| format!("makegood.{view}")).join(", ");
    rig.client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw';
             GRANT USAGE ON SCHEMA makegood TO {role};
             GRANT SELECT ON {views} TO {role};
             GRANT EXECUTE ON FUNCTION makegood.outbox_unsent() TO {role}"
        ))
        .await
        .unwrap();
    let port = rig.world.postgres.port();
    let viewer = connect(&format!("postgres://{role}:pw@127.0.0.1:{port}/{}", rig.database)).await;
    for view in VIEWS {
        viewer.query(&format!("SELECT * FROM makegood.{view}"), &[]).await.unwrap();
    }
    let sql = "SELECT c.oid::regclass::text FROM pg_class c
               WHERE c.relkind = 'r' AND c.relnamespace IN ('makegood'::regnamespace, 'public'::regnamespace)";
    let tables = rig.client.query(sql, &[]).await.unwrap();
    assert!(tables.len() > 8);
    for table in &tables {
        let table: &str = table.get(0);
        let refused = viewer.query(&format!("SELECT FROM {table}"), &[]).await.unwrap_err();
        assert_eq!(refused.code().map(|c| c.code()), Some("42501"), "{table} can be read");
    }
    drop(viewer);
    rig.client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}
