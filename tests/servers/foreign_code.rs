//! Nobody's code is run as makegood: who may create in a schema that is searched, as everybody may in `public` before
//! PostgreSQL 15, has functions and operators there that fit better than PostgreSQL's own.

use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate;

use crate::mapping_commands::checks;
use crate::support::daemon::{Daemon, command};
use crate::support::events::{payments, raw};
use crate::support::rig::Rig;
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{eventually, ledger, traps};

const ROLES: &str = include_str!("../../deploy/roles.sql");

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_makegood_runs_nothing_that_a_publisher_has_put_into_public() {
    let rig = Rig::new(1).await;
    // Roles are a whole cluster's, and the server's log is what tells.
    let start = || PrivatePostgres::start(false);
    let postgres = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let superuser = connect(&postgres.url("postgres")).await;
    superuser.batch_execute(HOST_TABLES).await.unwrap();
    superuser.batch_execute(ROLES).await.unwrap();
    let people = "CREATE ROLE shop LOGIN PASSWORD 'pw' IN ROLE makegood_publisher;
        CREATE ROLE ops LOGIN PASSWORD 'pw' IN ROLE makegood_ops;
        ALTER ROLE makegood_app PASSWORD 'pw';
        GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC;
        GRANT SELECT, INSERT ON payments TO shop";
    superuser.batch_execute(people).await.unwrap();
    let url = |role: &str| format!("postgres://{role}:pw@127.0.0.1:{}/postgres", postgres.port());
    let shop = connect(&url("shop")).await;
    traps::lay(&shop).await;
    let log = || std::fs::read_to_string(postgres.folder().join("log")).unwrap();
    let laid = log().matches(traps::WORD).count();
    let untouched = |when: &str| {
        let log = log();
        let since: Vec<&str> = log.lines().filter(|line| line.contains(traps::WORD)).collect();
        assert_eq!(since.len(), laid, "{when}: {:#?}", &since[laid..]);
    };

    let mut migrator = connect(&postgres.url("postgres")).await;
    migrator.batch_execute("SET ROLE makegood_owner").await.unwrap();
    migrate::up(&mut migrator, migrate::BOTH).await.unwrap();
    connect(&postgres.url("postgres")).await.batch_execute(ROLES).await.unwrap();
    untouched("migrations and roles.sql");

    let job = "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\ngrace = \"0s\"\nevery = \"1h\"\n\
        [migrate]\nmode = \"check\"\n[retention]\noutbox = \"1s\"\ninbox = \"30d\"\n[log]\nlevel = \"info,makegood=debug\"\n";
    let config = rig.config_file(&url("makegood_app"), "", job);
    let _daemon = Daemon::start(&config, 0);
    let paid = payments(9);
    for (number, payment) in paid.iter().enumerate() {
        let (id, event) = (payment.id, payment.json());
        let row = "INSERT INTO payments (id, student_id, course_id, amount, currency) VALUES ($1, $2, $3, $4::text::pg_catalog.numeric, $5)";
        let row_of: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&id, &payment.student, &payment.course, &payment.amount, &payment.currency];
        superuser.execute(row, &row_of).await.unwrap();
        // Some are published, some sent to the topic, the rest is for the reconciler.
        let publish = format!(
            "SELECT makegood.publish('{}', '{id}', 'PURCHASE_CONFIRMED', '{event}')",
            rig.topic
        );
        match number % 3 {
            0 => shop.batch_execute(&publish).await.unwrap(),
            1 => drop(rig.send(&payment.record()).await),
            _ => {}
        }
    }
    rig.send(&payments(1)[0].record()).await;
    rig.send(&raw(
        None,
        Some(b"{\"eventType\":\"PURCHASE_CONFIRMED\",\"data\":{\"paymentId\":\"x\"}}"),
    ))
    .await;
    let ops = connect(&url("ops")).await;
    eventually("the broken record to be in quarantine", || async {
        untouched("reading");
        let sql = "SELECT id FROM makegood.quarantine_open LIMIT 1";
        ops.query_opt(sql, &[]).await.unwrap()
    })
    .await;
    for asked in [
        "reconcile()",
        "replay(1)",
        "explain('x')",
        "accept('purchases')",
        "reconcile(dry_run => true)",
    ] {
        ops.batch_execute(&format!("SELECT makegood.{asked}")).await.unwrap();
    }
    eventually("all purchases", || async {
        untouched("applying and reconciling");
        (ledger::count(&superuser).await >= 9).then_some(())
    })
    .await;
    let payment = paid[0].id.to_string();
    for args in [
        &["status"][..],
        &["doctor"],
        &["explain", &payment],
        &["inbox", "list"],
        &["inbox", "show", &payment],
        &["outbox", "list"],
        &["quarantine", "list"],
        &["quarantine", "show", "1"],
        &["quarantine", "replay", "--id", "1"],
        &["quarantine", "discard", "--id", "1", "--reason", "x"],
        &["reconcile", "run", "--dry-run"],
        &["reconcile", "list"],
        &["reconcile", "show"],
        &["offsets", "show"],
        &["mapping", "check"],
        &["mapping", "try"],
        &["config", "check"],
        &["migrate", "status"],
        &["send-test"],
    ] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (file, said) = (config.clone(), args.join(" "));
        let wait = move || command().args(args).arg("--config").arg(file).output();
        let output = tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(traps::WORD) && output.status.code() != Some(2), "{said}: {text}");
        untouched(&said);
    }
    let doctor = || async {
        let file = config.clone();
        let wait =
            move || command().args(["doctor", "-o", "json"]).arg("--config").arg(file).output();
        let output = tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
        checks(&String::from_utf8(output.stdout).unwrap(), "mapping.schemas").remove(0)
    };
    let (level, says) = doctor().await;
    assert!(level == "warn" && says.contains("in the schema public"), "{level}: {says}");
    superuser.batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC;").await.unwrap();
    assert_eq!(doctor().await.0, "pass");
    let views = "SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c
        WHERE c.relnamespace OPERATOR(pg_catalog.=) 'makegood'::pg_catalog.regnamespace AND c.relkind OPERATOR(pg_catalog.=) 'v'";
    for view in superuser.query(views, &[]).await.unwrap() {
        let sql = format!("SELECT * FROM makegood.{}", view.get::<_, &str>(0));
        ops.query(&sql, &[]).await.unwrap();
    }
    untouched("the views");
    eventually("the outbox's old tables to be emptied", || async {
        untouched("retention");
        let sql = "SELECT count(*) FROM makegood.outbox";
        (superuser.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

/// Their triggers count on the path that the database sets, deferred ones too.
#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_tables_are_found_where_the_database_says() {
    let rig = Rig::new(1).await;
    let path = format!("ALTER DATABASE {} SET search_path = \"$user\", shop", rig.database);
    let moved = "CREATE SCHEMA shop; CREATE SCHEMA postgres;
        ALTER TABLE payments SET SCHEMA shop; ALTER TABLE student_course_purchases SET SCHEMA shop;
        -- Named like the role: whoever may create schemas could put one there.
        CREATE TABLE postgres.student_course_purchases (LIKE shop.student_course_purchases INCLUDING ALL);
        CREATE TABLE shop.audit (at_once boolean);
        CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO audit VALUES (TG_NAME = 'once'); RETURN NULL; END $$;
        CREATE TRIGGER once AFTER INSERT ON shop.student_course_purchases FOR EACH ROW EXECUTE FUNCTION shop.note();
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON shop.student_course_purchases
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.note()";
    rig.client.batch_execute(&format!("{path}; {moved}")).await.unwrap();
    let _daemon = rig.daemon();
    rig.pay(&payments(3)).await;
    rig.caught_up().await;
    let sql = "SELECT count(*) FROM shop.student_course_purchases";
    assert_eq!(rig.number(sql).await, 3);
    for at_once in [true, false] {
        let sql = format!("SELECT count(*) FROM shop.audit WHERE at_once = {at_once}");
        assert_eq!(rig.number(&sql).await, 3, "{at_once}");
    }
}
