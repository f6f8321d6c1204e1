//! The first hour of somebody who has a database with payments, and nothing of makegood's: the documents' own commands, in
//! the order in which a reader types them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lab::servers::postgres::PrivatePostgres;

use super::drafting::{OTHER_TABLES, event, fill_in};
use super::support::daemon::Daemon;
use super::support::events::raw;
use super::support::eventually;
use super::support::rig::Rig;
use super::support::world::{HOST_TABLES, connect};

const README: &str = include_str!("../../README.md");
const DEPLOY: &str = include_str!("../../docs/how-to/deploy.md");

/// The first block of commands behind a line of a document.
fn commands(document: &str, behind: &str) -> String {
    let (_, rest) = document.split_once(behind).unwrap_or_else(|| panic!("{behind} is gone"));
    let (_, block) = rest.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// A machine with a clone of the repository, and a cluster with the database `shop`.
struct Machine {
    rig: Rig,
    postgres: PrivatePostgres,
    clone: PathBuf,
}

impl Machine {
    async fn new() -> Machine {
        Machine::with(HOST_TABLES).await
    }

    /// One with these tables of the host's.
    async fn with(tables: &str) -> Machine {
        let rig = Rig::new(1).await;
        // Roles are a whole cluster's, so the test has one of its own.
        let postgres =
            tokio::task::spawn_blocking(|| PrivatePostgres::start(false)).await.unwrap().unwrap();
        let admin = connect(&postgres.url("postgres")).await;
        admin.batch_execute("CREATE DATABASE shop").await.unwrap();
        connect(&postgres.url("shop")).await.batch_execute(tables).await.unwrap();
        let clone = rig.path("clone");
        fs::create_dir_all(clone.join("target/dist")).unwrap();
        fs::create_dir(clone.join("bin")).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_makegood"));
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy"), clone.join("deploy"))
            .unwrap();
        symlink(program, clone.join("target/dist/makegood")).unwrap();
        symlink(program, clone.join("bin/makegood")).unwrap();
        // The program is built already, and there is one user.
        for (name, text) in [("release", ""), ("sudo", "[ \"$1\" = -u ] && shift 2\nexec \"$@\"\n")]
        {
            let file = clone.join("bin").join(name);
            fs::write(&file, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Machine { rig, postgres, clone }
    }

    /// Puts this machine's servers in the place of the documents', and a statement in that of a dialogue.
    fn here(&self, commands: &str) -> String {
        commands
            .replace("@localhost/shop", &format!("@127.0.0.1:{}/shop", self.postgres.port()))
            .replace("localhost:9092", &self.rig.world.kafka.bootstrap())
            .replace("'\\password makegood_app'", "\"ALTER ROLE makegood_app PASSWORD 'PASSWORD'\"")
    }

    async fn types(&self, commands: &str) -> Output {
        let mut shell = Command::new("sh");
        let path = std::env::var("PATH").unwrap();
        let password =
            self.postgres.url("").split(':').nth(2).unwrap().split('@').next().unwrap().to_owned();
        shell.args(["-euc", &self.here(commands)]).current_dir(&self.clone).stdin(Stdio::null());
        shell.env("PATH", format!("{}:{path}", self.clone.join("bin").display()));
        shell.envs([("PGHOST", "127.0.0.1"), ("PGUSER", "postgres"), ("PGPASSWORD", &password)]);
        shell.env("PGPORT", self.postgres.port().to_string());
        shell
            .env("MAKEGOOD_INBOX_TOPIC", &self.rig.topic)
            .env("MAKEGOOD_INBOX_GROUP", &self.rig.group);
        tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap()
    }

    /// The same, which must work.
    async fn does(&self, commands: &str) -> String {
        let done = self.types(commands).await;
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(done.status.success(), "{commands}\n{said}");
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_and_the_deploy_guide_after_it_work_as_printed() {
    let machine = Machine::new().await;
    let typed = commands(README, "## With your own Kafka and PostgreSQL");
    let start =
        typed.trim_end().strip_suffix("target/dist/makegood run").expect("it ends with run");
    let said = machine.does(start).await;
    assert!(said.contains("0 failed"), "{said}");
    // The daemon, with what was exported.
    let empty = machine.rig.path("makegood.toml");
    fs::write(&empty, "").unwrap();
    let url = machine.here("postgres://makegood_app:PASSWORD@localhost/shop");
    let env = [
        ("DATABASE_URL", url),
        ("KAFKA_BOOTSTRAP_SERVERS", machine.rig.world.kafka.bootstrap()),
        ("MAKEGOOD_INBOX_TOPIC", machine.rig.topic.clone()),
        ("MAKEGOOD_INBOX_GROUP", machine.rig.group.clone()),
        ("MAKEGOOD_HTTP_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    let daemon = Daemon::start_with(&empty, 0, &env);
    let shop = connect(&machine.postgres.url("shop")).await;
    let pay = format!(
        "INSERT INTO payments (id, student_id, course_id, amount, currency, status) SELECT i, i, i, 499, 'INR', 'succeeded'
             FROM (SELECT '11111111-1111-4111-8111-111111111111'::uuid AS i) one;
         SELECT makegood.publish('{}', id::text, 'PURCHASE_CONFIRMED', jsonb_build_object('data', jsonb_build_object(
             'paymentId', id, 'studentId', id, 'courseId', id, 'amount', '499.00', 'currency', 'INR'))) FROM payments",
        machine.rig.topic
    );
    shop.batch_execute(&pay).await.unwrap();
    eventually("the purchase", || async {
        let sql = "SELECT FROM student_course_purchases";
        (shop.query(sql, &[]).await.unwrap().len() == 1).then_some(())
    })
    .await;
    daemon.stop();
    machine.does(&commands(DEPLOY, "**The database.**")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_another_role_made_is_handed_over_as_the_script_says() {
    let machine = Machine::new().await;
    for maker in ["somebody", "postgres"] {
        let admin = connect(&machine.postgres.url("postgres")).await;
        admin.batch_execute("DROP DATABASE shop WITH (FORCE)").await.unwrap();
        admin.batch_execute("CREATE DATABASE shop").await.unwrap();
        connect(&machine.postgres.url("shop")).await.batch_execute(HOST_TABLES).await.unwrap();
        let make =
            "DO $$ BEGIN CREATE ROLE somebody; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                    GRANT CREATE ON DATABASE shop TO somebody";
        admin.batch_execute(make).await.unwrap();
        let migrate = "DATABASE_URL='postgres:///shop?user=postgres' makegood migrate up";
        machine.does(&format!("PGOPTIONS='-c role={maker}' {migrate}")).await;
        let typed = commands(DEPLOY, "**The database.**");
        // What whoever runs the script has made is theirs to hand over.
        if maker != "postgres" {
            let refused = machine.types(typed.lines().next().unwrap()).await;
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(!refused.status.success() && said.contains("belongs to somebody"), "{said}");
            let (_, hint) = said.split_once("HINT:").unwrap();
            let (_, statement) = hint.split_once(": ").unwrap();
            machine.does(statement.lines().next().unwrap()).await;
        }
        machine.does(&typed).await;
        let owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'makegood'::regnamespace
            UNION SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'makegood'::regnamespace
            UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'makegood'";
        let shop = connect(&machine.postgres.url("shop")).await;
        let owners = shop.query(owners, &[]).await.unwrap();
        let owners: Vec<String> = owners.iter().map(|row| row.get(0)).collect();
        assert_eq!(owners, ["makegood_owner"], "made by {maker}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_leads_from_an_empty_folder_and_tables_of_ones_own_to_a_doctor_that_finds_nothing() {
    let machine = Machine::with(OTHER_TABLES).await;
    machine.rig.send(&raw(None, Some(event(1).as_bytes()))).await;
    let topic = &machine.rig.topic;
    let servers = "export DATABASE_URL='postgres:///shop?user=postgres' KAFKA_BOOTSTRAP_SERVERS=localhost:9092\n";
    // What is not said and cannot be asked is named.
    let asked = machine.types(&format!("{servers}makegood init")).await;
    let said = String::from_utf8(asked.stderr).unwrap();
    assert!(asked.status.code() == Some(2) && said.contains("TABLE is missing"), "{said}");
    let said = machine
        .does(&format!(
            "{servers}makegood init 'shop.\"Enrolment\"' --topic {topic} --group {} --into here",
            machine.rig.group
        ))
        .await;
    for part in [
        "3. give the daemon's role a password",
        "FILL_IN: here/purchases/apply.sql",
        "here/owner.sql",
    ] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    // The steps as they are printed; a person's part is filling in.
    fill_in(&machine.clone.join("here/purchases"));
    let (_, steps) = said.split_once("what is left to do:").unwrap();
    let step = |begins: &str| {
        let line = steps.split(begins).nth(1).unwrap_or_else(|| panic!("no {begins}: {said}"));
        format!("{begins}{}", line.lines().next().unwrap())
    };
    machine.does(&step("psql -v ON_ERROR_STOP=1")).await;
    machine.does(&step("psql -d shop -c")).await;
    let again = step("makegood init --into").split("   ").next().unwrap().to_owned();
    let found = machine
        .does(&format!(
            "export PGPASSWORD=PASSWORD KAFKA_BOOTSTRAP_SERVERS=localhost:9092\n{again}"
        ))
        .await;
    assert!(found.contains("0 failed"), "{found}");
    let mapping: Vec<&str> = found.lines().filter(|line| line.contains(" mapping.")).collect();
    assert!(mapping.iter().all(|line| line.starts_with("PASS")), "{mapping:#?}");
    let env = [("PGPASSWORD", "PASSWORD"), ("MAKEGOOD_HTTP_LISTEN", "127.0.0.1:0")];
    let daemon = Daemon::start_with(&machine.clone.join("here/makegood.toml"), 0, &env);
    let shop = connect(&machine.postgres.url("shop")).await;
    eventually("the purchases of the payments that are paid", || async {
        let rows = shop.query("SELECT FROM shop.\"Enrolment\"", &[]).await.unwrap();
        (rows.len() == 2).then_some(())
    })
    .await;
    daemon.stop();
}
