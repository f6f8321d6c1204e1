//! The database's clock was ahead for a while and is right again: what was written then says nothing about now.

use super::recorded;
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Gives every time in makegood's own tables beside the purchases another value, `{}` being the one of today.
pub async fn every_time(rig: &Rig, expression: &str) {
    let sql = "SELECT format('%I.%I', c.table_schema, c.table_name), format('%I', c.column_name)
               FROM information_schema.columns c
               JOIN information_schema.tables t USING (table_schema, table_name)
               WHERE c.table_schema = 'makegood' AND c.data_type = 'timestamp with time zone'
                     AND t.table_type = 'BASE TABLE' AND c.table_name NOT LIKE 'outbox%'
                     AND c.table_name NOT LIKE 'audit%'";
    for row in rig.client.query(sql, &[]).await.unwrap() {
        let (table, column): (&str, &str) = (row.get(0), row.get(1));
        let value = expression.replace("{}", column);
        let update = format!("UPDATE {table} SET {column} = {value} WHERE {column} IS NOT NULL");
        rig.client.batch_execute(&update).await.unwrap();
    }
}

/// What a daemon wrote that died while the clock was ahead.
async fn written_ahead(rig: &Rig, by: &str) {
    every_time(rig, &format!("{{}} + interval '{by}'")).await;
    // Of a daemon that died, and of its runner.
    let dead = format!(
        "INSERT INTO makegood.workers (id, route_id, host, pid, version, state, reason, partitions, seen_at)
         SELECT gen_random_uuid(), id, 'dead', 1, '0', state, 'it was broken then', '{{0}}', now() + interval '{by}'
         FROM makegood.routes, (VALUES ('running'), ('held')) s (state);
         UPDATE makegood.jobs
         SET lease_owner = gen_random_uuid(), lease_until = now() + interval '{by}', cursor_at = now() + interval '{by}',
             swept_at = now() + interval '{by}', scheduled_at = now() + interval '{by}', look_at = now() + interval '{by}',
             looked_at = now() + interval '{by}';
         INSERT INTO makegood.gaps (route_id, topic, topic_id, partition, from_offset, to_offset, reason, found_at)
         SELECT id, topic, gen_random_uuid(), 0, 5, 7, 'expired', now() + interval '{by}' FROM makegood.routes"
    );
    rig.client.batch_execute(&dead).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clock_that_was_ahead_has_written_holds_up_nothing() {
    for by in ["1 hour", "2 days"] {
        let rig = Rig::new(1).await;
        let mut paid = recorded(&rig, 2).await;
        let daemon = rig.reconciler("every = \"1s\"").await;
        ledger::assert_exactly(&rig.client, &paid).await;
        let asked = rig.number("SELECT count(*) FROM makegood.runs").await;
        daemon.stop();
        written_ahead(&rig, by).await;
        let state =
            "SELECT CASE verdict WHEN 'down' THEN 0 ELSE 1 END::bigint FROM makegood.status";
        assert_eq!(rig.number(state).await, 0, "a dead daemon seen {by} ahead is alive");
        let seen = "SELECT count(*) FROM makegood.status WHERE seen_at > now() OR log_seen_at > now() OR progress_at > now()";
        assert_eq!(rig.number(seen).await, 0, "times that are still to come are shown");

        let more = payments(2);
        rig.record(&more, 60.0).await;
        paid.extend(more);
        let run = rig.ask("").await;
        let _daemon = rig.reconciler_with("", "every = \"1s\"");
        assert_eq!(rig.run_is(run, &["done"]).await.made_good, 2);
        ledger::assert_exactly(&rig.client, &paid).await;
        // The schedule goes on too, and covers what was found missing then.
        let runs = format!(
            "SELECT count(*) FROM makegood.runs WHERE state = 'done' AND requested_via = 'schedule' AND id > {run}"
        );
        eventually("a run of the schedule", || async {
            (rig.number(&runs).await > 0).then_some(())
        })
        .await;
        assert!(asked > 0);
        let open = "SELECT count(*) FROM makegood.gaps_open";
        eventually("the gap to be covered", || async {
            (rig.number(open).await == 0).then_some(())
        })
        .await;
        let more = payments(1);
        rig.record(&more, 60.0).await;
        paid.extend(more);
        eventually("what became paid since", || async {
            (ledger::count(&rig.client).await == 5).then_some(())
        })
        .await;
        ledger::assert_exactly(&rig.client, &paid).await;
        let ahead = "SELECT count(*) FROM makegood.jobs WHERE greatest(cursor_at, swept_at, scheduled_at, look_at, looked_at)
                     > clock_timestamp()";
        assert_eq!(rig.number(ahead).await, 0);
    }
}
