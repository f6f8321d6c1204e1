//! Reads everything, in order: file, environment, flags.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::assemble::{Folders, config};
use super::env::{self, Env};
use super::layers::{Layers, Origin, Raw};
use super::libpq::Libpq;
use super::reader::{Reader, Setting};
use super::{Config, file, mistake, rules};
use crate::pure::problem::{Code, Problem};

/// What the command line says; it wins over everything.
#[derive(Clone, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--database-url`; may hold a password.
    pub database_url: Option<String>,
    /// `--bootstrap-servers`
    pub bootstrap_servers: Option<String>,
    /// `--http-listen`
    pub http_listen: Option<String>,
    /// `--log-level`
    pub log_level: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
}

/// The result of [`load`].
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Every effective key with its value, secrets masked, and where it comes from.
    pub origins: Vec<Setting>,
    /// What the operator should know, though nothing is wrong with it.
    pub notes: Vec<String>,
}

/// Where the file is looked for when nobody names one.
const PLACES: [&str; 2] = ["makegood.toml", "/etc/makegood/makegood.toml"];

/// Reads the configuration. `env` is the whole environment, `cwd` the working directory. Files are
/// read, nothing is connected to. All mistakes come back as one problem with
/// [`Code::Config`].
pub fn load(flags: &Overrides, env: &Env, cwd: &Path) -> Result<Loaded, Problem> {
    let mut layers = Layers::default();
    let path = find(flags, env, cwd);
    if let Some(path) = &path {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let cause = format!("cannot read {}: {error}", path.display());
            Problem::new(Code::Config, cause)
                .hint("name another file with --config, or write one: makegood config init PATH")
        })?;
        file::read(&text, path, &mut layers);
    }
    env::read(env, cwd, &mut layers);
    lay_flags(flags, &mut layers);
    let libpq = Libpq::read(env, cwd, &mut layers);
    let mut reader = Reader { layers, settings: Vec::new() };
    let folders = Folders { cwd, file: path.as_deref() };
    let config = config(&mut reader, &libpq, &folders);
    rules::check(&config, &mut reader);
    show_libpq(&config, &libpq, &mut reader);
    if let Some(path) = &path {
        warn_if_readable(path, &config, &mut reader);
    }
    match mistake::problem(&reader.layers.mistakes) {
        Some(problem) => Err(problem),
        None => {
            Ok(Loaded { config, file: path, origins: reader.settings, notes: reader.layers.notes })
        }
    }
}

fn find(flags: &Overrides, env: &Env, cwd: &Path) -> Option<PathBuf> {
    let named = flags.config.clone().or(env::get(env, "MAKEGOOD_CONFIG").map(PathBuf::from));
    match named {
        Some(path) => Some(cwd.join(path)),
        None => PLACES.iter().map(|place| cwd.join(place)).find(|path| path.is_file()),
    }
}

fn lay_flags(flags: &Overrides, layers: &mut Layers) {
    for (key, flag, value) in [
        ("postgres.url", "--database-url", &flags.database_url),
        ("kafka.bootstrap_servers", "--bootstrap-servers", &flags.bootstrap_servers),
        ("http.listen", "--http-listen", &flags.http_listen),
        ("log.level", "--log-level", &flags.log_level),
        ("log.format", "--log-format", &flags.log_format),
    ] {
        if let Some(value) = value {
            layers.lay(key, Raw::Text(value.clone()), Origin::Flag(flag));
        }
    }
}

/// Shows what libpq's variables add to the URL, and notes those the URL outdoes.
fn show_libpq(config: &Config, libpq: &Libpq, reader: &mut Reader) {
    let main = &config.postgres;
    let ports: Vec<String> = main.ports.iter().map(u16::to_string).collect();
    for (key, value, name) in &libpq.fallbacks {
        let effective = match *key {
            "host" => main.hosts.join(","),
            "port" => ports.join(","),
            "user" => main.user.clone(),
            "dbname" => main.dbname.clone(),
            "password" => {
                main.password.as_ref().map_or_else(String::new, |p| p.expose_secret().to_owned())
            }
            _ => value.clone(),
        };
        let name = name.strip_prefix("env ").unwrap_or(name).to_owned();
        if effective == *value {
            let shown = if *key == "password" { super::redact::MASK } else { value };
            reader.show(&format!("postgres.{key}"), shown, Origin::Env(name));
        } else {
            let note = format!("{name} is set, but postgres.url says something else and wins");
            reader.layers.notes.push(note);
        }
    }
}

fn warn_if_readable(path: &Path, config: &Config, reader: &mut Reader) {
    let open = std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
    let in_file = |key: &str| matches!(reader.origin(key), Origin::File { .. });
    let property = |name: &String| in_file(&format!("kafka.properties.{name}"));
    let secret =
        config.kafka.properties.keys().any(|name| name.contains("password") && property(name))
            || (in_file("http.token") && config.http.token.is_some())
            || (in_file("postgres.url") && config.postgres.password.is_some());
    if open && secret {
        let path = path.display();
        let note = format!("{path} holds a password and everybody may read it: chmod 640 it");
        reader.layers.notes.push(note);
    }
}
