//! The contract of the configuration, without the environment of whoever runs the tests.

mod generated;
mod jobs;
mod limits;

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::*;
use rules::problem::Problem;

const SAMPLE: &str = r#"
[postgres]
url = "postgres://makegood@localhost/shop"
[kafka]
bootstrap_servers = "localhost:9092"
[kafka.properties]                  # any librdkafka property but those that would break the promise

[http]
listen = "127.0.0.1:8745"
[[inbox]]
name = "purchase-confirmed"
topic = "purchase-confirmed"
group = "purchase-creation-workers"
event_type = "PURCHASE_CONFIRMED"
mapping = "purchases"               # a folder; compiled-in where none is configured
start = "earliest"                  # or a timestamp; "latest" only with allow_skip = true
[[reconcile]]
name = "purchases"
inbox = "purchase-confirmed"
every = "5m"
grace = "2m"
max_backfill = { rows = 10000, share = "50%", share_from = 1000 }
[outbox]
enabled = true                      # database = "payments" if it lives elsewhere
[retention]
inbox = "30d"
outbox = "7d"
[migrate]
mode = "auto"                       # or "check": refuse to start instead
"#;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("makegood-config-{}", uuid::Uuid::new_v4()));
        // Closed to others, for it holds secrets.
        std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Folder(path)
    }

    fn with(self, name: &str, text: &str) -> Folder {
        std::fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Loaded, Problem> {
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        load(&Overrides::default(), &env, &self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn from(text: &str) -> Result<Loaded, Problem> {
    Folder::new().with("makegood.toml", text).load(&[])
}

fn refused(text: &str) -> String {
    from(text).expect_err("this was to be refused").to_string()
}

/// The configuration as text, without the mapping, which depends on the folder.
fn comparable(mut config: Config) -> String {
    for route in &mut config.inbox {
        route.mapping = None;
    }
    config.postgres.again = None;
    format!("{config:#?}")
}

#[test]
fn the_sample_names_a_database_and_brokers_and_otherwise_the_defaults() {
    let mut config = from(SAMPLE).unwrap().config;
    assert_eq!(config.postgres.hosts, ["localhost"]);
    assert_eq!(
        (config.postgres.user.as_str(), config.postgres.dbname.as_str()),
        ("makegood", "shop")
    );
    assert_eq!(config.kafka.bootstrap_servers, "localhost:9092");
    config.postgres = Postgres::default();
    assert_eq!(comparable(config), comparable(Config::default()));
}

#[test]
fn no_file_and_no_environment_give_the_defaults() {
    let loaded = Folder::new().load(&[]).unwrap();
    assert_eq!(comparable(loaded.config), comparable(Config::default()));
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
}

#[test]
fn every_key_that_is_declared_is_read_and_its_default_can_be_used() {
    let loaded = Folder::new().load(&[]).unwrap();
    let read = loaded.origins.iter().map(|setting| setting.key.replace("[0]", "[]"));
    let read: std::collections::BTreeSet<String> = read.collect();
    let declared = keys().map(|key| key.path.clone()).filter(|path| !path.contains('*')).collect();
    assert!(read.len() > 40, "{read:?}");
    assert_eq!(read, declared);
}

#[test]
fn the_shipped_file_is_commented_and_its_comments_are_the_defaults() {
    let loaded = from(&shipped()).unwrap();
    assert_eq!(comparable(loaded.config), comparable(Config::default()));
    // Uncommented, every key of the program is in it, and says what the default says.
    let text = shipped();
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(bare) if is_toml(bare) => bare,
        _ => line,
    });
    let loaded = from(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    for key in keys().filter(|key| !key.path.contains('*')) {
        let path = key.path.replace("[]", "[0]");
        let setting = loaded.origins.iter().find(|setting| setting.key == path).unwrap();
        assert_ne!(setting.origin, Origin::Default, "{path} is missing in the shipped file");
    }
    let Config { mut postgres, mut kafka, mut databases, .. } = Config::default();
    let mut config = loaded.config;
    assert_eq!(databases.len() + 1, config.databases.len());
    std::mem::swap(&mut config.postgres, &mut postgres);
    std::mem::swap(&mut config.kafka, &mut kafka);
    std::mem::swap(&mut config.databases, &mut databases);
    assert_eq!(comparable(config), comparable(Config::default()));
}

/// `[table]`, or `name = …` where the name is one of ours.
fn is_toml(line: &str) -> bool {
    let name = line.split_once(" = ").map_or("", |(name, _)| name);
    let last = name.rsplit('.').next().unwrap_or_default();
    line.starts_with('[')
        || line.starts_with("\"sec")
        || keys().any(|key| key.path.rsplit('.').next() == Some(last))
}

#[test]
fn who_is_told_is_named_in_one_way_that_can_work() {
    let alert =
        |text: &str| from(&format!("[alert]\n{text}")).map(|loaded| loaded.config.alert.through());
    assert!(matches!(alert("webhook = \"https://h/x\"").unwrap(), Some(Through::Webhook(_))));
    let Some(Through::Command(words)) = alert("command = [\"page\", \"on call\"]").unwrap() else {
        panic!("no command")
    };
    assert_eq!(*words, ["page", "on call"]);
    for (text, why) in [
        ("webhook = \"https://h/x\"\ncommand = [\"page\"]", "keep one of the two"),
        ("webhook = \"chat.example/canary\"", "write a URL"),
        ("webhook = \"ftp://h/canary\"", "write a URL"),
        ("webhook = \"https://u:canary@h/\"", "put the token into the path"),
        ("command = [\"\"]", "the program's name is empty"),
        ("command = 5", "write a list"),
        ("after = \"0s\"", "at least 1s"),
    ] {
        let said = refused(&format!("[alert]\n{text}"));
        assert!(said.contains(why) && !said.contains("canary"), "{said}");
    }
    let folder = Folder::new().with("hook", "https://h/canary\n");
    let loaded = folder.load(&[("MAKEGOOD_ALERT_WEBHOOK_FILE", "hook")]).unwrap();
    assert!(matches!(loaded.config.alert.through(), Some(Through::Webhook(_))));
    assert!(!format!("{:?} {:?}", loaded.config, loaded.origins).contains("canary"));
    let missing = from("[alert]\ncommand = [\"/nowhere/page\"]").unwrap();
    assert!(missing.notes.iter().any(|note| note.contains("no /nowhere/page here")));
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let folder = Folder::new().with("makegood.toml", "[log]\nlevel = \"debug\"\nformat = \"json\"");
    let level = |flags: &Overrides, env: &[(&str, &str)]| {
        let env: BTreeMap<_, _> = env.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let loaded = load(flags, &env, &folder.0).unwrap();
        let setting = loaded.origins.iter().find(|setting| setting.key == "log.level").unwrap();
        (loaded.config.log.level.clone(), setting.origin.to_string())
    };
    let flags = Overrides { log_level: Some("error".into()), ..Overrides::default() };
    let env = [("MAKEGOOD_LOG_LEVEL", "warn")];
    let line = format!("{}:2", folder.0.join("makegood.toml").display());
    assert_eq!(level(&flags, &env), ("error".into(), "flag --log-level".into()));
    assert_eq!(level(&Overrides::default(), &env).1, "env MAKEGOOD_LOG_LEVEL");
    assert_eq!(level(&Overrides::default(), &[]), ("debug".into(), line));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
    let text = refused("[http]\nlisten = \"127.0.0.1:1\"\nlistn = \"127.0.0.1:2\"\n");
    assert!(text.contains("makegood.toml:3") && text.contains("did you mean `listen`?"), "{text}");
    let text = refused("[[inbox]]\nname = \"a\"\ntopic = \"a\"\ngroup = \"a\"\nevent_typ = \"x\"");
    assert!(text.contains("makegood.toml:5") && text.contains("`event_type`"), "{text}");
    assert!(refused("[postgress]\nurl = \"x\"").contains("`postgres`"));
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_name() {
    let load = |name| Folder::new().load(&[(name, "x")]);
    let text = load("MAKEGOOD_HTTP_LISTN").unwrap_err().to_string();
    assert!(text.contains("MAKEGOOD_HTTP_LISTEN"), "{text}");
    assert!(load("MAKEGOOD_TEST_ANYTHING").is_ok());
    assert!(load("MAKEGOOD_KAFKA_LIBS").is_ok());
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let text = refused("[http]\nlisten = \"nowhere\"\n[retention]\ninbox = 30\noutbox = \"7x\"\n");
    for part in ["3 mistakes", "makegood.toml:2", "makegood.toml:4", "\"30s\"", "`7x`"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    let text = refused("[http]\nlisten = \n");
    assert!(text.contains("line 2, column 10: string values must be quoted"), "{text}");
    let text = refused("[postgres]\nurl = postgres://u:canary@h/db\n");
    assert!(text.contains("line 2") && !text.contains("canary"), "{text}");
}

#[test]
fn latest_is_refused_because_it_skips_paid_events_unless_that_is_meant() {
    let route = "[[inbox]]\nname = \"a\"\ntopic = \"t\"\ngroup = \"g\"\nstart = \"latest\"\n";
    assert!(refused(route).contains("skips paid events"));
    let loaded = from(&format!("{route}allow_skip = true\n")).unwrap();
    assert_eq!(loaded.config.inbox[0].start, Start::Latest);
    let at = from(&route.replace("\"latest\"", "2026-01-07T16:55:09Z")).unwrap();
    assert_eq!(at.config.inbox[0].start, Start::At("2026-01-07T16:55:09Z".parse().unwrap()));
}

#[test]
fn two_routes_of_one_group_and_topic_or_one_name_are_refused() {
    let route = |name| format!("[[inbox]]\nname = \"{name}\"\ntopic = \"t\"\ngroup = \"g\"\n");
    assert!(refused(&(route("a") + &route("b"))).contains("only some partitions"));
    let other = route("a").replace("\"g\"", "\"h\"");
    assert!(refused(&(route("a") + &other)).contains("called `a` too"));
    assert!(refused(&route("A_b")).contains("a-z, 0-9 and -"));
    assert!(refused("[[inbox]]\nname = \"a\"\ntopic = \"t\"\n").contains("no `group`"));
}

#[test]
fn whoever_searches_for_people_on_the_page_is_known() {
    assert!(refused("[http]\nsearch = true").contains("http.token"));
    assert!(
        refused("[http]\nsearch = true\nexplain = false\nopen = true").contains("explain = true")
    );
    assert!(from("[http]\nsearch = true\nopen = true").unwrap().config.http.search);
}

#[test]
fn a_property_that_breaks_the_promise_is_refused_with_its_reason() {
    for line in [
        "enable.auto.commit = true",
        "enable.auto.offset.store = true",
        "auto.offset.reset = \"latest\"",
        "group.id = \"x\"",
        "group.instance.id = \"x\"",
        "group.protocol = \"consumer\"",
        "bootstrap.servers = \"x\"",
        "partition.assignment.strategy = \"cooperative-sticky\"",
        "max.poll.interval.ms = 45001",
        "enable.partition.eof = true",
        "isolation.level = \"read_uncommitted\"",
        "partitioner = \"random\"",
        "enable.idempotence = false",
        "acks = 1",
        "\"acks\" = \"0\"",
        "message.timeout.ms = 300000",
        "delivery.timeout.ms = 300000",
        "retries = 3",
        "enable.gapless.guarantee = false",
        "delivery.report.only.error = true",
        "transactional.id = \"x\"",
        "queue.buffering.max.messages = 10",
        "queuing.strategy = \"lifo\"",
        "max.in.flight = 6",
        "message.max.bytes = 500000",
    ] {
        let text = refused(&format!("[kafka.properties]\n{line}\n"));
        assert!(text.contains("cannot be set so") && text.contains(":2"), "{line}: {text}");
    }
    let fine = "[kafka.properties]\nacks = \"all\"\nmax.poll.interval.ms = 45000\nisolation.level = \
                \"read_committed\"\npartition.assignment.strategy = \"range,roundrobin\"\n";
    assert_eq!(from(fine).unwrap().config.kafka.properties["max.poll.interval.ms"], "45000");
}

#[test]
fn variables_set_keys_routes_properties_and_databases() {
    let loaded = Folder::new()
        .load(&[
            ("DATABASE_URL", "postgres://u@h/db"),
            ("KAFKA_BOOTSTRAP_SERVERS", "k:1"),
            ("MAKEGOOD_INBOX_TOPIC", "paid"),
            ("MAKEGOOD_INBOX_BATCH_ROWS", "7"),
            ("MAKEGOOD_INBOX_ID_FROM", "header:x, json:/y"),
            ("MAKEGOOD_MIGRATE_MODE", "check"),
            ("MAKEGOOD_OUTBOX_ENABLED", "false"),
            ("MAKEGOOD_KAFKA__SECURITY_PROTOCOL", "ssl"),
            ("MAKEGOOD_DATABASES_PAYMENTS_URL", "postgres://p@q/r"),
            ("MAKEGOOD_LOG_FORMAT", ""),
        ])
        .unwrap();
    let Config { postgres, kafka, inbox, migrate, outbox, databases, .. } = loaded.config;
    assert_eq!((postgres.hosts.join(","), kafka.bootstrap_servers), ("h".into(), "k:1".into()));
    assert_eq!((inbox[0].topic.as_str(), inbox[0].batch.rows), ("paid", 7));
    assert_eq!(inbox[0].id_from[1].to_string(), "json:/y");
    assert_eq!((migrate.mode, outbox.enabled), (MigrateMode::Check, false));
    assert_eq!(kafka.properties["security.protocol"], "ssl");
    assert_eq!(databases["payments"].user, "p");
}

#[test]
fn a_secret_may_stay_in_a_file_but_not_in_two_places() {
    let folder = Folder::new().with("url", "postgres://u:canary@h/db\n").with("pw", "canary\n");
    let env = [("DATABASE_URL_FILE", "url"), ("MAKEGOOD_KAFKA__SASL_PASSWORD_FILE", "pw")];
    let loaded = folder.load(&env).unwrap();
    assert_eq!(loaded.config.kafka.properties["sasl.password"], "canary");
    assert!(loaded.config.postgres.password.is_some());
    let shown = format!("{loaded:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let both = folder.load(&[("DATABASE_URL", "postgres://h"), ("DATABASE_URL_FILE", "url")]);
    assert!(both.unwrap_err().to_string().contains("DATABASE_URL is set too"));
    assert!(folder.load(&[("PGPASSWORD_FILE", "missing")]).is_err());
}

#[test]
fn a_variable_for_a_route_is_refused_when_there_are_two() {
    let route = |name| format!("[[inbox]]\nname = \"{name}\"\ntopic = \"{name}\"\ngroup = \"g\"\n");
    let folder = Folder::new().with("makegood.toml", &(route("a") + &route("b")));
    let text = folder.load(&[("MAKEGOOD_INBOX_TOPIC", "x")]).unwrap_err().to_string();
    assert!(text.contains("2 [[inbox]] tables"), "{text}");
}

#[test]
fn what_the_url_leaves_out_comes_from_libpq() {
    let folder = Folder::new().with("pass", "db.example:6432:shop:app:from-file\n");
    let chmod = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(folder.0.join("pass"), chmod(0o600)).unwrap();
    let env = [
        ("DATABASE_URL", "postgres://db.example/shop"),
        ("PGHOST", "elsewhere"),
        ("PGPORT", "6432"),
        ("PGUSER", "app"),
        ("PGSSLMODE", "verify-full"),
        ("PGPASSFILE", "pass"),
    ];
    let loaded = folder.load(&env).unwrap();
    let postgres = loaded.config.postgres;
    assert_eq!((postgres.hosts, postgres.ports), (vec!["db.example".to_owned()], vec![6432]));
    assert_eq!((postgres.user.as_str(), postgres.sslmode), ("app", Some(SslMode::VerifyFull)));
    assert!(postgres.password.is_some());
    assert!(loaded.notes.iter().any(|note| note.starts_with("PGHOST")), "{:?}", loaded.notes);
}

#[test]
fn a_named_file_must_exist_and_its_folder_holds_the_mapping() {
    let folder = Folder::new();
    let flags = Overrides { config: Some("nowhere.toml".into()), ..Overrides::default() };
    assert!(load(&flags, &BTreeMap::new(), &folder.0).is_err());
    std::fs::create_dir(folder.0.join("etc")).unwrap();
    let folder = folder.with(
        "etc/m.toml",
        "[[inbox]]\nname = \"a\"\ntopic = \"a\"\ngroup = \"a\"\nmapping = \"purchases\"",
    );
    let env = BTreeMap::from([("MAKEGOOD_CONFIG".to_owned(), "etc/m.toml".to_owned())]);
    let loaded = load(&Overrides::default(), &env, &folder.0).unwrap();
    assert_eq!(loaded.config.inbox[0].mapping, Some(folder.0.join("etc/purchases")));
    assert_eq!(loaded.file.as_deref(), Some(folder.0.join("etc/m.toml").as_path()));
}

#[test]
fn a_misspelt_level_is_refused() {
    assert!(refused("[log]\nlevel = \"debgu\"").contains("write one of"));
    assert!(from("[log]\nlevel = \"info,makegood_store=debug\"").is_ok());
}
