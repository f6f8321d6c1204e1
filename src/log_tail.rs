//! The last things that happened to this process, in memory: what the log says from `info` on, whatever its level,
//! so that a page can tell of a rebalance or a hold while every server is away.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_appender::non_blocking::ErrorCounter;
use tracing_subscriber::layer::{Context, Filter, Layer};

/// How many are kept.
const KEPT: usize = 200;
/// The longest text of one, in bytes; an error may quote a lot.
const LENGTH: usize = 600;

/// The last lines; cheap to clone.
#[derive(Clone, Default)]
pub struct Feed {
    lines: Arc<Mutex<VecDeque<Line>>>,
    dropped: Option<ErrorCounter>,
}

/// Something that happened, perhaps several times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it last did.
    pub at: Timestamp,
    /// Whether it is a matter for people.
    pub level: Level,
    /// The part of the program that says so: `ingest`, `relay`, `kafka` and so on.
    pub part: String,
    /// What happened.
    pub text: String,
    /// With what: `name value` pairs.
    pub details: String,
    /// How often in a row.
    pub times: u32,
}

impl Feed {
    /// An empty one, beside a log that counts what it dropped.
    pub fn new(dropped: ErrorCounter) -> Feed {
        Feed { dropped: Some(dropped), ..Feed::default() }
    }

    /// How many lines the log dropped because nobody read them in time.
    pub fn dropped(&self) -> usize {
        self.dropped.as_ref().map_or(0, ErrorCounter::dropped_lines)
    }

    /// The last lines, the newest first.
    pub fn lines(&self) -> Vec<Line> {
        self.lock().iter().rev().cloned().collect()
    }

    fn add(&self, line: Line) {
        let mut lines = self.lock();
        if let Some(last) = lines.back_mut()
            && (&last.part, &last.text) == (&line.part, &line.text)
        {
            *last = Line { times: last.times.saturating_add(1), ..line };
            return;
        }
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Feed {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        self.add(Line {
            at: Timestamp::now(),
            level: *event.metadata().level(),
            part: part(event.metadata().target()).to_owned(),
            text: cut(words.text),
            details: cut(words.details),
            times: 1,
        });
    }
}

/// Which events are kept: makegood's own from `info` on, and what the Kafka client warns of.
pub struct Worth;

impl<S> Filter<S> for Worth {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        match metadata.target() {
            "librdkafka" => *metadata.level() <= Level::WARN,
            target => target.starts_with("makegood") && *metadata.level() <= Level::INFO,
        }
    }
}

/// `makegood::ingest::heartbeat` is of the part `ingest`, `makegood_store::tx` of the part `store`.
fn part(target: &str) -> &str {
    if let Some(of_a_crate) = target.strip_prefix("makegood_") {
        return of_a_crate.split("::").next().unwrap_or(of_a_crate);
    }
    match target.split("::").nth(1) {
        Some("cli") => "daemon",
        Some(part) => part,
        None if target == "librdkafka" => "kafka",
        None => "daemon",
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LENGTH {
        text.truncate(text.floor_char_boundary(LENGTH));
        text.push('…');
    }
    text
}

#[derive(Default)]
struct Words {
    text: String,
    details: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => {
                let gap = if self.details.is_empty() { "" } else { ", " };
                write!(self.details, "{gap}{name} {value:?}")
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn it_keeps_the_newest_and_counts_what_repeats_itself() {
        let feed = Feed::default();
        let log = tracing_subscriber::registry().with(feed.clone().with_filter(Worth));
        tracing::subscriber::with_default(log, || {
            for number in 0..300 {
                tracing::info!("line {number}");
            }
            for partition in 0..3 {
                tracing::warn!(partition, why = "lost", "claimed again");
            }
            tracing::debug!("noise");
            tracing::warn!(target: "rdkafka", "noise");
            tracing::error!(target: "librdkafka", "{}", "é".repeat(1000));
        });
        let lines = feed.lines();
        assert_eq!(lines.len(), KEPT);
        assert_eq!((lines[0].part.as_str(), lines[0].level), ("kafka", Level::ERROR));
        assert_eq!(lines[0].text.chars().count(), LENGTH / 2 + 1);
        let again = &lines[1];
        assert_eq!((again.text.as_str(), again.times), ("claimed again", 3));
        assert_eq!(again.details, "partition 2, why lost");
        assert_eq!((lines[2].text.as_str(), lines[2].part.as_str()), ("line 299", "log_tail"));
    }
}
