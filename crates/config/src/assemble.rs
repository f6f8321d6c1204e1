//! From raw values to a [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use secrecy::ExposeSecret;

use super::declare::{Key, Section};
use super::layers::{Origin, Raw};
use super::libpq::Libpq;
use super::reader::ConfigReader;
use super::sections::{Database, Http, Inbox, Kafka, Reconcile};
use super::{Config, Postgres, url};

/// A table of the configuration with its keys.
pub struct ConfigTable {
    /// Its path; `[]` marks a list of tables, `*` a name of the operator's own.
    pub path: &'static str,
    /// What it is about, line by line.
    pub about: Vec<&'static str>,
    /// Its keys.
    pub keys: Vec<Key>,
}

impl ConfigTable {
    /// The table that this struct declares.
    pub fn of<S: Section>(path: &'static str) -> ConfigTable {
        ConfigTable { path, about: S::about(), keys: S::keys(path) }
    }
}

/// Folders that relative paths depend on.
pub struct Folders<'a> {
    /// The working directory.
    pub cwd: &'a Path,
    /// The file, if there is one.
    pub file: Option<&'a Path>,
}

/// Takes every key there is.
pub fn config(from: &mut ConfigReader, folders: &Folders<'_>) -> Config {
    let libpq = from.libpq.clone();
    let (postgres, kafka, http) = (database(from, "postgres", &libpq), kafka(from), http(from));
    let inbox = inboxes(from, folders);
    Config {
        postgres,
        kafka,
        http,
        reconcile: reconciles(from, &inbox),
        inbox,
        outbox: Section::read(from, "outbox"),
        watchdog: Section::read(from, "watchdog"),
        retention: Section::read(from, "retention"),
        migrate: Section::read(from, "migrate"),
        databases: databases(from, &libpq.for_others()),
        alert: alert(from),
        log: Section::read(from, "log"),
    }
}

/// The database in this section: its URL, and how it is reached.
fn database(from: &mut ConfigReader, at: &str, libpq: &Libpq) -> Postgres {
    let key = |name: &str| format!("{at}.{name}");
    let is_named = from.layers.found.contains_key(&key("url"));
    let given = Database::read(from, at);
    let mut main = match url::merge(given.url.expose_secret(), libpq) {
        Ok(main) => main,
        Err(fix) if is_named => {
            from.wrong(&key("url"), format!("`{}` cannot be used", key("url")), fix);
            Postgres::default()
        }
        Err(fix) => {
            let names: Vec<&str> =
                libpq.fallbacks.iter().map(|(_, _, name)| name.as_str()).collect();
            let at = format!("env {}", names.join(", "));
            from.layers.mistake(at, "libpq's variables cannot be used", fix);
            Postgres::default()
        }
    };
    if !is_named && libpq.fallbacks.is_empty() {
        from.layers.notes.push(format!(
            "{} is not set, and neither is DATABASE_URL: using libpq's default, the local socket as {}",
            key("url"),
            main.user
        ));
    }
    main.pooler = given.pooler;
    let direct = given.direct_url.expose_secret();
    if !direct.is_empty() {
        match url::merge(direct, &libpq.for_others()) {
            Ok(to) => main.direct = Some(Box::new(to)),
            Err(fix) => {
                from.wrong(
                    &key("direct_url"),
                    format!("`{}` cannot be used", key("direct_url")),
                    fix,
                );
            }
        }
    }
    if !given.password_command.is_empty() && main.password.is_some() {
        from.wrong(&key("password_command"), "a password is given too", "keep one of the two");
    }
    if let Some(direct) = &mut main.direct {
        direct.password_command.clone_from(&given.password_command);
    }
    main.password_command = given.password_command;
    main
}

fn databases(from: &mut ConfigReader, libpq: &Libpq) -> BTreeMap<String, Postgres> {
    let named = |key: String| Some(key.strip_prefix("databases.")?.split_once('.')?.0.to_owned());
    let names: BTreeSet<String> = from.found("databases.").into_iter().filter_map(named).collect();
    let read = |name: String| {
        let found = database(from, &format!("databases.{name}"), libpq);
        (name, found)
    };
    names.into_iter().map(read).collect()
}

fn kafka(from: &mut ConfigReader) -> Kafka {
    let is_named = from.layers.found.contains_key("kafka.bootstrap_servers");
    let kafka = Kafka::read(from, "kafka");
    if !is_named {
        let note = format!("kafka.bootstrap_servers is not set: using {}", kafka.bootstrap_servers);
        from.layers.notes.push(note);
    }
    kafka
}

