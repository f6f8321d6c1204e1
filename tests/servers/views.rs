//! The views are documented column by column: docs/reference/views.md is what the database's own comments say, with
//! questions that run.

use std::fmt::Write as _;

use rules::offsets::lag;
use tokio_postgres::Client;

use crate::audit::{WORK, people};
use crate::support::golden::assert_golden;
use crate::support::rig::Rig;
use crate::support::world::connect;
use rules::ids::Offset;

const HEAD: &str = "\
# Views

What makegood knows, for psql and for dashboards that speak SQL. Names and columns are stable, new columns may
come. They can be read with the role `makegood_reader` of `deploy/roles.sql`, which reads these views and no table. In a database
each object says the same of itself: `\\d+ makegood.status`.

Those whose name begins with `outbox` are where the outbox is, which may be another database.
";

/// Each view, in the order of the reference, with a question that people ask it.
const VIEWS: [(&str, &str, &str); 19] = [
    (
        "status",
        "Which routes do not work, and what is to be done?",
        "SELECT route, verdict, verdict_since, sentence, lag, paid_not_purchased\nFROM makegood.status\nWHERE verdict NOT IN ('ok', 'behind')",
    ),
    (
        "paid_not_purchased",
        "Who paid and has nothing, the one who has waited longest first?",
        "SELECT payment, paid_at, age, kind, detail, as_of\nFROM makegood.paid_not_purchased\nORDER BY paid_at",
    ),
    (
        "consumer_positions",
        "How far is each partition, and when did it last move?",
        "SELECT route, partition, next_offset, log_end, lag, now() - progress_at AS since_progress\nFROM makegood.consumer_positions\nWHERE is_current\nORDER BY lag DESC NULLS LAST",
    ),
    (
        "gaps_open",
        "Which offsets were never read, and why?",
        "SELECT route, partition, from_offset, to_offset, reason, found_at\nFROM makegood.gaps_open\nORDER BY found_at",
    ),
    (
        "gaps_covered",
        "What shows that nothing was lost with them?",
        "SELECT route, partition, from_offset, to_offset, found_at, how, run, compared_until\nFROM makegood.gaps_covered\nORDER BY covered_at",
    ),
    (
        "inbox_events",
        "What became of the event of a payment?",
        "SELECT route, event_id, outcome, detail, partition, \"offset\", applied_at, origin\nFROM makegood.inbox_events\nWHERE business_key = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
    ),
    (
        "quarantine_open",
        "What waits for a decision, and why?",
        "SELECT route, reason, count(*) AS records, min(quarantined_at) AS since\nFROM makegood.quarantine_open\nGROUP BY route, reason\nORDER BY records DESC",
    ),
    (
        "suspects",
        "What was refused, and may be the world's fault?",
        "SELECT route, state, detail, advice, business_key, refused_at\nFROM makegood.suspects\nORDER BY refused_at",
    ),
    (
        "quarantine_decisions",
        "What was decided lately?",
        "SELECT decision, kind, route, quarantine_id, decided_by, decided_at, reason, state\nFROM makegood.quarantine_decisions\nORDER BY decision DESC\nLIMIT 20",
    ),
    (
        "asks_waiting",
        "What waits for a second role?",
        "SELECT action, subject, asked_by, asked_at\nFROM makegood.asks_waiting\nORDER BY asked_at",
    ),
    (
        "audit",
        "Who decided what today?",
        "SELECT at, role, application, address, action, subject, reason\nFROM makegood.audit\nWHERE at > now() - interval '1 day'\nORDER BY at",
    ),
    (
        "reconcile_runs",
        "What did the last runs find?",
        "SELECT run, job, state, compared, missing, made_good, conflicts, held, error, finished_at\nFROM makegood.reconcile_runs\nORDER BY run DESC\nLIMIT 20",
    ),
    (
        "reconcile_findings",
        "Where do payments and purchases disagree?",
        "SELECT finding, kind, payment, expected, found, detail, first_seen_at\nFROM makegood.reconcile_findings\nWHERE resolved_at IS NULL\nORDER BY first_seen_at",
    ),
    (
        "outbox_status",
        "Do events get to Kafka?",
        "SELECT pending, oldest_age, parked, reason, advice\nFROM makegood.outbox_status",
    ),
    (
        "outbox_pending",
        "What waits, by topic?",
        "SELECT topic, count(*) AS events, max(age) AS oldest\nFROM makegood.outbox_pending\nGROUP BY topic",
    ),
    (
        "outbox_held_topics",
        "Which topics take nothing, and why?",
        "SELECT topic, events, held_since, reason, advice\nFROM makegood.outbox_held_topics",
    ),
    (
        "outbox_parked_events",
        "What did Kafka refuse, and what should be done about it?",
        "SELECT event_id, topic, key, reason, advice, parked_at\nFROM makegood.outbox_parked_events\nWHERE reason IS NOT NULL\nORDER BY seq",
    ),
    (
        "publishers",
        "Who may publish what, and who has taken most of its share?",
        "SELECT role, topics, quota, used\nFROM makegood.publishers\nORDER BY used::numeric / quota DESC NULLS LAST",
    ),
    (
        "outbox_cursor",
        "Which daemon relays it?",
        "SELECT shard, host, pid, lease_until > now() AS is_alive, published\nFROM makegood.outbox_cursor",
    ),
];

/// A table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

