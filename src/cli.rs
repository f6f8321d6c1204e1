//! The command line: parsing, printing, exit codes.
//!
//! A new command is one line in `Command`, one in its dispatch, and a module below. Data goes to
//! standard output, everything else to standard error.

/// Says something on standard error, as `eprintln!` would if it could neither fail nor steer a terminal.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::print::talk(format_args!($($words)*)) };
}

mod checks;
pub mod config;
mod doctor;
mod explain;
mod health;
mod inbox;
mod init;
mod logging;
mod mapping;
mod migrate;
mod offsets;
mod outbox;
mod print;
mod progress;
mod quarantine;
mod reconcile;
mod send_test;
mod session;
mod shadow;
mod status;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::{LogFormat, Overrides};
use crate::daemon;
use crate::trace;
use rules::problem::{Code, Problem};

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   failed
  2   the command line cannot be used as given
  3   there are findings (only with --exit-code)
  4   PostgreSQL or Kafka cannot be reached
  5   needs a confirmation
  6   timed out
  75  gave up, to be started again
  78  the configuration, the mapping or the schema does not fit
  130 Ctrl-C ended a wait; what was waited for goes on

Examples:
  makegood config init
  makegood migrate up
  makegood run
  makegood status";

/// A payment that succeeded becomes exactly one purchase: from Kafka to PostgreSQL.
#[derive(Parser)]
#[command(name = "makegood", version, arg_required_else_help = true)]
#[command(after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command. They win over the environment, and that wins over the file.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Globals {
    /// The configuration file [env: MAKEGOOD_CONFIG] [default: ./makegood.toml, /etc/makegood/makegood.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database with the purchases [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The Kafka brokers, host:port, separated by commas [env: KAFKA_BOOTSTRAP_SERVERS]
    #[arg(long, global = true, value_name = "LIST")]
    bootstrap_servers: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a filter by module [env: RUST_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look; auto is text on a terminal and JSON otherwise
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<LogChoice>,
}

/// See [`LogFormat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogChoice {
    Auto,
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon: read the topics, make the purchases.
    #[command(after_help = "\
It stops on SIGTERM or SIGINT when the batches in flight are done.

With --shadow it stands beside another worker: it reads the topics without
joining a group or committing an offset, only reads in the databases, and needs
no schema of its own. Once a day, on SIGUSR1, and at the end it says what it
would have done otherwise: `missing`, `differs`, `unwanted`, `no_event` and
`unreadable`, each with its number and examples. http.listen answers / with the
report, and /readyz is 200 only where something was compared and nothing
differs.

Examples:
  makegood run
  makegood run --shadow --report shadow.json")]
    Run {
        /// Let the route begin although there are purchases that belong to no payment; without this it is held
        #[arg(long, value_name = "ROUTE")]
        confirm: Vec<String>,
        #[command(flatten)]
        shadow: shadow::Args,
    },
    /// Look at a database and a topic, and write configuration, mapping and the SQL for their owner.
    Init(init::Args),
    /// Say in one sentence whether every route and the outbox work, then show what it rests on.
    Status(status::Args),
    /// Check everything that makegood rests on, and tell what a first start will do.
    Doctor(doctor::Args),
    /// Check, show or write the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Create or update makegood's own schema.
    #[command(subcommand)]
    Migrate(migrate::Action),
    /// Check, try or write out the SQL between events and your tables.
    #[command(subcommand)]
    Mapping(mapping::Action),
    /// Look at the events taken in.
    #[command(subcommand)]
    Inbox(inbox::Action),
    /// Look at the events on their way to Kafka, and send again what it refused.
    #[command(subcommand)]
    Outbox(outbox::Action),
    /// Look at the records that could not be applied, apply them again, or give them up.
    #[command(subcommand)]
    Quarantine(quarantine::Action),
    /// Show where each partition is, or move it.
    #[command(subcommand)]
    Offsets(offsets::Action),
    /// Compare payments with purchases, and make good what is missing.
    #[command(subcommand)]
    Reconcile(reconcile::Action),
    /// Tell the life of one payment: where it came through, and where it stopped.
    Explain(explain::Args),
    /// Send a marked copy of the last event through Kafka and the daemon, and roll its effect back.
    SendTest(send_test::Args),
    /// Ask the running daemon whether it works; for containers and cron.
    Health(health::Args),
    /// Print what completes the commands in a shell.
    #[command(after_help = "\
