//! Reads everything, in order: file, environment, flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::assemble::{Folders, config};
use super::env::{self, Env};
use super::layers::{Layers, Origin, Raw};
use super::libpq::Libpq;
use super::mistake::Mistake;
use super::reader::{ConfigReader, Setting};
use super::{Again, Config, checks, exposed, file, mistake, redact};
use rules::problem::{Code, Problem};

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

impl Loaded {
    /// Fails with the properties of the Kafka client that it does not take, each with its reason and where it was written.
    pub fn refuse(&self, properties: &[(String, String)]) -> Result<(), Problem> {
        let mistakes: Vec<_> = (properties.iter())
            .map(|(name, why)| {
                let key = format!("kafka.properties.{name}");
                let setting = self.origins.iter().find(|setting| setting.key == key);
                let at = setting.map_or(Origin::Default, |setting| setting.origin.clone());
                let what = format!("the Kafka client does not take `{name}`: {why}");
                let fix = "librdkafka's CONFIGURATION.md says what each property takes";
                Mistake { at: at.to_string(), what, fix: fix.to_owned() }
            })
            .collect();
        mistake::problem(&mistakes).map_or(Ok(()), Err)
    }
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
                .advice("name another file with --config, or write one: makegood config init PATH")
        })?;
        file::read(&text, path, &mut layers);
    }
    env::read(env, cwd, &mut layers);
    lay_flags(flags, &mut layers);
    let libpq = Libpq::read(env, cwd, &mut layers);
    let mut reader = ConfigReader { layers, settings: Vec::new(), libpq };
    let folders = Folders { cwd, file: path.as_deref() };
    let mut config = config(&mut reader, &folders);
    checks::check(&config, &mut reader);
    show_libpq(&config, &mut reader);
    if let Some(path) = &path {
        refuse_if_readable(path, &mut reader);
    }
    match mistake::problem(&reader.layers.mistakes) {
        Some(problem) => Err(problem),
        None => {
            let inputs = Arc::new((flags.clone(), env.clone(), cwd.to_owned()));
            Again::mark(&mut config, &inputs);
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
fn show_libpq(config: &Config, reader: &mut ConfigReader) {
    let main = &config.postgres;
    let ports: Vec<String> = main.ports.iter().map(u16::to_string).collect();
    for (key, value, name) in &reader.libpq.fallbacks.clone() {
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

/// Refuses a file that everybody may read and that holds a secret, whatever its key.
fn refuse_if_readable(path: &Path, reader: &mut ConfigReader) {
    if !exposed::to_everybody(path) {
        return;
    }
    let masked = |setting: &&Setting| {
        let is_secret = !setting.key.ends_with("command") && setting.value.contains(redact::MASK);
        is_secret && matches!(setting.origin, Origin::File { .. })
    };
    // Most properties are masked although they are no secrets.
    let is_secret = |key: &str| match key.strip_prefix("kafka.properties.") {
        Some(name) => ["password", "secret", ".pem", "jaas", "oauthbearer.config"]
            .iter()
            .any(|part| name.contains(part)),
        None => true,
    };
    let found = reader.settings.iter().filter(masked).find(|setting| is_secret(&setting.key));
    let Some(Setting { key, origin, .. }) = found.cloned() else { return };
    let what = format!("{key} is a secret, and everybody may read {}", path.display());
    reader.layers.mistake(origin, what, exposed::FIX);
}
