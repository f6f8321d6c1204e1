//! From raw values to a [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::env::base_folder;
use super::layers::Raw;
use super::libpq::Libpq;
use super::reader::{Reader, some_text, text};
use super::{
    Batch, Config, Inbox, Kafka, Log, LogFormat, MaxBackfill, Migrate, MigrateMode, Outbox, Pooler,
    Postgres, Reconcile, Retention, Start, Watchdog, alert, http, url,
};

/// Folders that relative paths depend on.
pub struct Folders<'a> {
    /// The working directory.
    pub cwd: &'a Path,
    /// The file, if there is one.
    pub file: Option<&'a Path>,
}

/// Shorter, a loop would do nothing else.
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Each lane has a connection to PostgreSQL.
const MOST_LANES: u64 = 64;
/// Room for so many rows is made in advance.
const MOST_ROWS: u64 = 100_000;
/// What is longer is not kept as a whole, not even in quarantine.
const LARGEST_RECORD: usize = 16 << 20;
/// What a batch may hold in memory, as PostgreSQL's messages also are.
const LARGEST_BATCH: usize = 64 << 20;
/// Larger than any disk.
const LARGEST_QUARANTINE: usize = 1 << 50;
/// For numbers that only compare.
const MANY: u64 = u32::MAX as u64;

/// Takes every key there is.
pub fn config(from: &mut Reader, libpq: &Libpq, folders: &Folders<'_>) -> Config {
    let whole = Config::default();
    let years = (SECOND, 36_500 * DAY);
    Config {
        postgres: database(from, "postgres", libpq),
        kafka: kafka(from, whole.kafka),
        http: http::http(from, whole.http),
        inbox: inboxes(from, folders),
        reconcile: reconciles(from),
        outbox: Outbox {
            enabled: from.truth("outbox.enabled", whole.outbox.enabled),
            database: from.maybe("outbox.database", None),
            shards: from.take("outbox.shards", whole.outbox.shards, shards, shown),
        },
        watchdog: Watchdog {
            patience: from.duration(
                "watchdog.patience",
                whole.watchdog.patience,
                (SECOND, DAY / 24),
            ),
        },
        retention: Retention {
            inbox: from.duration("retention.inbox", whole.retention.inbox, years),
            outbox: from.duration("retention.outbox", whole.retention.outbox, years),
        },
        migrate: Migrate { mode: choice(from, "migrate.mode", &MODES) },
        databases: databases(from, libpq),
        alert: alert::alert(from, &whole.alert),
        log: Log {
            level: from.take("log.level", whole.log.level, level, String::clone),
            format: choice(from, "log.format", &FORMATS),
        },
    }
}

const MODES: [(&str, MigrateMode); 2] =
    [("auto", MigrateMode::Auto), ("check", MigrateMode::Check)];
const POOLERS: [(&str, Pooler); 2] = [("none", Pooler::None), ("transaction", Pooler::Transaction)];
const FORMATS: [(&str, LogFormat); 3] =
    [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];

/// One of a few names; the first is the default.
fn choice<T: Copy + PartialEq>(from: &mut Reader, key: &str, names: &[(&str, T)]) -> T {
    let list = || names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let parse = |raw: &Raw| {
        let written = text(raw)?;
        let found = names.iter().find(|(name, _)| *name == written);
        found.map(|(_, value)| *value).ok_or_else(|| format!("write one of: {}", list()))
    };
    let show = |value: &T| {
        let found = names.iter().find(|(_, known)| known == value);
        found.map_or_else(String::new, |(name, _)| (*name).to_owned())
    };
    from.take(key, names[0].1, parse, show)
}

/// The database in this section: its URL, and how it is reached.
fn database(from: &mut Reader, section: &str, libpq: &Libpq) -> Postgres {
    let mut main = at(from, &format!("{section}.url"), libpq);
    main.pooler = choice(from, &format!("{section}.pooler"), &POOLERS);
    let key = format!("{section}.direct_url");
    let parse = |raw: &Raw| match text(raw)?.as_str() {
        "" => Ok(None),
        url => url::merge(url, &libpq.for_others()).map(|to| Some(Box::new(to))),
    };
    let show = |value: &Option<Box<Postgres>>| {
        let url = value.as_ref().map(|to| secrecy::ExposeSecret::expose_secret(&to.url));
        url.map_or_else(String::new, |url| url.to_owned())
    };
    main.direct = from.take(&key, None, parse, show);
    let key = format!("{section}.password_command");
    main.password_command = from.take(&key, Vec::new(), alert::command, |words| words.join(" "));
    if main.password_command.is_empty() {
        return main;
    }
    if let Some(direct) = &mut main.direct {
        direct.password_command.clone_from(&main.password_command);
    }
    if main.password.is_some() {
        let origin = from.origin(&key);
        from.layers.mistake(origin, "a password is given too", "keep one of the two");
    }
    main
}

