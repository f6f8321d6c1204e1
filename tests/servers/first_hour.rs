//! The first hour of somebody who has a database with payments, and nothing of makegood's: the documents' own commands, in
//! the order in which a reader types them.

use lab::servers::postgres::PrivatePostgres;

use super::drafting::{OTHER_TABLES, event, fill_in};
use super::support::daemon::Daemon;
use super::support::document;
use super::support::events::raw;
use super::support::eventually;
use super::support::reader::Machine;
use super::support::rig::Rig;
use super::support::world::{HOST_TABLES, connect};

const DEBIAN: &str = include_str!("../../docs/how-to/debian.md");

/// What the guide has typed for the database.
fn for_the_database() -> String {
    let blocks = document::commands(DEBIAN);
    blocks.into_iter().find(|block| block.heading == "The database").expect("it is there").text
}

/// A reader's machine, and a cluster with the database `shop`.
struct Hour {
    rig: Rig,
    postgres: PrivatePostgres,
    machine: Machine,
}

impl Hour {
    /// One with these tables of the host's.
    async fn with(tables: &str) -> Hour {
        let rig = Rig::new(1).await;
        // Roles are a whole cluster's, so the test has one of its own.
        let postgres =
            tokio::task::spawn_blocking(|| PrivatePostgres::start(false)).await.unwrap().unwrap();
        let admin = connect(&postgres.url("postgres")).await;
        admin.batch_execute("CREATE DATABASE shop").await.unwrap();
        connect(&postgres.url("shop")).await.batch_execute(tables).await.unwrap();
        let machine = Machine::new(&postgres.url(""), &rig.world.kafka.bootstrap());
        Hour { rig, postgres, machine }
    }

    /// Types commands into a new shell: whether all worked, and what they said.
    fn types(&self, commands: &str) -> (bool, String) {
        tokio::task::block_in_place(|| self.machine.shell().types(commands))
    }

    /// The same, which must work.
    fn does(&self, commands: &str) -> String {
        let (worked, said) = self.types(commands);
        assert!(worked, "{commands}\n{said}");
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_another_role_made_is_handed_over_as_the_script_says() {
    let hour = Hour::with(HOST_TABLES).await;
    for maker in ["somebody", "postgres"] {
        let admin = connect(&hour.postgres.url("postgres")).await;
        admin.batch_execute("DROP DATABASE shop WITH (FORCE)").await.unwrap();
        admin.batch_execute("CREATE DATABASE shop").await.unwrap();
        connect(&hour.postgres.url("shop")).await.batch_execute(HOST_TABLES).await.unwrap();
        let make =
            "DO $$ BEGIN CREATE ROLE somebody; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                    GRANT CREATE ON DATABASE shop TO somebody";
        admin.batch_execute(make).await.unwrap();
        let migrate = "DATABASE_URL='postgres:///shop?user=postgres' makegood migrate up";
        hour.does(&format!("PGOPTIONS='-c role={maker}' {migrate}"));
        let typed = for_the_database();
        // What whoever runs the script has made is theirs to hand over.
        if maker != "postgres" {
            let (worked, said) = hour.types(typed.lines().next().unwrap());
            assert!(!worked && said.contains("belongs to somebody"), "{said}");
            let (_, hint) = said.split_once("HINT:").unwrap();
            let (_, statement) = hint.split_once(": ").unwrap();
            hour.does(statement.lines().next().unwrap());
        }
        hour.does(&typed);
        let owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'makegood'::regnamespace
            UNION SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'makegood'::regnamespace
            UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'makegood'";
        let shop = connect(&hour.postgres.url("shop")).await;
        let owners = shop.query(owners, &[]).await.unwrap();
        let owners: Vec<String> = owners.iter().map(|row| row.get(0)).collect();
        assert_eq!(owners, ["makegood_owner"], "made by {maker}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_leads_from_an_empty_folder_and_tables_of_ones_own_to_a_doctor_that_finds_nothing() {
    let hour = Hour::with(OTHER_TABLES).await;
    hour.rig.send(&raw(None, Some(event(1).as_bytes()))).await;
    let topic = &hour.rig.topic;
    let servers = "export DATABASE_URL='postgres:///shop?user=postgres' KAFKA_BOOTSTRAP_SERVERS=localhost:9092\n";
    // What is not said and cannot be asked is named.
    let (worked, said) = hour.types(&format!("{servers}makegood init"));
    assert!(!worked && said.contains("TABLE is missing"), "{said}");
    let said = hour.does(&format!(
        "{servers}makegood init 'shop.\"Enrolment\"' --topic {topic} --group {} --into here",
        hour.rig.group
    ));
    for part in [
        "3. give the daemon's role a password",
        "FILL_IN: here/purchases/apply.sql",
        "here/owner.sql",
    ] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    // The steps as they are printed; a person's part is filling in.
    fill_in(&hour.machine.clone.join("here/purchases"));
    let (_, steps) = said.split_once("what is left to do:").unwrap();
    let step = |begins: &str| {
        let line = steps.split(begins).nth(1).unwrap_or_else(|| panic!("no {begins}: {said}"));
        format!("{begins}{}", line.lines().next().unwrap())
    };
    hour.does(&step("psql -v ON_ERROR_STOP=1"));
    hour.does(&step("psql -d shop -c"));
    let again = step("makegood init --into").split("   ").next().unwrap().to_owned();
    let found = hour.does(&format!(
        "export PGPASSWORD=PASSWORD KAFKA_BOOTSTRAP_SERVERS=localhost:9092\n{again}"
    ));
    assert!(found.contains("0 failed"), "{found}");
    let mapping: Vec<&str> = found.lines().filter(|line| line.contains(" mapping.")).collect();
    assert!(mapping.iter().all(|line| line.starts_with("PASS")), "{mapping:#?}");
    let env = [("PGPASSWORD", "PASSWORD"), ("MAKEGOOD_HTTP_LISTEN", "127.0.0.1:0")];
    let daemon = Daemon::start_with(&hour.machine.clone.join("here/makegood.toml"), 0, &env);
    let shop = connect(&hour.postgres.url("shop")).await;
    eventually("the purchases of the payments that are paid", || async {
        let rows = shop.query("SELECT FROM shop.\"Enrolment\"", &[]).await.unwrap();
        (rows.len() == 2).then_some(())
    })
    .await;
    daemon.stop();
}
