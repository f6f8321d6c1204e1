//! Who decided what is written down by the database, as the role that logged in, and nobody who works with makegood can
//! change it, delete it or have it name somebody else.

use tokio_postgres::Client;

use crate::support::eventually;
use crate::support::rig::Rig;
use crate::support::world::connect;

const ROLES: &str = include_str!("../../deploy/roles.sql");
/// What there is to decide on.
pub const WORK: &str = "
    INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('r', 't', 'g');
    INSERT INTO makegood.quarantine (route_id, topic, business_key, event_id, digest, reason, judged_at)
        SELECT 1, 't', 'k' || n, gen_random_uuid(), 'x', 'rejected', now() FROM generate_series(1, 2) n;
    INSERT INTO makegood.findings (job, business_key, kind) VALUES ('j', 'k', 'amount');
    INSERT INTO makegood.gaps (route_id, topic, topic_id, partition, from_offset, to_offset, reason)
        VALUES (1, 't', gen_random_uuid(), 0, 0, 5, 'expired');
    INSERT INTO makegood.runs (job, requested_by, requested_via, state, held) VALUES ('j', 'x', 'schedule', 'held', 'too many')";

/// The rig's database with the roles, and logins of the daemon and of a person; the last part is their name.
pub async fn people(rig: &Rig) -> (Client, Client, String) {
    // Two tests that make the same roles at once are in each other's way.
    eventually("the roles", || async { rig.client.batch_execute(ROLES).await.ok() }).await;
    let name = rig.database.clone();
    let logins = format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'pw' IN ROLE makegood_ops;
         CREATE ROLE {name}_app LOGIN PASSWORD 'pw' IN ROLE makegood_app;"
    );
    rig.client.batch_execute(&logins).await.unwrap();
    let url = |role: &str| {
        let port = rig.world.postgres.port();
        format!("postgres://{role}:pw@127.0.0.1:{port}/{name}?application_name=somebody-else")
    };
    (connect(&url(&name)).await, connect(&url(&format!("{name}_app"))).await, name.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_recorded_as_the_role_that_logged_in_and_for_good() {
    let rig = Rig::new(1).await;
    let (ops, app, name) = people(&rig).await;
    rig.client.batch_execute(WORK).await.unwrap();
    for decision in [
        "replay(1, 'why')",
        "discard(2, 'why')",
        "accept('r', 'why')",
        "dismiss(1, 'why')",
        "dismiss_gap(1, 'why')",
        "approve(1)",
        "reconcile('j')",
    ] {
        // As whom one acts is not who one is.
        let sql = format!("SET ROLE makegood_ops; SELECT makegood.{decision}; RESET ROLE");
        if decision.starts_with("reconcile") {
            rig.client
                .batch_execute("INSERT INTO makegood.jobs (name, route_id) VALUES ('j', 1)")
                .await
                .unwrap();
        }
        ops.batch_execute(&sql).await.unwrap();
    }
    // The daemon's role asks in a person's name, resets offsets and gives up an event.
    let asks = format!(
        "INSERT INTO makegood.runs (job, requested_by, requested_via) VALUES ('k', '{name}', 'sql');
         INSERT INTO makegood.positions (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, why, writer)
             VALUES ('g', gen_random_uuid(), 0, 1, 't', 5, 1, 'claim', 'reset by alice to latest', gen_random_uuid());
         INSERT INTO makegood.outbox_discarded (id, seq, created_at, aggregatetype, type, payload, headers, discarded_by, why)
             VALUES (gen_random_uuid(), 1, now(), 't', 'T', '{{}}', '{{}}', '{name}', 'why')"
    );
    app.batch_execute(&asks).await.unwrap();
    let sql = "SELECT concat_ws(' ', action, role, application, reason), host(address) FROM makegood.audit ORDER BY at";
    let found: Vec<String> =
        ops.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let of = |action: &str, role: &str, why: &str| format!("{action} {role} somebody-else {why}");
    let daemon = format!("{name}_app");
    let expected = [
        of("replay", &name, "why"),
        of("discard", &name, "why"),
        of("accept", &name, "why"),
        of("dismiss", &name, "why"),
        of("dismiss_gap", &name, "why"),
        of("approve", &name, "j"),
        of("reconcile", &name, "j"),
        of("reconcile", &daemon, "k"),
        of("offsets_reset", &daemon, "reset by alice to latest"),
        of("outbox_discard", &daemon, "why"),
    ];
    assert_eq!(found, expected);
    let sql = "SELECT requested_by FROM makegood.runs WHERE job = 'k' UNION ALL SELECT discarded_by FROM makegood.outbox_discarded";
    for row in app.query(sql, &[]).await.unwrap() {
        assert_eq!(row.get::<_, String>(0), daemon);
    }

    for forbidden in [
        "INSERT INTO makegood.audit_entries (role, action) VALUES ('bob', 'accept')",
        "UPDATE makegood.audit_entries SET role = 'bob'",
        "DELETE FROM makegood.audit_entries",
        "TRUNCATE makegood.audit_entries",
        "INSERT INTO makegood.decisions (kind, route_id, decided_by, decided_via) VALUES ('accept', 1, 'bob', 'sql')",
        "UPDATE makegood.decisions SET decided_by = 'bob'",
        "UPDATE makegood.decisions SET reason = 'another'",
        "DELETE FROM makegood.decisions",
        "TRUNCATE makegood.decisions",
        "UPDATE makegood.runs SET approved_by = 'bob', approved_at = now()",
        "UPDATE makegood.runs SET requested_by = 'bob'",
        "INSERT INTO makegood.runs (job, requested_by, requested_via, approved_at) VALUES ('z', 'bob', 'schedule', now())",
        "DELETE FROM makegood.runs",
        "UPDATE makegood.findings SET resolved_by = 'bob'",
        "DELETE FROM makegood.findings",
        "DELETE FROM makegood.gaps",
        "UPDATE makegood.positions SET next_offset = 9",
        "DELETE FROM makegood.positions",
        "UPDATE makegood.outbox_discarded SET why = 'another'",
        "DELETE FROM makegood.outbox_discarded",
        "UPDATE makegood.inbox SET outcome = 'applied'",
        "UPDATE makegood.inbox_1 SET outcome = 'applied'",
        "DELETE FROM makegood.inbox",
    ] {
        let error = app.batch_execute(forbidden).await.expect_err(forbidden);
        assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{forbidden}: {error:?}");
    }
    // Not by accident, whoever owns it.
    for forbidden in [
        "UPDATE makegood.audit_entries SET role = 'bob'",
        "DELETE FROM makegood.audit_entries",
        "TRUNCATE makegood.audit_entries",
    ] {
        rig.client.batch_execute(forbidden).await.expect_err(forbidden);
    }
    let sql = "INSERT INTO makegood.audit_entries (role, at, action) VALUES ('bob', '-infinity', 'x') RETURNING role = session_user AND isfinite(at)";
    assert!(rig.client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
}
