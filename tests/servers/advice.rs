//! What makegood prints as a way out is a way out: each fault is made for real, the statement is taken from what the daemon says
//! and run as printed, and the same daemon then makes good. A statement that has gaps to fill in, or that would take another
//! column's name away, is not printed.

use makegood::store::server_info;
use rules::advice::runnable;
use rules::checkup::Level;
use rules::checkup::write_cost::{self, WriteCost};
use tokio_postgres::error::SqlState;

use crate::commands::stdout;
use crate::mapping_commands::checks;
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::holding::{held, made_good};
use crate::support::library::store;
use crate::support::rig::Rig;

/// What breaks the world, the words that the fault is known by, and the statements that have to be printed, if any can be.
struct Fault {
    breaks: &'static str,
    known_by: &'static str,
    prints: &'static [&'static str],
    /// What mends it where no statement is printed.
    mends: &'static str,
}

const FAULTS: [Fault; 19] = [
    Fault {
        breaks: "ALTER TABLE student_course_purchases RENAME COLUMN currency TO currency_code",
        known_by: "42703",
        prints: &["ALTER TABLE student_course_purchases RENAME COLUMN currency_code TO currency;"],
        mends: "",
    },
    Fault {
        breaks: "ALTER TABLE student_course_purchases ADD seat text NOT NULL DEFAULT '?';
                 ALTER TABLE student_course_purchases ALTER seat DROP DEFAULT",
        known_by: "seat",
        prints: &["ALTER TABLE student_course_purchases ALTER COLUMN seat DROP NOT NULL;"],
        mends: "",
    },
    Fault {
        breaks: "ALTER TABLE student_course_purchases RENAME TO course_purchases",
        known_by: "42P01",
        prints: &["ALTER TABLE course_purchases RENAME TO student_course_purchases;"],
        mends: "",
    },
    Fault {
        breaks: "ALTER TABLE student_course_purchases DROP CONSTRAINT student_course_purchases_payment_id_key",
        known_by: "42P10",
        prints: &["CREATE UNIQUE INDEX CONCURRENTLY ON student_course_purchases (payment_id);"],
        mends: "",
    },
    Fault {
        breaks: "REVOKE INSERT ON student_course_purchases FROM ROLE",
        known_by: "42501",
        prints: &["GRANT INSERT ON student_course_purchases TO ROLE;"],
        mends: "",
    },
    Fault {
        breaks: "REVOKE ALL ON student_course_purchases FROM ROLE",
        known_by: "42501",
        prints: &["GRANT SELECT, INSERT ON student_course_purchases TO ROLE;"],
        mends: "",
    },
    Fault {
        breaks: "ALTER TABLE student_course_purchases DROP COLUMN currency",
        known_by: "42703",
        prints: &[],
        mends: "ALTER TABLE student_course_purchases ADD currency text NOT NULL DEFAULT 'INR'",
    },
    Fault {
        breaks: "CREATE SEQUENCE seats;
                 ALTER TABLE student_course_purchases ADD place bigint DEFAULT nextval('seats')",
        known_by: "42501",
        prints: &["GRANT USAGE ON SEQUENCE hall.seats TO ROLE;"],
        mends: "",
    },
    Fault {
        breaks: "CREATE FUNCTION row_of() RETURNS text LANGUAGE sql AS $$ SELECT 'A' $$;
                 REVOKE EXECUTE ON FUNCTION row_of() FROM PUBLIC;
                 ALTER TABLE student_course_purchases ADD row_name text DEFAULT row_of()",
        known_by: "42501",
        prints: &["GRANT EXECUTE ON FUNCTION hall.row_of() TO ROLE;"],
        mends: "",
    },
    // The table is not found, which is no reason to give another one its name.
    Fault {
        breaks: "CREATE TABLE public.course_purchases (); REVOKE USAGE ON SCHEMA hall FROM ROLE",
        known_by: "42P01",
        prints: &["GRANT USAGE ON SCHEMA hall TO ROLE;"],
        mends: "",
    },
    Fault {
        breaks: "ALTER TABLE student_course_purchases ENABLE ROW LEVEL SECURITY",
        known_by: "42501",
        prints: &[],
        mends: "ALTER TABLE student_course_purchases DISABLE ROW LEVEL SECURITY",
    },
    Fault {
        breaks: "REVOKE SELECT ON payments FROM ROLE",
        known_by: "42501",
        prints: &["GRANT SELECT ON payments TO ROLE;"],
        mends: "",
    },
    Fault {
        breaks: "ALTER TABLE payments RENAME COLUMN amount TO amount_paid",
        known_by: "42703",
        prints: &["ALTER TABLE payments RENAME COLUMN amount_paid TO amount;"],
        mends: "",
    },
    Fault {
        breaks: "CREATE SEQUENCE places MAXVALUE 2 START 2; SELECT nextval('places');
                 GRANT USAGE ON SEQUENCE places TO ROLE;
                 ALTER TABLE student_course_purchases ADD place_number bigint;
                 ALTER TABLE student_course_purchases ALTER place_number SET DEFAULT nextval('places')",
        known_by: "2200H",
        prints: &["ALTER SEQUENCE hall.places NO MAXVALUE;"],
        mends: "",
    },
    Fault {
        breaks: "CREATE SEQUENCE small AS smallint; SELECT setval('small', 32767);
                 GRANT USAGE ON SEQUENCE small TO ROLE;
                 ALTER TABLE student_course_purchases ADD small smallint;
                 ALTER TABLE student_course_purchases ALTER small SET DEFAULT nextval('small')",
        known_by: "2200H",
        prints: &[
            "ALTER TABLE hall.student_course_purchases ALTER COLUMN small TYPE bigint;",
            "ALTER SEQUENCE hall.small AS bigint;",
        ],
        mends: "",
    },
    Fault {
        breaks: "ALTER TABLE student_course_purchases ADD own smallint GENERATED ALWAYS AS IDENTITY;
                 SELECT setval(pg_get_serial_sequence('student_course_purchases', 'own'), 32767)",
        known_by: "2200H",
        prints: &[
            "ALTER TABLE hall.student_course_purchases ALTER COLUMN own TYPE bigint;",
            "ALTER SEQUENCE hall.student_course_purchases_own_seq AS bigint;",
        ],
        mends: "",
    },
    Fault {
        breaks: "CREATE TYPE money_word AS ENUM ('EUR');
                 ALTER TABLE student_course_purchases ALTER currency DROP DEFAULT,
                     ALTER currency TYPE money_word USING 'EUR'::money_word",
        known_by: "money_word",
        prints: &[],
        mends: "ALTER TABLE student_course_purchases ALTER currency TYPE text USING 'INR'",
    },
    Fault {
        breaks: "CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'closed'; END $$;
                 CREATE TRIGGER closed BEFORE INSERT ON student_course_purchases FOR EACH ROW EXECUTE FUNCTION closed()",
        known_by: "closed",
        prints: &[],
        mends: "DROP TRIGGER closed ON student_course_purchases",
    },
    // The mapping needs created_at for itself, so nothing else may get its name.
    Fault {
        breaks: "ALTER TABLE payments RENAME COLUMN updated_at TO paid_time",
        known_by: "42703",
        prints: &[],
        mends: "ALTER TABLE payments RENAME COLUMN paid_time TO updated_at",
    },
];