async fn reference(client: &Client) -> String {
    let mut text = HEAD.to_owned();
    let columns = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum),
                          obj_description(a.attrelid, 'pg_class')
                   FROM pg_attribute a
                   WHERE a.attrelid = format('makegood.%I', $1::text)::regclass AND a.attnum > 0
                   ORDER BY a.attnum";
    for (view, question, query) in VIEWS {
        let rows = client.query(columns, &[&view]).await.unwrap();
        let about: String = rows[0].get(3);
        let _ = write!(text, "\n## {view}\n\n{about}\n\n{question}\n\n```sql\n{query};\n```\n\n");
        text.push_str("| column | type | meaning |\n|---|---|---|\n");
        for row in rows {
            let (name, of): (String, String) = (row.get(0), row.get(1));
            let meaning: Option<String> = row.get(2);
            let meaning = meaning.unwrap_or_else(|| panic!("{view}.{name} has no COMMENT"));
            let _ = writeln!(text, "| `{name}` | {of} | {} |", cell(&meaning));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_documented_as_the_database_says_and_answers_its_question() {
    let rig = Rig::new(1).await;
    let all = "SELECT relname::text FROM pg_class WHERE relkind = 'v' AND relnamespace = 'makegood'::regnamespace";
    for row in rig.client.query(all, &[]).await.unwrap() {
        let name: String = row.get(0);
        assert!(VIEWS.iter().any(|view| view.0 == name), "{name} is not in the reference");
    }
    let text = reference(&rig.client).await;
    assert_golden("docs/reference/views.md", &text);
    for (view, _, query) in VIEWS {
        let answer = rig.client.query(query, &[]).await;
        assert!(answer.is_ok(), "{view}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_see_no_contents_of_a_record_or_an_event_and_can_do_nothing() {
    let rig = Rig::new(1).await;
    people(&rig).await;
    rig.client.batch_execute(WORK).await.unwrap();
    let secret = "4711-0815";
    let rows = format!(
        "UPDATE makegood.quarantine SET key = '{secret}', value = '{secret}', header_names = '{{{secret}}}', header_values = '{{{secret}}}';
         UPDATE makegood.quarantine SET judged_at = NULL WHERE id = 2;
         SELECT makegood.publish('t', 'k', 'T', '{{\"a\": \"{secret}\"}}', '{{\"h\": \"{secret}\"}}');
         INSERT INTO makegood.outbox_parked (seq, created_at, bytes, by_topic, id, aggregatetype, type, payload, headers)
             SELECT n, now(), 1, n = 9, gen_random_uuid(), 't', 'T', '\"{secret}\"', '{{\"h\": \"{secret}\"}}' FROM generate_series(8, 9) n;
         CREATE ROLE {0}_viewer LOGIN PASSWORD 'pw' IN ROLE makegood_reader",
        rig.database
    );
    rig.client.batch_execute(&rows).await.unwrap();
    let port = rig.world.postgres.port();
    let url = format!("postgres://{0}_viewer:pw@127.0.0.1:{port}/{0}", rig.database);
    let viewer = connect(&url).await;
    let mut shown = 0;
    for (view, ..) in VIEWS {
        for row in
            viewer.query(&format!("SELECT v::text FROM makegood.{view} v"), &[]).await.unwrap()
        {
            let text: String = row.get(0);
            assert!(!text.contains(secret), "{view}: {text}");
            shown += 1;
        }
    }
    assert!(shown > 8, "only {shown} rows were looked at");
    for forbidden in [
        "explain('k1')",
        "reconcile()",
        "approve(1)",
        "replay(1)",
        "require_four_eyes(true)",
        "trim_runs('j')",
    ] {
        let sql = format!("SELECT makegood.{forbidden}");
        let error = viewer.batch_execute(&sql).await.expect_err(&sql);
        assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{sql}");
    }
    let functions = "SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = 'makegood'::regnamespace AND p.prosecdef AND has_function_privilege('makegood_reader', p.oid, 'EXECUTE')
        ORDER BY 1";
    let may: Vec<String> =
        rig.client.query(functions, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(may, ["makegood.outbox_publishers_used()", "makegood.outbox_unsent()"]);
    let open = functions.replace("'makegood_reader'", "'public'");
    assert!(rig.client.query(&open, &[]).await.unwrap().is_empty(), "everybody may call one");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_count_lag_as_the_rules_do() {
    let rig = Rig::new(1).await;
    let put = "
        WITH place AS (
            SELECT row_number() OVER ()::integer AS partition, n AS next, low, low + more AS high, n + a AS all_read
            FROM generate_series(0, 6) n, generate_series(0, 6, 2) low, generate_series(0, 4) more,
                 (VALUES (NULL), (-1), (0), (1)) a (a)
        ), position AS (
            INSERT INTO makegood.positions (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, writer)
            SELECT 'lag', '00000000-0000-4000-8000-000000000000', partition, 1, 'lag', next, 1, 'claim', gen_random_uuid() FROM place
        )
        INSERT INTO makegood.watermarks (consumer_group, topic_id, partition, low, high, all_read_from)
        SELECT 'lag', '00000000-0000-4000-8000-000000000000', partition, low, high, all_read FROM place";
    rig.client.batch_execute(put).await.unwrap();
    let sql = "
        SELECT v.next_offset, v.log_start, v.log_end, w.all_read_from, v.lag
        FROM makegood.consumer_positions v
        JOIN makegood.watermarks w USING (consumer_group, topic_id, partition)
        WHERE consumer_group = 'lag'";
    let rows = rig.client.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 7 * 4 * 5 * 4);
    for row in rows {
        let (next, low, high): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let all_read_from: Option<i64> = row.get(3);
        let is_all_read = all_read_from.is_some_and(|from| next.max(low) >= from);
        let counted = lag(Offset(next), Offset(low), Offset(high), is_all_read);
        assert_eq!(row.get::<_, i64>(4), counted, "{next} in {low}..{high}, {all_read_from:?}");
    }
}
