//! What happened lately, and what runs here: the build and the settings, without secrets.

use jiff::Timestamp;
use tracing::Level;

use super::MomentView;
use super::words::length;
use crate::config::{Config, show_duration};
use crate::log_tail::Line;
use crate::overview::Snapshot;
use crate::store::connect;
use rules::health;

/// Something that happened.
pub struct Happening {
    pub when: MomentView,
    pub tone: &'static str,
    pub level: &'static str,
    pub part: String,
    pub text: String,
    pub details: String,
    pub times: u32,
}

/// The program and its settings, as names and values.
pub struct About {
    pub build: Vec<(&'static str, String)>,
    pub settings: Vec<(String, String)>,
}

impl Happening {
    pub(super) fn new(line: Line) -> Happening {
        let (tone, level) = match line.level {
            Level::ERROR => ("bad", "error"),
            Level::WARN => ("warn", "warning"),
            _ => ("idle", "info"),
        };
        let when = MomentView::new(line.at, Timestamp::now());
        let Line { part, text, details, times, .. } = line;
        Happening { when, tone, level, part, text, details, times }
    }
}

impl About {
    pub(super) fn new(config: &Config, librdkafka: &str, snapshot: &Snapshot) -> About {
        let mut build = vec![
            ("makegood", env!("CARGO_PKG_VERSION").to_owned()),
            ("librdkafka", librdkafka.to_owned()),
            ("process", std::process::id().to_string()),
            ("running for", health::age(snapshot.liveness.uptime())),
        ];
        if let Some(overview) = &snapshot.overview {
            let ahead = overview.clock_ahead;
            let word = if ahead < 0.0 { "behind" } else { "ahead of" };
            let clock = match ahead.abs() {
                apart if apart < 1.0 => "agrees with the database’s".to_owned(),
                apart => format!("{} {word} the database’s", length(apart)),
            };
            build.push(("clock", clock));
        }
        About { build, settings: settings(config) }
    }
}

fn settings(config: &Config) -> Vec<(String, String)> {
    let mut list = vec![
        ("database".to_owned(), connect::place(&config.postgres)),
        ("brokers".to_owned(), config.kafka.bootstrap_servers.clone()),
    ];
    for route in &config.inbox {
        let kind = route.event_type.as_deref().unwrap_or("every record");
        let text = format!("topic {}, group {}, {kind}", route.topic, route.group);
        list.push((format!("route {}", route.name), text));
    }
    for job in &config.reconcile {
        let (every, grace) = (show_duration(job.every), show_duration(job.grace));
        list.push((format!("job {}", job.name), format!("every {every}, grace {grace}")));
    }
    let outbox = match config.outbox.enabled {
        true => format!(
            "relayed from {}, kept {}",
            connect::place(config.outbox_database()),
            show_duration(config.retention.outbox)
        ),
        false => "not relayed here".to_owned(),
    };
    list.push(("outbox".to_owned(), outbox));
    list.push(("log level".to_owned(), config.log.level.clone()));
    list
}
