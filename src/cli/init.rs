//! `makegood init`: from a database and a topic to a configuration, a mapping and the SQL that their owner runs.

mod look;
mod written;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::mapping::draft;
use super::{Globals, config, doctor, logging, session};
use rules::problem::{Code, Problem};

/// Run it again when the owner has run the SQL: then everything is checked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It looks at the database and at the topic, and changes neither. It writes

  makegood.toml   the configuration, with every other key as a comment
  purchases/      the mapping, drafted from your tables
  owner.sql       roles, makegood's schema, indexes and rights, to be read and
                  run by the owner of the database

and lists what is left to do. Run in a folder that has a makegood.toml it writes
nothing, and ends as `makegood doctor` does with that file. What no flag says
is asked for on a terminal.

Examples:
  makegood init purchases --topic purchase-confirmed \\
    --database-url postgres:///shop --bootstrap-servers localhost:9092
  psql -v ON_ERROR_STOP=1 -d shop -f owner.sql
  makegood init")]
pub struct Args {
    /// The table that gets a row for each payment
    table: Option<String>,
    /// The topic with the events
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// The consumer group; that of a worker in place, to go on where it stopped
    #[arg(long, value_name = "GROUP", default_value = "purchase-creation-workers")]
    group: String,
    /// The table with the payments; without it the foreign key of TABLE says which
    #[arg(long, value_name = "TABLE")]
    payments: Option<String>,
    /// The column of TABLE that names the payment; it needs a unique index
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// The type of event to apply; without it that of the topic's last event
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// The folder to write into
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    let file = args.into.join("makegood.toml");
    if file.exists() {
        say!("{} is there and left as it is; this is what it rests on", file.display());
        let globals = Globals { config: Some(file), ..globals.clone() };
        return doctor::run(&globals, &doctor::Args::plain()).await;
    }
    logging::start_command(globals)?;
    let table = asked(args.table.as_ref(), "The table that gets a row for each payment", "TABLE")?;
    let topic = asked(args.topic.as_ref(), "The topic with the events", "--topic")?;
    let loaded = config::load_here(&globals.overrides())?.config;
    let store = session::unchecked(&loaded.postgres).await?;
    let seen = look::at_topic(&loaded.kafka, &topic, &args.group).await?;
    let named = (args.payments.as_deref(), args.key.as_deref());
    let draft = draft::of_tables(&store, &table, named, &seen.places).await?;
    let event_type = args.event_type.clone().or(seen.event_type);
    if event_type.is_none() {
        say!("no event of the topic says its type: every record is taken (--event-type)");
    }
    let plan = written::Setup {
        postgres: &loaded.postgres,
        bootstrap: &loaded.kafka.bootstrap_servers,
        topic: &topic,
        group: &args.group,
        event_type: event_type.as_deref(),
        draft: &draft,
    };
    draft::write_draft(&args.into.join(written::MAPPING), &draft)?;
    written::write(&args.into, &plan)?;
    Ok(ExitCode::SUCCESS)
}

/// What the flag says; on a terminal a person is asked for what it does not.
fn asked(given: Option<&String>, question: &str, flag: &str) -> Result<String, Problem> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    let failed = |e: io::Error| Problem::new(Code::System, format!("cannot read the answer: {e}"));
    let mut answer = String::new();
    if io::stdin().is_terminal() {
        let mut screen = io::stderr().lock();
        write!(screen, "{question}: ").and_then(|()| screen.flush()).map_err(failed)?;
        io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    }
    match answer.trim() {
        "" => Err(Problem::new(Code::Usage, format!("{flag} is missing"))
            .advice(format!("{question}: say it with {flag}, or answer on a terminal"))),
        answer => Ok(answer.to_owned()),
    }
}