/// A role that may do what the daemon needs and no more, and the database's URL for it.
async fn role_of(rig: &Rig) -> (String, String) {
    let role = format!("app_{}", rig.database);
    let rights = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'pw';
         GRANT USAGE ON SCHEMA makegood TO {role};
         GRANT ALL ON ALL TABLES IN SCHEMA makegood TO {role};
         GRANT ALL ON ALL SEQUENCES IN SCHEMA makegood TO {role};
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA makegood TO {role};
         GRANT SELECT ON payments TO {role};
         GRANT SELECT, INSERT ON student_course_purchases TO {role}"
    );
    rig.client.batch_execute(&rights).await.unwrap();
    let port = rig.world.postgres.port();
    let url = format!("postgres://{role}:pw@127.0.0.1:{port}/{}", rig.database);
    (role, url)
}

/// Runs statements as the owner; only the daemon's own use of the tables may delay them.
async fn runs(rig: &Rig, sql: &str) {
    eventually(sql, || async {
        match rig.client.batch_execute(sql).await {
            Ok(()) => Some(()),
            Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => None,
            Err(error) => panic!("{sql}: {error:?}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_that_is_printed_runs_as_printed_and_mends_the_fault() {
    let rig = Rig::new(1).await;
    let (role, url) = role_of(&rig).await;
    let hall = format!(
        "CREATE SCHEMA hall;
         GRANT USAGE ON SCHEMA hall TO {role};
         ALTER TABLE student_course_purchases SET SCHEMA hall;
         ALTER ROLE {role} SET search_path = hall, public;
         SET search_path = hall, public"
    );
    rig.client.batch_execute(&hall).await.unwrap();
    let mut daemon: Daemon = rig.daemon_at(&url, "verify_payment = true");
    let mut paid = payments(1);
    rig.record(&paid, 0.0).await;
    rig.pay(&paid).await;
    rig.caught_up().await;
    for Fault { breaks, known_by, prints, mends } in FAULTS {
        let named = |text: &str| text.replace("ROLE", &role);
        // As many as hold the route where one alone waits for a verdict.
        let next = payments(10);
        rig.record(&next, 0.0).await;
        runs(&rig, &named(breaks)).await;
        rig.pay(&next).await;
        paid.extend(next);
        // The watchdog may see the lock of the statement itself for a moment.
        let held = eventually(known_by, || async {
            let held = held(&rig).await;
            let is_it = held.reason.contains(known_by) && !held.reason.contains("is locked by");
            is_it.then_some(held)
        })
        .await;
        assert!(!held.advice.contains('…'), "{breaks}: {held:?}");
        let printed: Vec<&str> =
            runnable(&held.advice).into_iter().filter(|text| text.ends_with(';')).collect();
        let expected: Vec<String> = prints.iter().map(|statement| named(statement)).collect();
        assert_eq!(printed, expected, "{breaks}: {held:?}");
        let way = if printed.is_empty() { vec![mends] } else { printed };
        for statement in way {
            runs(&rig, statement).await;
        }
        made_good(&rig, &mut daemon, &paid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_doctor_prints_runs_as_printed_and_mends_what_it_names() {
    let rig = Rig::new(1).await;
    let (role, url) = role_of(&rig).await;
    for (breaks, name) in [
        ("ALTER ROLE THE_ROLE CONNECTION LIMIT 4", "postgres.connections"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "mapping.schemas"),
        ("GRANT EXECUTE ON FUNCTION makegood.publish TO PUBLIC", "outbox.publishers"),
        ("DROP INDEX IF EXISTS payments_updated_at_id_idx", "mapping.indexes"),
        (
            "ALTER TABLE student_course_purchases DROP CONSTRAINT student_course_purchases_payment_id_key",
            "mapping.key",
        ),
        ("REVOKE INSERT ON student_course_purchases FROM THE_ROLE", "mapping.apply"),
    ] {
        rig.client.batch_execute(&breaks.replace("THE_ROLE", &role)).await.unwrap();
        let said = doctor_at(&rig, &url, name);
        let printed: Vec<&str> = runnable(&said).into_iter().filter(|t| t.ends_with(';')).collect();
        assert!(!printed.is_empty(), "{breaks}: {said}");
        for statement in printed {
            rig.client.query(statement, &[]).await.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
        }
        let said = doctor_at(&rig, &url, name);
        assert!(said.starts_with("pass "), "{breaks}: {said}");
    }
}

/// Nobody waits here until indexes outgrow memory: the rules are told that they have, and the server obeys what they print.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_advised_for_large_tables_runs_as_printed_and_settles_it() {
    let rig = Rig::new(1).await;
    let json = doctor_at(&rig, &rig.url(), "postgres.write_cost");
    assert!(json.starts_with("pass "), "{json}");
    let store = store(&rig.url());
    let large = async || {
        let found = server_info::write_cost(&store, &["payments".to_owned()]).await.unwrap();
        assert!(found.index_bytes > 0, "{found:?}");
        write_cost::checks(&WriteCost { index_bytes: 3 << 30, ..found })
    };
    let check = large().await.remove(0);
    let printed: Vec<&str> = runnable(&check.fix);
    assert!(printed.len() >= 3 && check.fix.contains("wal_compression"), "{check:?}");
    for statement in printed {
        rig.client.query(statement, &[]).await.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
    }
    eventually("the server to obey", || async {
        (large().await.remove(0).level == Level::Pass).then_some(())
    })
    .await;
    for setting in ["wal_compression", "max_wal_size", "checkpoint_timeout"] {
        let reset = format!("ALTER SYSTEM RESET {setting}");
        rig.client.batch_execute(&reset).await.unwrap();
    }
    rig.client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

/// What the doctor says of a check, as this role: its worst level, what it says and advises.
fn doctor_at(rig: &Rig, url: &str, name: &str) -> String {
    let file = rig.config_file(url, "", "");
    let mut doctor = command();
    doctor.args(["doctor", "-o", "json", "--config"]).arg(file);
    let json = stdout(&tokio::task::block_in_place(|| doctor.output()).unwrap());
    let found = checks(&json, name);
    let worst = found.iter().find(|(level, _)| level != "pass").or(found.first());
    let (level, text) = worst.unwrap_or_else(|| panic!("no {name} in {json}"));
    format!("{level} {text}")
}
