//! Few rights are enough: named columns to read, inserts into purchases, and functions for people.

use makegood::config::Postgres;
use makegood::store::{Store, migrate, rights};
use tokio_postgres::Client;

use super::job_section;
use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{eventually, ledger};

const ROLES: &str = include_str!("../../../deploy/roles.sql");

/// The SQLSTATE a statement is refused with.
async fn refused(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().map(|code| code.code().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_as_shipped_run_the_reconciler_and_let_people_use_it_and_no_more() {
    let rig = Rig::new(1).await;
    let (name, login) = (format!("{}_roles", rig.database), format!("pw{}", rig.database));
    rig.client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    let url = rig.world.postgres.url(&name);
    let owner = connect(&url).await;
    owner.batch_execute(HOST_TABLES).await.unwrap();
    owner.batch_execute("ALTER TABLE payments ADD card text").await.unwrap();
    owner.batch_execute(ROLES).await.unwrap();
    let mut migrator = connect(&url).await;
    migrator.batch_execute("SET ROLE makegood_owner").await.unwrap();
    migrate::up(&mut migrator, migrate::BOTH).await.unwrap();
    owner.batch_execute(ROLES).await.unwrap();
    let people = format!(
        "CREATE ROLE {login} LOGIN PASSWORD 'pw' IN ROLE makegood_ops;
         CREATE ROLE {login}_nobody LOGIN PASSWORD 'pw';
         CREATE ROLE {login}_app LOGIN PASSWORD 'pw' IN ROLE makegood_app;
         INSERT INTO payments SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'INR', 'succeeded',
             now() - interval '3 hours', now() - interval '3 hours', '4711' FROM generate_series(1, 7)"
    );
    owner.batch_execute(&people).await.unwrap();
    let port = rig.world.postgres.port();
    let url_of = |role: &str| format!("postgres://{role}:pw@127.0.0.1:{port}/{name}");
    let config = rig.config_file(&url_of(&format!("{login}_app")), "", &job_section(""));
    let _daemon = Daemon::start(&config, 0);

    let ops = connect(&url_of(&login)).await;
    // Whatever the caller has in its search_path is not found by the functions.
    ops.batch_execute("SET search_path = pg_temp, public; CREATE TEMP TABLE runs (id bigint)")
        .await
        .unwrap();
    let run: i64 = ops.query_one("SELECT makegood.reconcile()", &[]).await.unwrap().get(0);
    let sql = "SELECT requested_by, made_good FROM makegood.reconcile_runs WHERE run = $1 AND state = 'done'";
    let row = eventually("the run", || async { ops.query_opt(sql, &[&run]).await.unwrap() }).await;
    assert_eq!(row.get::<_, String>(0), login, "the run does not say who asked");
    assert_eq!(ledger::count(&owner).await, 7);
    ops.query("SELECT * FROM makegood.explain('x')", &[]).await.unwrap();
    for of_nothing in ["approve(1)", "replay(1)", "discard(1, 'x')"] {
        let sql = format!("SELECT makegood.{of_nothing}");
        assert_eq!(refused(&ops, &sql).await, "55000", "{of_nothing}");
    }
    assert_eq!(refused(&ops, "SELECT makegood.discard(1, ' ')").await, "22023", "without a reason");
    assert_eq!(refused(&ops, "SELECT makegood.accept('nothing')").await, "22023");
    ops.query("SELECT makegood.accept('purchases')", &[]).await.unwrap();
    let sql = "SELECT count(*) FROM makegood.quarantine_decisions WHERE decided_by = session_user";
    assert_eq!(ops.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
    for forbidden in [
        "SELECT * FROM makegood.runs",
        "UPDATE makegood.findings SET note = 'x'",
        "SELECT value FROM makegood.quarantine",
        "INSERT INTO makegood.decisions (kind) VALUES ('accept')",
        "SELECT * FROM payments",
        "INSERT INTO student_course_purchases (payment_id) VALUES (gen_random_uuid())",
    ] {
        assert_eq!(refused(&ops, forbidden).await, "42501", "{forbidden}");
    }
    let nobody = connect(&url_of(&format!("{login}_nobody"))).await;
    for forbidden in ["reconcile()", "replay(1)", "discard(1, 'x')", "accept('purchases')"] {
        let sql = format!("SELECT makegood.{forbidden}");
        assert_eq!(refused(&nobody, &sql).await, "42501", "{forbidden}");
    }
    let app = connect(&url_of(&format!("{login}_app"))).await;
    for forbidden in [
        "SELECT card FROM payments",
        "UPDATE payments SET status = 'x'",
        "DELETE FROM student_course_purchases",
        "CREATE TABLE makegood.mine ()",
    ] {
        assert_eq!(refused(&app, forbidden).await, "42501", "{forbidden}");
    }
    each_right_is_missed(&owner, &url_of(&format!("{login}_app"))).await;
}

/// Takes each right of roles.sql on a column, and each to run a function, from the daemon's role and gives it back.
async fn each_right_is_missed(owner: &Client, url: &str) {
    let store = Store::open(&Postgres::from_url(url).unwrap(), "makegood test", 1).unwrap();
    assert_eq!(rights::refused(&store).await.unwrap(), [""; 0], "roles.sql is enough");
    let granted = "SELECT format('%s (%I) ON makegood.%I', a.privilege_type, t.attname, c.relname), c.relname::text
        FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
        WHERE c.relnamespace = 'makegood'::regnamespace AND a.grantee = 'makegood_app'::regrole
        UNION ALL
        SELECT format('%s ON makegood.%I', r, relname), relname::text
        FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'TRUNCATE']) r
        WHERE relnamespace = 'makegood'::regnamespace AND relname IN ('positions', 'inbox', 'jobs', 'outbox_steps', 'outbox_1')
              AND (relname <> 'outbox_1' OR r = 'TRUNCATE') AND has_table_privilege('makegood_app', oid, r)
        UNION ALL
        SELECT format('EXECUTE ON FUNCTION %s', oid::regprocedure), proname::text
        FROM pg_proc WHERE pronamespace = 'makegood'::regnamespace AND proname = 'trim_runs'";
    let mut unmissed = Vec::new();
    for row in owner.query(granted, &[]).await.unwrap() {
        let (right, of): (String, String) = (row.get(0), row.get(1));
        owner.batch_execute(&format!("REVOKE {right} FROM makegood_app")).await.unwrap();
        let refused = rights::refused(&store).await.unwrap();
        owner.batch_execute(&format!("GRANT {right} TO makegood_app")).await.unwrap();
        if !refused.iter().any(|said| said.contains(&of)) {
            unmissed.push(format!("{right}: {refused:?}"));
        }
    }
    assert_eq!(unmissed, [""; 0], "no statement takes these rights");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_may_call_the_functions_by_default() {
    let rig = Rig::new(1).await;
    let sql =
        "SELECT p.proname, p.prosecdef, p.proconfig::text, coalesce(p.proacl::text, 'everybody')
               FROM pg_proc p WHERE p.pronamespace = 'makegood'::regnamespace
                    AND p.proname IN ('reconcile', 'approve', 'dismiss', 'explain', 'replay', 'discard', 'accept')";
    let rows = rig.client.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let (name, acl): (String, String) = (row.get(0), row.get(3));
        assert!(row.get::<_, bool>(1), "{name}");
        assert_eq!(row.get::<_, &str>(2), "{\"search_path=pg_catalog, pg_temp\"}", "{name}");
        assert!(!acl.contains("{=") && !acl.contains(",=") && acl != "everybody", "{name}: {acl}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_without_missing_sql_is_not_reconciled_and_says_so() {
    let rig = Rig::new(1).await;
    let folder = rig.path("mapping");
    std::fs::create_dir_all(&folder).unwrap();
    let copy = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    copy("apply.sql", include_str!("../../../sql/purchases/apply.sql"));
    let route = format!("mapping = \"{}\"", folder.display());
    let daemon = rig.reconciler_with(&route, "");
    let said = |what: &'static str| {
        let sql = "SELECT notice FROM makegood.jobs WHERE notice LIKE $1";
        let rig = &rig;
        async move { rig.client.query_opt(sql, &[&format!("%{what}%")]).await.unwrap().map(|_| ()) }
    };
    eventually("the job to say so", || said("there is no missing.sql")).await;
    let paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    // A look that breaks its contract stops the job, says why, and leaves the route alone.
    copy("missing.sql", "SELECT 1");
    daemon.signal("HUP");
    eventually("the job to say why", || said("missing.sql")).await;
    let run = rig.ask("").await;
    copy("missing.sql", include_str!("../../../sql/purchases/missing.sql"));
    daemon.signal("HUP");
    let done = rig.run_is(run, &["done", "failed"]).await;
    assert_eq!(done.state, "done", "{done:?}");
}