fn at(from: &mut Reader, key: &str, libpq: &Libpq) -> Postgres {
    let parse = |raw: &Raw| url::merge(&text(raw)?, libpq);
    let show = |value: &Postgres| secrecy::ExposeSecret::expose_secret(&value.url).to_owned();
    let default = url::merge("", libpq).unwrap_or_else(|fix| {
        let names: Vec<&str> = libpq.fallbacks.iter().map(|(_, _, name)| name.as_str()).collect();
        let at = format!("env {}", names.join(", "));
        from.layers.mistake(at, "libpq's variables cannot be used", fix);
        Postgres::default()
    });
    let given = from.layers.found.contains_key(key);
    if !given && libpq.fallbacks.is_empty() {
        from.layers.notes.push(format!(
            "{key} is not set, and neither is DATABASE_URL: using libpq's default, \
             the local socket as {}",
            default.user
        ));
    }
    from.take(key, default, parse, show)
}

fn databases(from: &mut Reader, libpq: &Libpq) -> BTreeMap<String, Postgres> {
    let others = libpq.for_others();
    let named = |key: String| Some(key.strip_prefix("databases.")?.split_once('.')?.0.to_owned());
    let known: BTreeSet<String> = names(from, "databases.").into_iter().filter_map(named).collect();
    let read = |name: String| {
        let section = format!("databases.{name}");
        (name, database(from, &section, &others))
    };
    known.into_iter().map(read).collect()
}

fn kafka(from: &mut Reader, default: Kafka) -> Kafka {
    let key = "kafka.bootstrap_servers";
    if !from.layers.found.contains_key(key) {
        let note = format!("{key} is not set: using {}", default.bootstrap_servers);
        from.layers.notes.push(note);
    }
    let bootstrap_servers = from.text(key, &default.bootstrap_servers);
    let scalar = |raw: &Raw| match raw {
        Raw::Text(text) => Ok(text.clone()),
        Raw::Number(number) => Ok(number.to_string()),
        Raw::Truth(truth) => Ok(truth.to_string()),
        _ => Err("write a text, a number, true or false".to_owned()),
    };
    let properties = names(from, "kafka.properties.")
        .into_iter()
        .filter_map(|key| {
            let name = key.strip_prefix("kafka.properties.")?.to_owned();
            Some((name, from.take(&key, String::new(), scalar, String::clone)))
        })
        .collect();
    let token_command =
        from.take("kafka.token_command", Vec::new(), alert::command, |words| words.join(" "));
    let region = |raw: &Raw| match text(raw)?.as_str() {
        "" => Ok(None),
        name if name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') => {
            Ok(Some(name.to_owned()))
        }
        _ => Err("write the name of a region, such as eu-west-1".to_owned()),
    };
    let msk_region =
        from.take("kafka.msk_region", None, region, |region| region.clone().unwrap_or_default());
    Kafka { bootstrap_servers, properties, token_command, msk_region }
}

fn names(from: &Reader, prefix: &str) -> Vec<String> {
    from.layers.found.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
}

fn inboxes(from: &mut Reader, folders: &Folders<'_>) -> Vec<Inbox> {
    match from.layers.tables("inbox") {
        None => Config::default().inbox.iter().map(|d| inbox(from, 0, d, folders)).collect(),
        Some(count) => (0..count)
            .map(|index| {
                for part in ["name", "topic", "group"] {
                    required(from, "inbox", index, part);
                }
                inbox(from, index, &Inbox::named("", "", ""), folders)
            })
            .collect(),
    }
}

/// A key that has no default once its table is given.
fn required(from: &mut Reader, list: &str, index: usize, part: &str) {
    if !from.layers.found.contains_key(&format!("{list}[{index}].{part}")) {
        let at = from.layers.found.get(list).map(|found| found.origin.to_string());
        let what = format!("[[{list}]] number {} has no `{part}`", index + 1);
        from.layers.mistake(at.unwrap_or_default(), what, format!("add {part} = \"…\""));
    }
}

/// What the folder of the mapping is mostly called.
const FOLDER: &str = "purchases";

