//! Promise 4, its second half: a broken world quarantines nothing; the route holds its place, says
//! why, and resumes by itself.

use tokio_postgres::Client;

use crate::support::events::payments;
use crate::support::holding::{Fault, PUT_AWAY, holds_until_mended, running};
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_drifted_holds_the_route_until_it_fits_again() {
    let rig = Rig::new(1).await;
    let mut daemon = rig.daemon();
    let mut paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    for fault in [
        // The story itself: a column that the insert names is gone.
        Fault {
            breaks: "ALTER TABLE student_course_purchases RENAME purchased_at TO start_date",
            mends: "ALTER TABLE student_course_purchases RENAME start_date TO purchased_at",
            sqlstate: "42703",
            advises: "apply.sql (line 61) names it; student_course_purchases also has start_date; change the \
                      mapping and send SIGHUP, or give student_course_purchases its column purchased_at back",
        },
        Fault {
            breaks: "ALTER TABLE student_course_purchases RENAME TO purchases",
            mends: "ALTER TABLE purchases RENAME TO student_course_purchases",
            sqlstate: "42P01",
            advises: "ALTER TABLE purchases RENAME TO student_course_purchases;",
        },
        Fault {
            breaks: "ALTER TABLE student_course_purchases DROP CONSTRAINT student_course_purchases_payment_id_key",
            mends: "ALTER TABLE student_course_purchases ADD UNIQUE (payment_id)",
            sqlstate: "42P10",
            advises: "CREATE UNIQUE INDEX CONCURRENTLY ON student_course_purchases (payment_id);",
        },
        Fault {
            breaks: "ALTER TABLE student_course_purchases ADD IF NOT EXISTS seat integer NOT NULL DEFAULT 1;
                     ALTER TABLE student_course_purchases ALTER seat DROP DEFAULT",
            mends: "ALTER TABLE student_course_purchases ALTER seat SET DEFAULT 1",
            sqlstate: "23502",
            advises: "apply.sql does not set seat (integer): add it to the INSERT and send SIGHUP, or give the \
                      column a default, or `ALTER TABLE student_course_purchases ALTER COLUMN seat DROP NOT NULL;`",
        },
        // Class 22, which was once taken for the record's own fault.
        Fault {
            breaks: "CREATE SEQUENCE seats MAXVALUE 2; SELECT setval('seats', 2);
                     ALTER TABLE student_course_purchases ADD IF NOT EXISTS number bigint;
                     ALTER TABLE student_course_purchases ALTER number SET DEFAULT nextval('seats')",
            mends: "ALTER TABLE student_course_purchases ALTER number DROP DEFAULT; DROP SEQUENCE seats",
            sqlstate: "2200H",
            advises: "",
        },
        Fault {
            breaks: "CREATE OR REPLACE FUNCTION reads() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM ('x' || NEW.currency)::integer; RETURN NEW; END $$;
                     CREATE TRIGGER reads BEFORE INSERT ON student_course_purchases
                     FOR EACH ROW EXECUTE FUNCTION reads()",
            mends: "DROP TRIGGER reads ON student_course_purchases",
            sqlstate: "22P02",
            advises: "",
        },
        Fault {
            breaks: "ALTER TABLE student_course_purchases ADD CONSTRAINT free CHECK (amount = 0) NOT VALID",
            mends: "ALTER TABLE student_course_purchases DROP CONSTRAINT free",
            sqlstate: "23514",
            advises: "CHECK constraint",
        },
        Fault {
            breaks: "ALTER TABLE student_course_purchases ADD IF NOT EXISTS term varchar(2) NOT NULL DEFAULT 'ok';
                     ALTER TABLE student_course_purchases ALTER term SET DEFAULT 'too long'",
            mends: "ALTER TABLE student_course_purchases ALTER term SET DEFAULT 'ok'",
            sqlstate: "22001",
            advises: "does not fit its column",
        },
    ] {
        holds_until_mended(&rig, &mut daemon, &fault, &mut paid, payments(30)).await;
        // A record alone looks like its own fault; it must not be taken for it.
        holds_until_mended(&rig, &mut daemon, &fault, &mut paid, payments(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_grant_holds_the_route_until_it_is_granted_again() {
    let rig = Rig::new(1).await;
    // As few rights as the daemon can do with: its own schema, two of the host's verbs.
    let role = format!("role_{}", rig.database);
    rig.client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw';
             GRANT USAGE ON SCHEMA makegood TO {role};
             GRANT ALL ON ALL TABLES IN SCHEMA makegood TO {role};
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA makegood TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA makegood TO {role};
             GRANT SELECT, INSERT ON student_course_purchases TO {role}"
        ))
        .await
        .unwrap();
    let port = rig.world.postgres.port();
    let url = format!("postgres://{role}:pw@127.0.0.1:{port}/{}", rig.database);
    let mut daemon = rig.daemon_at(&url, "");
    let mut paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    // Statements must live as long as the program, so the role's name goes in by a query.
    let do_with_role = |verb: &str| {
        format!(
            "DO $$ BEGIN EXECUTE (SELECT format('{verb}', rolname) FROM pg_roles
             WHERE rolname = 'role_' || current_database()); END $$"
        )
    };
    let breaks = do_with_role("REVOKE INSERT ON student_course_purchases FROM %I").leak();
    let mends = do_with_role("GRANT INSERT ON student_course_purchases TO %I").leak();
    let fault = Fault { breaks, mends, sqlstate: "42501", advises: "GRANT" };
    holds_until_mended(&rig, &mut daemon, &fault, &mut paid, payments(30)).await;
    drop(daemon);
    rig.client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_waited_for_and_the_wait_is_shown() {
    let rig = Rig::new(1).await;
    let mut daemon = rig.daemon();
    let mut paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    let place = rig.positions().await;
    let mut other = connect(&rig.url()).await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE student_course_purchases").await.unwrap();
    let behind = payments(30);
    rig.pay(&behind).await;
    let sql = "SELECT reason, advice FROM makegood.status WHERE verdict = 'stalled'";
    let stalled = eventually("the watchdog to name who locks", || async {
        rig.client.query_opt(sql, &[]).await.unwrap()
    })
    .await;
    let pid: i32 = lock.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    assert!(stalled.get::<_, &str>(0).contains(&format!("locked by pid {pid}")), "{stalled:?}");
    assert!(stalled.get::<_, &str>(1).contains("pg_terminate_backend"), "{stalled:?}");
    // Three waits of ten seconds, with pauses between them: whoever has it is named all the while.
    let sql = "SELECT state, coalesce(reason, ''), coalesce(advice, '') FROM makegood.workers";
    let named = [format!("locked by pid {pid}"), "student_course_purchases".to_owned()];
    let (reason, advice) = eventually("the route to be held", || async {
        let row = rig.client.query_one(sql, &[]).await.unwrap();
        let (state, reason, advice): (&str, String, String) = (row.get(0), row.get(1), row.get(2));
        assert!(named.iter().all(|name| reason.contains(name)), "{state}: {reason}");
        (state == "held").then_some((reason, advice))
    })
    .await;
    assert!(reason.contains("55P03"), "{reason}");
    assert!(advice.contains(&format!("pg_terminate_backend({pid})")), "{advice}");
    assert_eq!(rig.positions().await, place);
    lock.rollback().await.unwrap();
    rig.caught_up().await;
    running(&rig).await;
    paid.extend(behind);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number(PUT_AWAY).await, 0);
    assert_eq!(daemon.ended(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_are_cancelled_again_and_again_quarantine_nothing() {
    let rig = Rig::new(1).await;
    let body = |does: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN {does} RETURN NEW; END $$"
        )
    };
    let trigger = "CREATE TRIGGER slow BEFORE INSERT ON student_course_purchases
                   FOR EACH ROW EXECUTE FUNCTION slow()";
    let endless = body("PERFORM pg_sleep(3600);");
    rig.client.batch_execute(&format!("{endless}; {trigger}")).await.unwrap();
    let mut daemon = rig.daemon();
    let paid = payments(10);
    rig.pay(&paid).await;
    // What a statement timeout does, without its half a minute.
    let cancel = "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let sql = "SELECT reason FROM makegood.workers WHERE state = 'held'";
    let reason: String = eventually("the route to say that it is held", || async {
        rig.number(cancel).await;
        rig.client.query_opt(sql, &[]).await.unwrap().map(|row| row.get(0))
    })
    .await;
    assert!(reason.contains("57014"), "{reason}");
    rig.client.batch_execute(&body("")).await.unwrap();
    rig.number(cancel).await;
    rig.caught_up().await;
    running(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number(PUT_AWAY).await, 0);
    assert_eq!(daemon.ended(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_waited_for() {
    let rig = Rig::new(1).await;
    let mut daemon = rig.daemon();
    let mut paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    let place = rig.positions().await;
    let admin = connect(&rig.world.postgres.url("postgres")).await;
    let set = |value: &str| {
        format!("ALTER DATABASE {} SET default_transaction_read_only = {value}", rig.database)
    };
    admin.batch_execute(&set("on")).await.unwrap();
    cut_daemons(&rig, &admin).await;
    let behind = payments(30);
    rig.pay(&behind).await;
    // It cannot write down that it is held, so the log must say it.
    eventually("the log to say what it waits for", || async {
        let log = daemon.log();
        log.lines().any(|l| l.contains("held") && l.contains("does not allow writes")).then_some(())
    })
    .await;
    assert_eq!(rig.positions().await, place);
    admin.batch_execute(&set("off")).await.unwrap();
    rig.caught_up().await;
    running(&rig).await;
    paid.extend(behind);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number(PUT_AWAY).await, 0);
    assert_eq!(daemon.ended(), None);
}

/// Ends the daemons' connections, so that the next ones get the database's new settings.
async fn cut_daemons(rig: &Rig, admin: &Client) {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = $1 AND application_name LIKE 'makegood%'";
    let cut: i64 = admin.query_one(sql, &[&rig.database]).await.unwrap().get(0);
    assert!(cut > 0, "no connection of a daemon was found");
}
