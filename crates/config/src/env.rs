//! The environment: `DATABASE_URL`, `KAFKA_BOOTSTRAP_SERVERS`, `MAKEGOOD_*`, and secrets in files.

use std::collections::BTreeMap;
use std::path::Path;

use super::layers::{Layers, Origin, Raw};
use super::mistake::did_you_mean;
use super::{exposed, keys};

/// The environment, as a map so that tests need none of their own.
pub type Env = BTreeMap<String, String>;

/// Variables of makegood that are no keys.
const OTHERS: [&str; 2] = ["MAKEGOOD_CONFIG", "MAKEGOOD_KAFKA_LIBS"];

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
    let at = format!("env {sibling}");
    if plain.is_some() {
        layers.mistake(&at, format!("{name} is set too"), "set only one of the two");
    }
    let path = cwd.join(file);
    match std::fs::read_to_string(&path) {
        Ok(_) if exposed::to_everybody(&path) => {
            let what = format!("everybody may read {}, which holds a secret", path.display());
            layers.mistake(at, what, exposed::FIX);
            None
        }
        Ok(text) => {
            let value = text.trim_end_matches(['\r', '\n']).to_owned();
            Some((value, Origin::EnvFile { name: sibling, path }))
        }
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            layers.mistake(at, what, "name a readable file of UTF-8 text");
            None
        }
    }
}

/// Lays what the environment says over what the file said.
pub fn read(env: &Env, cwd: &Path, layers: &mut Layers) {
    let mut said = vec![
        ("DATABASE_URL", "postgres.url".to_owned()),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka.bootstrap_servers".to_owned()),
    ];
    // A variable and its _FILE sibling are one, read together.
    let mut own = BTreeMap::new();
    for name in env.keys().filter(|name| name.starts_with("MAKEGOOD_")) {
        if OTHERS.contains(&name.as_str()) || name.starts_with("MAKEGOOD_TEST_") {
            continue;
        }
        match key_of(name) {
            Some((variable, key)) => own.extend([(variable, key)]),
            None => layers.mistake(format!("env {name}"), "unknown variable", near(name)),
        }
    }
    said.extend(own);
    for (variable, key) in said {
        if let Some((value, origin)) = secret(env, variable, cwd, layers)
            && let Some(key) = indexed(&key, variable, layers)
        {
            layers.lay(key, Raw::Text(value), origin);
        }
    }
}

/// The key that a variable or its _FILE sibling sets, with the variable.
fn key_of(name: &str) -> Option<(&str, String)> {
    keys().find_map(|key| {
        let base = name.strip_suffix("_FILE").filter(|_| key.is_secret);
        [base, Some(name)].into_iter().flatten().find_map(|variable| {
            let declared = key.variable();
            let Some((before, after)) = declared.split_once('*') else {
                return (variable == declared).then(|| (variable, key.path.clone()));
            };
            let own = variable.strip_prefix(before)?.strip_suffix(after)?.to_lowercase();
            // PAYMENTS_DIRECT_URL is no database of that name.
            let own = if after.is_empty() { own.replace('_', ".") } else { own };
            let is_none = own.is_empty() || after == "_URL" && own.ends_with("_direct");
            (!is_none).then(|| (variable, key.path.replace('*', &own)))
        })
    })
}

fn near(name: &str) -> String {
    let variables: Vec<String> =
        keys().map(|key| key.variable()).filter(|variable| !variable.contains('*')).collect();
    let names: Vec<&str> = variables.iter().map(String::as_str).chain(OTHERS).collect();
    match did_you_mean(name, &names) {
        near if near.starts_with("did you") => near,
        _ => "see the names in `makegood config init -`".to_owned(),
    }
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