fn inbox(from: &mut Reader, index: usize, default: &Inbox, folders: &Folders<'_>) -> Inbox {
    let key = |part: &str| format!("inbox[{index}].{part}");
    let start = |value: &Start| match value {
        Start::Earliest => "earliest".to_owned(),
        Start::Latest => "latest".to_owned(),
        Start::At(time) => time.to_string(),
    };
    let rows = default.batch.rows as u64;
    let mut route = Inbox {
        name: from.text(&key("name"), &default.name),
        topic: from.text(&key("topic"), &default.topic),
        group: from.text(&key("group"), &default.group),
        event_type: from.maybe(&key("event_type"), default.event_type.clone()),
        other_types: from.texts(&key("other_types"), &default.other_types),
        mapping: from.maybe(&key("mapping"), None).map(Into::into),
        start: from.take(&key("start"), default.start, start_at, start),
        allow_skip: from.truth(&key("allow_skip"), default.allow_skip),
        envelopes: from.envelopes(&key("envelopes"), &default.envelopes),
        id_from: from.places(&key("id_from"), &default.id_from),
        type_from: from.places(&key("type_from"), &default.type_from),
        max_record: from.size(&key("max_record"), default.max_record, LARGEST_RECORD),
        suspects: from.count(&key("suspects"), default.suspects as u64, 10_000) as usize,
        verify_payment: from.truth(&key("verify_payment"), default.verify_payment),
        max_quarantine: from.size(
            &key("max_quarantine"),
            default.max_quarantine as usize,
            LARGEST_QUARANTINE,
        ) as u64,
        lanes: from.count(&key("lanes"), default.lanes as u64, MOST_LANES) as usize,
        batch: Batch {
            rows: from.count(&key("batch.rows"), rows, MOST_ROWS) as usize,
            bytes: from.size(&key("batch.bytes"), default.batch.bytes, LARGEST_BATCH),
            linger: from.duration(
                &key("batch.linger"),
                default.batch.linger,
                (Duration::ZERO, 10 * SECOND),
            ),
        },
    };
    let origin = from.origin(&key("mapping"));
    let base = base_folder(&origin, folders.cwd, folders.file);
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

fn reconciles(from: &mut Reader) -> Vec<Reconcile> {
    if let Some(count) = from.layers.tables("reconcile") {
        return (0..count)
            .map(|index| {
                required(from, "reconcile", index, "name");
                required(from, "reconcile", index, "inbox");
                reconcile(from, index, &Reconcile::named("", ""))
            })
            .collect();
    }
    // The default job follows the only route; among several, nobody said which one is meant.
    match from.layers.tables("inbox") {
        None | Some(1) => {
            let named = from.settings.iter().find(|setting| setting.key == "inbox[0].name");
            let route = named.map_or_else(String::new, |setting| setting.value.clone());
            vec![reconcile(from, 0, &Reconcile::named("purchases", &route))]
        }
        Some(0) => Vec::new(),
        Some(count) => {
            let note = format!("nothing is reconciled: with {count} routes, add [[reconcile]]");
            from.layers.notes.push(note);
            Vec::new()
        }
    }
}

fn reconcile(from: &mut Reader, index: usize, default: &Reconcile) -> Reconcile {
    let key = |part: &str| format!("reconcile[{index}].{part}");
    let brake = &default.max_backfill;
    let (year, years) = (365 * DAY, 36_500 * DAY);
    Reconcile {
        name: from.text(&key("name"), &default.name),
        inbox: from.text(&key("inbox"), &default.inbox),
        source: from.maybe(&key("source"), None),
        every: from.duration(&key("every"), default.every, (SECOND, years)),
        grace: from.duration(&key("grace"), default.grace, (Duration::ZERO, year)),
        sweep: from.duration(&key("sweep"), default.sweep, (SECOND, years)),
        window: from.count(&key("window"), default.window, 10_000_000),
        max_backfill: MaxBackfill {
            rows: from.count(&key("max_backfill.rows"), brake.rows, MANY),
            share: share(from, &key("max_backfill.share"), brake.share),
            share_from: from.count(&key("max_backfill.share_from"), brake.share_from, MANY),
        },
    }
}

fn shown<T: ToString>(value: &T) -> String {
    value.to_string()
}

/// As many as the outbox's tables have room for.
fn shards(raw: &Raw) -> Result<i16, String> {
    let number = match raw {
        Raw::Number(number) => i16::try_from(*number).ok(),
        Raw::Text(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|n| (1..=8).contains(n)).ok_or_else(|| "write a number from 1 to 8".to_owned())
}

fn share(from: &mut Reader, key: &str, default: u8) -> u8 {
    from.take(key, default, percent, |percent| format!("{percent}%"))
}

fn percent(raw: &Raw) -> Result<u8, String> {
    let written = some_text(raw)?;
    let number = written.strip_suffix('%').and_then(|digits| digits.trim().parse().ok());
    number.filter(|number| *number <= 100).ok_or_else(|| "write a share such as \"50%\"".to_owned())
}

fn start_at(raw: &Raw) -> Result<Start, String> {
    match text(raw)?.as_str() {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        time => time.parse().map(Start::At).map_err(|_| {
            "write \"earliest\", or a time with its zone such as 2026-01-07T00:00:00Z".to_owned()
        }),
    }
}

fn level(raw: &Raw) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let written = some_text(raw)?;
    // A bare word is also a valid filter on a target of that name; a misspelt level must not be.
    let plain =
        |part: &str| part.contains(['=', '[', ']', '}', '{']) || LEVELS.contains(&part.trim());
    let parses = tracing_subscriber::EnvFilter::try_new(&written).is_ok();
    if parses && written.split(',').all(plain) {
        return Ok(written);
    }
    Err(format!("write one of {}, or a filter such as info,makegood=debug", LEVELS.join(", ")))
}