/// A payment's terms are for whoever sits at the machine, unless somebody says more.
fn http(from: &mut ConfigReader) -> Http {
    let is_said = from.layers.found.contains_key("http.explain");
    let mut http = Http::read(from, "http");
    if !is_said && http.is_reachable() {
        http.explain = false;
        from.settings.retain(|setting| setting.key != "http.explain");
        from.show("http.explain", "false", Origin::Default);
    }
    http
}

fn inboxes(from: &mut ConfigReader, folders: &Folders<'_>) -> Vec<Inbox> {
    (0..from.layers.tables("inbox").unwrap_or(1)).map(|index| inbox(from, index, folders)).collect()
}

/// What the folder of the mapping is mostly called.
const FOLDER: &str = "purchases";

fn inbox(from: &mut ConfigReader, index: usize, folders: &Folders<'_>) -> Inbox {
    let mut route = Inbox::read(from, &format!("inbox[{index}]"));
    let beside = folders.file.and_then(Path::parent).map(|folder| folders.cwd.join(folder));
    let base = match from.origin(&format!("inbox[{index}].mapping")) {
        Origin::File { .. } | Origin::Default => beside.unwrap_or_else(|| folders.cwd.to_owned()),
        Origin::Env(_) | Origin::EnvFile { .. } | Origin::Flag(_) => folders.cwd.to_owned(),
    };
    match &mut route.mapping {
        Some(folder) => *folder = base.join(&folder),
        None if base.join(FOLDER).is_dir() => from.layers.notes.push(format!(
            "{} is not used, for no mapping names it: the compiled-in one is",
            base.join(FOLDER).display()
        )),
        None => {}
    }
    route
}

/// The jobs that are given, and one for each route that none of them names: another route, or another job, takes none
/// away. Only what somebody wrote turns them off: an empty list, or the route's own word.
fn reconciles(from: &mut ConfigReader, routes: &[Inbox]) -> Vec<Reconcile> {
    let given = from.layers.tables("reconcile");
    let mut jobs: Vec<Reconcile> = (0..given.unwrap_or(0)).map(|index| job(from, index)).collect();
    if given == Some(0) {
        return jobs;
    }
    let wants_one = |route: &&Inbox| route.reconcile && !route.name.is_empty();
    for route in routes.iter().filter(wants_one) {
        if jobs.iter().any(|job| job.inbox == route.name) {
            continue;
        }
        let (index, name) = (jobs.len(), job_name(route, routes, &jobs));
        for (key, value) in [("name", &name), ("inbox", &route.name)] {
            let key = format!("reconcile[{index}].{key}");
            if given.is_some() || !from.layers.found.contains_key(&key) {
                from.layers.lay(key, Raw::Text(value.clone()), Origin::Default);
            }
        }
        jobs.push(job(from, index));
    }
    jobs
}

fn job(from: &mut ConfigReader, index: usize) -> Reconcile {
    Reconcile::read(from, &format!("reconcile[{index}]"))
}

/// The route and the job that are there while nobody gives one.
const ROUTE: &str = "purchase-confirmed";
const JOB: &str = "purchases";

/// What the job of a route is called that nobody gave one: the first route keeps the name it had alone.
fn job_name(route: &Inbox, routes: &[Inbox], jobs: &[Reconcile]) -> String {
    let is_free = |name: &String| jobs.iter().all(|job| job.name != *name);
    let keeps = match routes.iter().any(|other| other.name == ROUTE) {
        true => route.name == ROUTE,
        false => routes.first().is_some_and(|first| first.name == route.name),
    };
    let names = keeps.then(|| JOB.to_owned()).into_iter();
    let numbered = (2..).map(|number| format!("{}-{number}", route.name));
    names.chain([route.name.clone()]).chain(numbered).find(is_free).unwrap_or_default()
}

/// A program that is missing is found out now, not at three in the morning. It may be there where makegood
/// runs, though.
fn alert(from: &mut ConfigReader) -> super::Alert {
    let alert = super::Alert::read(from, "alert");
    if alert.webhook.is_some() && !alert.command.is_empty() {
        from.wrong("alert.command", "`alert.webhook` is set too", "keep one of the two");
    } else if let Some(program) = alert.command.first()
        && program.contains('/')
        && !Path::new(program).is_file()
    {
        from.layers.notes.push(format!("alert.command: there is no {program} here"));
    }
    alert
}
