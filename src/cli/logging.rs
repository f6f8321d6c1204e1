//! The log: on standard error, text for people or JSON for machines.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, IsTerminal, Write};

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use super::{Globals, config};
use crate::config::{Log, LogFormat};
use crate::log_tail::{Feed, Worth};
use rules::problem::{Code, Problem};
use rules::visible;

/// Libraries whose lines below a warning would be noise, or would show a customer's data:
/// tokio-postgres logs statements with their parameters, and notices with rows. What `rdkafka::client`
/// has to say, librdkafka says itself, and not a hundred times a second while no broker answers.
const QUIET: &str = "librdkafka=warn,rdkafka=warn,rdkafka::client=off,tokio_postgres=warn,refinery_core=warn,rustls=warn";

/// How much the log says; can be changed while it is written.
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// So many lines wait for a reader that is slow or has stopped; what comes then is dropped, and counted.
const WAITING: usize = 4096;

/// Starts the daemon's log as the configuration says; `RUST_LOG` wins over its level. What happened last is
/// kept in the feed, too. Nothing that logs waits for whoever reads; the guard writes what is left when it is dropped.
pub fn start_daemon(
    globals: &Globals,
    log: &Log,
) -> Result<(Feed, LogLevel, WorkerGuard), Problem> {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .lossy(true)
        .thread_name("log")
        .finish(io::stderr());
    let feed = Feed::new(writer.error_counter());
    let level = start(globals, &log.level, log.format, Some(feed.clone()), move || writer.clone())?;
    Ok((feed, level, guard))
}

/// Starts the log of a command that ends soon: warnings, as text, unless somebody asked for more.
pub fn start_command(globals: &Globals) -> Result<(), Problem> {
    // What Kafka's client has to complain of comes back as a problem, once.
    start(globals, "warn,librdkafka=off", LogFormat::Text, None, io::stderr).map(|_| ())
}

/// Reads the configuration again with each SIGHUP, and takes the log's level from it. Never ends.
pub async fn follow(globals: &Globals, level: &LogLevel) -> Infallible {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return pending().await };
    loop {
        hangups.recv().await;
        let loaded = config::load_here(&globals.overrides());
        let filter = loaded.and_then(|loaded| filter(globals, &loaded.config.log.level));
        match filter {
            Ok(filter) => {
                let said = filter.to_string();
                if level.0.reload(filter).is_ok() {
                    info!(filter = said, "log level read again");
                }
            }
            Err(problem) => {
                let (code, hint) = (problem.code.as_str(), &problem.advice);
                error!(code, hint, "the old log level stays: {}", problem.reason);
            }
        }
    }
}

fn filter(globals: &Globals, level: &str) -> Result<EnvFilter, Problem> {
    let wanted = (globals.log_level.clone())
        .or_else(|| std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()))
        .unwrap_or_else(|| level.to_owned());
    EnvFilter::try_new(format!("{QUIET},{wanted}")).map_err(|e| {
        Problem::new(Code::Config, format!("the log level `{wanted}` cannot be read: {e}")).advice(
            "one of error, warn, info, debug, trace, or a filter: info,makegood_store=debug",
        )
    })
}

fn start<W: Write + 'static>(
    globals: &Globals,
    level: &str,
    format: LogFormat,
    feed: Option<Feed>,
    to: impl Fn() -> W + Send + Sync + 'static,
) -> Result<LogLevel, Problem> {
    let (filter, handle) = reload::Layer::new(filter(globals, level)?);
    let terminal = io::stderr().is_terminal();
    let format = globals.log_format.map_or(format, LogFormat::from);
    let is_json = format == LogFormat::Json || (format == LogFormat::Auto && !terminal);
    let escape = if is_json { visible::json } else { visible::line };
    let lines = tracing_subscriber::fmt::layer().with_writer(move || Harmless { to: to(), escape });
    let lines = match is_json {
        true => lines.json().flatten_event(true).boxed(),
        false => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            lines.with_ansi(colour).boxed()
        }
    };
    let feed = feed.map(|feed| feed.with_filter(Worth));
    let log = tracing_subscriber::registry().with(lines.with_filter(filter)).with(feed);
    log.try_init()
        .map(|()| LogLevel(handle))
        .map_err(|e| Problem::new(Code::System, format!("cannot start the log: {e}")))
}

/// Writes lines of the log, a line at a time, with nothing in them that could steer a terminal.
struct Harmless<W> {
    to: W,
    escape: fn(&str) -> String,
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.to.write_all((self.escape)(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
