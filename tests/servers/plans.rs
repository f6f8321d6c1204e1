//! What PostgreSQL reads to answer: what costs little must do so however many rows there are, and whenever its plan was
//! made.

use crate::support::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn no_question_that_dashboards_ask_scans_the_inbox() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "INSERT INTO makegood.routes (name, topic, consumer_group)
                 SELECT 'r' || n, 't', 'g' || n FROM generate_series(1, 3) n;
             INSERT INTO makegood.inbox (event_id, \"offset\", applied_at, partition, route_id, digest, outcome, business_key)
                 SELECT gen_random_uuid(), n, now() - n * interval '1 second', 0, n % 3 + 1, '\\x00', 'applied', 'payment ' || n
                 FROM generate_series(1, 200000) n;
             INSERT INTO makegood.positions (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, writer)
                 SELECT 'g' || r, gen_random_uuid(), p, s, 't', s, 1, 'batch', gen_random_uuid()
                 FROM generate_series(1, 3) r, generate_series(0, 5) p, generate_series(1, 100) s;
             ANALYZE",
        )
        .await
        .unwrap();
    for view in ["status", "consumer_positions", "quarantine_open", "paid_not_purchased"] {
        let plan = plan(&rig, &format!("SELECT * FROM makegood.{view}")).await;
        assert!(!plan.contains("inbox"), "{view} reads the inbox:\n{plan}");
    }
    for (question, index) in [
        ("WHERE event_id = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "inbox_0_pkey"),
        ("WHERE business_key = 'payment 4711'", "inbox_0_business_key"),
        ("ORDER BY applied_at DESC LIMIT 50", "inbox_0_applied_at"),
        ("WHERE applied_at > now() - interval '5 minutes'", "inbox_0_applied_at"),
    ] {
        let plan = plan(&rig, &format!("SELECT * FROM makegood.inbox_events {question}")).await;
        assert!(plan.contains(index), "{question} does not use {index}:\n{plan}");
        assert!(!plan.contains("Seq Scan on inbox_0"), "{question} scans the inbox:\n{plan}");
    }
}

/// A plan that was made while there were no cases is kept, and must not read all of them later.
#[tokio::test(flavor = "multi_thread")]
async fn closing_the_cases_of_a_payment_reads_no_others_though_it_was_planned_without_any() {
    let rig = Rig::new(1).await;
    let sql = include_str!("../../sql/core/quarantine_made_good.sql");
    rig.client
        .batch_execute(&format!(
            "INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('r', 't', 'g');
             SET plan_cache_mode = force_generic_plan;
             PREPARE made_good (smallint, text[]) AS {sql};
             EXECUTE made_good (1, '{{}}');
             INSERT INTO makegood.quarantine (route_id, topic, topic_id, partition, \"offset\", business_key, event_id, digest, reason)
                 SELECT 1, 't', gen_random_uuid(), 0, n, 'payment ' || n, gen_random_uuid(), '\\x00', 'refused'
                 FROM generate_series(1, 5000) n"
        ))
        .await
        .unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("another {n}")).collect();
    let explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE made_good (1, '{{{}}}')",
        keys.join(",")
    );
    let told: serde_json::Value = rig.client.query_one(&explain, &[]).await.unwrap().get(0);
    let read = told[0]["Plan"]["Shared Hit Blocks"].as_u64().unwrap();
    assert!(read < 500, "20 keys without a case read {read} blocks: {told:#}");
}

async fn plan(rig: &Rig, sql: &str) -> String {
    let rows = rig.client.query(&format!("EXPLAIN {sql}"), &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}
