//! `makegood config check|show|init`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::config::{Config, Loaded, Overrides, load, shipped, show_duration};
use crate::kafka::property_check;
use crate::store::connect;
use rules::problem::{Code, Problem};

/// What can be done with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the configuration and say what is wrong with it
    Check,
    /// Print every value in force and where it comes from; secrets are masked
    Show {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = ShowFormat::Table)]
        output: ShowFormat,
    },
    /// Write a commented file with every key and its default; never over an existing one
    Init {
        /// Where to; `-` is standard output
        #[arg(default_value = "makegood.toml")]
        path: PathBuf,
    },
}

/// How `config show` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    /// Columns for people.
    Table,
    /// One JSON array of objects with `key`, `value` and `origin`.
    Json,
}

/// Runs one of them: data on standard output, talk on standard error.
pub fn run(command: &ConfigCommand, flags: &Overrides) -> Result<(), Problem> {
    match command {
        ConfigCommand::Check => {
            let loaded = load_here(flags)?;
            property_check::try_together(&loaded.config.kafka)?;
            eprint!("{}", findings(&loaded));
            Ok(())
        }
        ConfigCommand::Show { output } => {
            let loaded = load_here(flags)?;
            for note in &loaded.notes {
                say!("note: {note}");
            }
            print(&match output {
                ShowFormat::Table => table(&loaded),
                ShowFormat::Json => json(&loaded),
            })
        }
        ConfigCommand::Init { path } if path == Path::new("-") => print(&shipped()),
        ConfigCommand::Init { path } => {
            init(path)?;
            say!(
                "wrote {}; name the database and the brokers in it, then: makegood config check",
                path.display()
            );
            Ok(())
        }
    }
}

/// Loads with this process' environment and working directory. A variable that is no UTF-8 is left
/// out.
pub fn load_here(flags: &Overrides) -> Result<Loaded, Problem> {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let cwd = std::env::current_dir().map_err(|error| {
        Problem::new(Code::System, format!("cannot tell the working directory: {error}"))
    })?;
    let loaded = load(flags, &env, &cwd)?;
    loaded.refuse(&property_check::refused(&loaded.config.kafka))?;
    Ok(loaded)
}

/// What `config check` says when nothing is wrong.
fn findings(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut text = match &loaded.file {
        Some(path) => format!("{} is fine\n", path.display()),
        None => "no file was found; the environment and the defaults are fine\n".to_owned(),
    };
    for route in &config.inbox {
        let kind = route.event_type.as_deref().unwrap_or("every record");
        text += &format!(
            "route {}: topic {} in group {} ({kind}), mapping {}\n",
            route.name,
            route.topic,
            route.group,
            route
                .mapping
                .as_deref()
                .map_or("compiled-in".into(), |folder| folder.to_string_lossy()),
        );
    }
    for job in &config.reconcile {
        let source = job.source.as_deref().unwrap_or("the same database");
        text += &format!("job {}: route {}, payments from {source}\n", job.name, job.inbox);
    }
    text += &outbox(config);
    text += &match config.http.listen {
        Some(address) => format!("http: probes, metrics and status are answered at {address}\n"),
        None => "http: nothing is answered\n".to_owned(),
    };
    let kept = show_duration(config.retention.inbox);
    text += &format!("inbox: rows are kept for {kept}, and longer while Kafka has their records\n");
    for note in &loaded.notes {
        text += &format!("note: {note}\n");
    }
    text
}

fn outbox(config: &Config) -> String {
    if !config.outbox.enabled {
        return "outbox: not relayed by this daemon\n".to_owned();
    }
    let place = connect::place(config.outbox_database());
    let shards = match config.outbox.shards {
        1 => String::new(),
        n => format!(", in {n} shards"),
    };
    let kept = show_duration(config.retention.outbox);
    format!("outbox: relayed from {place}{shards}, published events are kept for {kept}\n")
}

fn table(loaded: &Loaded) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["KEY", "VALUE", "ORIGIN"]);
    for setting in &loaded.origins {
        table.add_row([&setting.key, &setting.value, &setting.origin.to_string()]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

fn json(loaded: &Loaded) -> String {
    let rows: Vec<serde_json::Value> = loaded
        .origins
        .iter()
        .map(|setting| {
            let origin = setting.origin.to_string();
            serde_json::json!({ "key": setting.key, "value": setting.value, "origin": origin })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::from(rows))
}

/// Writes the sample, unless something is there already.
fn init(path: &Path) -> Result<(), Problem> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(shipped().as_bytes())).map_err(|error| {
        let name = path.display();
        if error.kind() == ErrorKind::AlreadyExists {
            return Problem::new(Code::Config, format!("{name} exists and is left as it is"))
                .advice("name another path, or print the sample with: makegood config init -");
        }
        Problem::new(Code::System, format!("cannot write {name}: {error}"))
    })
}

/// Prints data; a reader that has gone away, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Problem> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Problem::new(Code::System, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(url: &str) -> Loaded {
        let flags = Overrides { database_url: Some(url.into()), ..Overrides::default() };
        let password = ("MAKEGOOD_KAFKA__SASL_PASSWORD".to_owned(), "canary".to_owned());
        load(&flags, &BTreeMap::from([password]), &std::env::temp_dir()).unwrap()
    }

    #[test]
    fn values_are_shown_with_their_origin_and_never_a_secret() {
        let loaded = loaded("postgres://u:canary@h/d");
        for text in [table(&loaded), json(&loaded), findings(&loaded)] {
            assert!(!text.contains("canary"), "{text}");
        }
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json(&loaded)).unwrap();
        let url = rows.iter().find(|row| row["key"] == "postgres.url").unwrap();
        assert_eq!(url["value"], "postgres://u:***@h/d");
        assert_eq!(url["origin"], "flag --database-url");
        assert!(table(&loaded).lines().any(|line| {
            line.split_whitespace().eq(["http.listen", "127.0.0.1:8745", "default"])
        }));
    }

    #[test]
    fn init_never_overwrites() {
        let path = std::env::temp_dir().join(format!("makegood-{}.toml", uuid::Uuid::new_v4()));
        init(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), shipped());
        std::fs::write(&path, "mine").unwrap();
        let error = init(&path).unwrap_err();
        assert!(error.reason.contains("left as it is"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(&path).unwrap();
    }
}
