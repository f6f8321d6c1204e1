//! `makegood status`: one sentence, then what it rests on.

mod show;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::print::{self, Format, Output};
use super::{Globals, logging, session};
use crate::config::Config;
use crate::overview::{Overview, Sources};
use rules::problem::{Code, Problem};

/// The exit code when there is a finding and somebody asked to be told.
const FINDINGS: u8 = 3;
/// How long each of PostgreSQL and Kafka may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
The first line is the verdict on the worst of all routes and the outbox:
  ok          nothing waits
  behind      records wait, and it moves
  quarantine  records in quarantine wait for a decision
  mismatch    purchases contradict their payments
  parked   Kafka takes no events of some topic, or refused some for good
  overdue     published events stay in the outbox longer than they should
  gap         offsets were never read, and no sweep has covered them yet
  unpurchased payments have succeeded and have no purchase
  ignoring    records of a type were ignored that may be its own under another
              name
  joining     the daemons wait for partitions
  unknown     Kafka is out of reach, and nobody has seen the topic's end lately
  unread      no daemon reads some partition
  topic_recreated  the topic was deleted and created again
  stalled     records wait, and it does not move
  no_topic    the topic does not exist
  suspect     refused records wait for a verdict, and nothing was applied since
  held        stopped on purpose until something is mended; it resumes by itself
  down        no daemon runs, or none relays the outbox
  unreachable PostgreSQL is out of reach

Examples:
  makegood status
  makegood status -o json
  makegood status --watch
  makegood status --exit-code > /dev/null || echo \"look at makegood\"")]
pub struct Args {
    /// Exit with 3 unless every route and the outbox are ok or behind
    #[arg(long)]
    exit_code: bool,
    /// Show it anew every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "exit_code")]
    watch: bool,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Whether it is shown anew all the time.
    pub fn is_watched(&self) -> bool {
        self.watch
    }
}

pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Problem> {
    logging::start_command(globals)?;
    let config = Arc::new(session::load(globals)?);
    let sources = sources(config)?;
    if args.watch {
        return watch(&sources, args.output.output).await;
    }
    let overview = sources.overview().await;
    show::print(&overview, args.output.output)?;
    let unseen = overview.unseen().filter(|p| p.code.exit() == Code::KafkaUnreachable.exit());
    match &overview.trouble {
        Some(problem) => Err(problem.clone()),
        // It stands beside the route already.
        None if unseen.is_some() => Ok(ExitCode::from(Code::KafkaUnreachable.exit())),
        None if args.exit_code && !is_fine(&overview) => Ok(ExitCode::from(FINDINGS)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// What a command looks at to tell how everything stands.
pub fn sources(config: Arc<Config>) -> Result<Sources, Problem> {
    Sources::new(config, "makegood-cli", PATIENCE)
}

fn is_fine(overview: &Overview) -> bool {
    overview.is_fine() && !overview.routes.is_empty()
}

/// Shows it again and again: on a terminal in the same place, into a pipe one after the other.
async fn watch(sources: &Sources, format: Format) -> Result<ExitCode, Problem> {
    let in_place = format == Format::Table && io::stdout().is_terminal();
    loop {
        let overview = tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
            overview = sources.overview() => overview,
        };
        if in_place {
            // Home, what follows erased line by line, then the rest: no flicker.
            let text = fitting(&print::visible(&show::screen(&overview), true), print::terminal());
            let text = print::in_colour(show::tone(&overview), &text, print::is_coloured());
            let text = text.replace('\n', "\x1b[K\n");
            print::bytes(format!("\x1b[H{text}\x1b[J").as_bytes())?;
        } else {
            show::print(&overview, format)?;
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// The first lines, as many as fit: the verdict stays in sight.
fn fitting(text: &str, terminal: Option<(usize, usize)>) -> String {
    let Some((columns, rows)) = terminal else { return text.to_owned() };
    let height = |line: &str| print::height(line, columns).max(1);
    let mut left = rows.saturating_sub(2);
    let all: Vec<&str> = text.lines().collect();
    let shown = all.iter().take_while(|line| {
        let fits = height(line) <= left;
        left = left.saturating_sub(height(line));
        fits
    });
    let shown = shown.count();
    let mut fits: String = all[..shown].iter().map(|line| format!("{line}\n")).collect();
    if shown < all.len() {
        fits += &format!("… {} lines more: makegood status\n", all.len() - shown);
    }
    fits
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;
    use rules::health::Verdict;

    #[test]
    fn a_screen_keeps_its_first_lines() {
        let text: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let fits = fitting(&text, Some((80, 24)));
        assert!(fits.lines().count() <= 23 && fits.starts_with("line 0\n"), "{fits}");
        assert!(fits.ends_with("18 lines more: makegood status\n"), "{fits}");
        assert_eq!(fitting(&text, None), text);
    }

    #[test]
    fn the_help_explains_every_verdict() {
        let help = Args::augment_args(clap::Command::new("status")).render_help().to_string();
        for verdict in Verdict::ALL {
            assert!(help.contains(&format!("\n  {} ", verdict.as_str())), "{}", verdict.as_str());
        }
    }
}