Examples:
  makegood completions bash | sudo tee /etc/bash_completion.d/makegood
  makegood completions zsh > ~/.zfunc/_makegood
  makegood completions fish > ~/.config/fish/completions/makegood.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// The daemon has a log, and a screen that is watched is painted anew anyway.
    fn shows_progress(&self) -> bool {
        match self {
            Command::Run { .. } => false,
            Command::Status(args) => !args.is_watched(),
            _ => true,
        }
    }

    async fn run(self, globals: &Globals) -> Result<ExitCode, Problem> {
        match self {
            Command::Run { shadow, .. } if shadow.is_wanted() => shadow::run(globals, shadow).await,
            Command::Run { confirm, .. } => run(globals, confirm).await,
            Command::Init(args) => init::run(globals, &args).await,
            Command::Status(args) => status::run(globals, &args).await,
            Command::Doctor(args) => doctor::run(globals, &args).await,
            Command::Config(command) => {
                config::run(&command, &globals.overrides()).map(|()| ExitCode::SUCCESS)
            }
            Command::Migrate(action) => migrate::run(globals, action).await,
            Command::Mapping(action) => mapping::run(globals, action).await,
            Command::Inbox(action) => inbox::run(globals, action).await,
            Command::Outbox(action) => outbox::run(globals, action).await,
            Command::Quarantine(action) => quarantine::run(globals, action).await,
            Command::Offsets(action) => offsets::run(globals, action).await,
            Command::Reconcile(action) => reconcile::run(globals, action).await,
            Command::Explain(args) => explain::run(globals, &args).await,
            Command::SendTest(args) => send_test::run(globals, &args).await,
            Command::Health(args) => health::run(globals, &args).await,
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command(), "makegood", &mut script);
                print::data(&String::from_utf8_lossy(&script)).map(|()| ExitCode::SUCCESS)
            }
        }
    }
}

/// The commands with their help, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => return report(&Problem::new(Code::System, format!("cannot start threads: {e}"))),
    };
    let is_shown = cli.command.shows_progress();
    let work = cli.command.run(&cli.globals);
    let outcome = runtime.block_on(async {
        if is_shown { progress::beside(work).await } else { Box::pin(work).await }
    });
    // A thread may still wait for a broker's answer that nobody needs any more.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|problem| report(&problem))
}

/// The daemon. It takes its log settings from the configuration, unlike the commands that end soon.
async fn run(globals: &Globals, confirmed: Vec<String>) -> Result<ExitCode, Problem> {
    let loaded = config::load_here(&globals.overrides())?;
    let (feed, level, _flush) = logging::start_daemon(globals, &loaded.config.log)?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    let spans = trace::start()?;
    let ended = tokio::select! {
        ended = daemon::run(loaded.config, confirmed, feed) => ended,
        never = logging::follow(globals, &level) => match never {},
    };
    spans.finish().await;
    ended.map(|()| ExitCode::SUCCESS)
}

/// How long the last words may take: a reader that has stopped must not keep the process from ending.
const LAST_WORDS: Duration = Duration::from_secs(2);

fn report(problem: &Problem) -> ExitCode {
    let (said, heard) = std::sync::mpsc::channel();
    let words = problem.to_string();
    let speaker = std::thread::Builder::new().spawn(move || {
        say!("{words}");
        let _ = said.send(());
    });
    if speaker.is_ok() {
        let _ = heard.recv_timeout(LAST_WORDS);
    }
    ExitCode::from(problem.code.exit())
}

impl Globals {
    fn overrides(&self) -> Overrides {
        let format = self.log_format.and_then(|choice| choice.to_possible_value());
        Overrides {
            config: self.config.clone(),
            database_url: self.database_url.clone(),
            bootstrap_servers: self.bootstrap_servers.clone(),
            log_level: self.log_level.clone(),
            log_format: format.map(|value| value.get_name().to_owned()),
            ..Overrides::default()
        }
    }
}

impl From<LogChoice> for LogFormat {
    fn from(choice: LogChoice) -> LogFormat {
        match choice {
            LogChoice::Auto => LogFormat::Auto,
            LogChoice::Text => LogFormat::Text,
            LogChoice::Json => LogFormat::Json,
        }
    }
}
