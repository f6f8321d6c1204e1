//! The environment: `DATABASE_URL`, `KAFKA_BOOTSTRAP_SERVERS`, `MAKEGOOD_*`, and secrets in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::exposed;
use super::keys::{KEYS, variable};
use super::layers::{Layers, Origin, Raw};
use super::mistake::did_you_mean;

/// The environment, as a map so that tests need none of their own.
pub type Env = BTreeMap<String, String>;

/// Variables of makegood that are no keys.
const OTHERS: [&str; 2] = ["MAKEGOOD_CONFIG", "MAKEGOOD_KAFKA_LIBS"];
/// Keys whose values may stand in a file.
const SECRETS: [(&str, &str); 4] = [
    ("MAKEGOOD_POSTGRES_URL", "postgres.url"),
    ("MAKEGOOD_POSTGRES_DIRECT_URL", "postgres.direct_url"),
    ("MAKEGOOD_ALERT_WEBHOOK", "alert.webhook"),
    ("MAKEGOOD_HTTP_TOKEN", "http.token"),
];
const PROPERTY: &str = "MAKEGOOD_KAFKA__";
const DATABASE: &str = "MAKEGOOD_DATABASES_";

/// A variable's value; an empty one counts as not set, because compose files pass those on.
pub fn get<'a>(env: &'a Env, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// A secret's value: the variable itself, or the file its `_FILE` sibling names.
pub fn secret(env: &Env, name: &str, cwd: &Path, layers: &mut Layers) -> Option<(String, Origin)> {
    let sibling = format!("{name}_FILE");
    let plain = get(env, name);
    let Some(file) = get(env, &sibling) else {
        return plain.map(|value| (value.to_owned(), Origin::Env(name.into())));
    };
    if plain.is_some() {
        let what = format!("{name} is set too");
        layers.mistake(format!("env {sibling}"), what, "set only one of the two");
    }
    let path = cwd.join(file);
    match std::fs::read_to_string(&path) {
        Ok(_) if exposed::to_everybody(&path) => {
            let what = format!("everybody may read {}, which holds a secret", path.display());
            layers.mistake(format!("env {sibling}"), what, exposed::FIX);
            None
        }
        Ok(text) => {
            let value = text.trim_end_matches(['\r', '\n']).to_owned();
            Some((value, Origin::EnvFile { name: sibling, path }))
        }
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            layers.mistake(format!("env {sibling}"), what, "name a readable file of UTF-8 text");
            None
        }
    }
}

/// Lays what the environment says over what the file said.
pub fn read(env: &Env, cwd: &Path, layers: &mut Layers) {
    for (general, key) in
        [("DATABASE_URL", "postgres.url"), ("KAFKA_BOOTSTRAP_SERVERS", "kafka.bootstrap_servers")]
    {
        if let Some((value, origin)) = secret(env, general, cwd, layers) {
            layers.lay(key, Raw::Text(value), origin);
        }
    }
    let keys: BTreeMap<String, &str> =
        KEYS.iter().filter_map(|key| Some((variable(key)?, *key))).collect();
    for name in env.keys().filter(|name| name.starts_with("MAKEGOOD_")) {
        if OTHERS.contains(&name.as_str()) || name.starts_with("MAKEGOOD_TEST_") {
            continue;
        }
        one(name, &keys, env, cwd, layers);
    }
}

fn one(name: &str, keys: &BTreeMap<String, &str>, env: &Env, cwd: &Path, layers: &mut Layers) {
    let base = name.strip_suffix("_FILE").unwrap_or(name);
    let key = if let Some(key) = keys.get(name) {
        indexed(key, name, layers)
    } else if let Some((_, key)) = SECRETS.iter().find(|(variable, _)| *variable == base) {
        Some((*key).to_owned())
    } else if let Some(property) = base.strip_prefix(PROPERTY).filter(|text| !text.is_empty()) {
        Some(format!("kafka.properties.{}", property.to_lowercase().replace('_', ".")))
    } else if let Some((name, part)) = base.strip_prefix(DATABASE).and_then(part_of_database) {
        Some(format!("databases.{}.{part}", name.to_lowercase()))
    } else {
        let names: Vec<&str> = keys.keys().map(String::as_str).chain(OTHERS).collect();
        let fix = match did_you_mean(name, &names) {
            near if near.starts_with("did you") => near,
            _ => "see the names in `makegood config init -`".to_owned(),
        };
        layers.mistake(format!("env {name}"), "unknown variable", fix);
        None
    };
    let Some(key) = key else { return };
    let is_key = keys.contains_key(name);
    // Both a variable and its _FILE sibling lead here; the pair is read once, with the first.
    let seen_first = is_key || name == base || !env.contains_key(base);
    let is_secret = SECRETS.iter().any(|(_, secret)| *secret == key);
    let value = match is_key && !is_secret {
        true => get(env, name).map(|value| (value.to_owned(), Origin::Env(name.into()))),
        false if seen_first => secret(env, base, cwd, layers),
        false => None,
    };
    if let Some((value, origin)) = value {
        layers.lay(key, Raw::Text(value), origin);
    }
}

/// `PAYMENTS_URL` is the `url` of `PAYMENTS`.
fn part_of_database(name: &str) -> Option<(&str, &'static str)> {
    [
        ("_DIRECT_URL", "direct_url"),
        ("_URL", "url"),
        ("_POOLER", "pooler"),
        ("_PASSWORD_COMMAND", "password_command"),
    ]
    .into_iter()
    .find_map(|(ending, part)| Some((name.strip_suffix(ending)?, part)))
}

/// `inbox[].topic` becomes `inbox[0].topic`, if there is exactly one route to mean.
fn indexed(key: &str, name: &str, layers: &mut Layers) -> Option<String> {
    let Some((list, rest)) = key.split_once("[]") else { return Some(key.to_owned()) };
    match layers.tables(list) {
        None | Some(1) => Some(format!("{list}[0]{rest}")),
        Some(count) => {
            let what = format!("there are {count} [[{list}]] tables, so none is meant by this");
            layers.mistake(format!("env {name}"), what, "say it in the file instead");
            None
        }
    }
}

/// What a relative folder is relative to: the file's folder, or the working directory.
pub fn base_folder(origin: &Origin, cwd: &Path, file: Option<&Path>) -> PathBuf {
    let folder = file.and_then(Path::parent).map(|folder| cwd.join(folder));
    match origin {
        Origin::Env(_) | Origin::EnvFile { .. } | Origin::Flag(_) => cwd.to_owned(),
        Origin::File { .. } | Origin::Default => folder.unwrap_or_else(|| cwd.to_owned()),
    }
}
