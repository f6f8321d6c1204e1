//! What logs in to Kafka, as it is now: passwords and certificates are replaced while the daemon runs. They are read
//! again when a login is refused and on SIGHUP. A client keeps what it was made with, so one whose login is refused is
//! replaced once there is another.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;

use super::{settings, unusable};
use config::{self, Again};
use rules::problem::Problem;

/// How often refused logins lead to another look at most.
const PAUSE: Duration = Duration::from_secs(1);
/// The properties that name files.
pub(super) const FILES: [&str; 4] =
    ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location"];

/// The process has one configuration of Kafka; without the way back to it the login stays what it was.
static NOW: Mutex<Option<Now>> = Mutex::new(None);

type Properties = BTreeMap<String, String>;

struct Now {
    again: Again,
    /// The configuration as it was read last.
    kafka: config::Kafka,
    files: Vec<Vec<u8>>,
    version: u64,
    looked: Option<Instant>,
    /// The last trouble that was told.
    told: Option<String>,
}

/// Has the login read again from now on.
pub fn watch(kafka: &config::Kafka, again: &Again) {
    let (kafka, files) = (kafka.clone(), files(&kafka.properties));
    let (again, looked, told) = (again.clone(), None, None);
    *lock() = Some(Now { again, kafka, files, version: 0, looked, told });
}

/// Reads it again, whether or not somebody was refused.
pub fn read_again() {
    if let Some(now) = &mut *lock() {
        now.look();
    }
}

/// A configuration with the login as it is now.
pub(super) fn current(kafka: &config::Kafka) -> config::Kafka {
    match &*lock() {
        Some(now) => with_login(kafka, &now.kafka.properties),
        None => kafka.clone(),
    }
}

/// Which login that is.
pub fn version() -> u64 {
    lock().as_ref().map_or(0, |now| now.version)
}

/// Whether there is another login than this one, which was refused.
pub fn is_newer_than(refused: u64) -> bool {
    let mut now = lock();
    let Some(now) = &mut *now else { return false };
    if now.version == refused && now.looked.is_none_or(|at| at.elapsed() >= PAUSE) {
        now.look();
    }
    now.version != refused
}

impl Now {
    fn look(&mut self) {
        self.looked = Some(Instant::now());
        match self.renewed() {
            Ok(None) => self.told = None,
            Ok(Some(kafka)) => {
                tracing::info!("the login to Kafka was read again, and is another");
                (self.files, self.kafka) = (files(&kafka.properties), kafka);
                self.version += 1;
                self.told = None;
            }
            Err(problem) if self.told.as_ref() == Some(&problem.reason) => {}
            Err(Problem { code, reason, advice: hint }) => {
                tracing::warn!(code = code.as_str(), hint, "the login to Kafka stays: {reason}");
                self.told = Some(reason);
            }
        }
    }

    /// The login, if it has changed and a client can be made of it. Everything else stays what it was at the start.
    fn renewed(&self) -> Result<Option<config::Kafka>, Problem> {
        let read = self.again.kafka()?;
        let kafka = with_login(&self.kafka, &read.properties);
        if kafka == self.kafka && files(&kafka.properties) == self.files {
            return Ok(None);
        }
        let mut settings = ClientConfig::new();
        settings::lay(&mut settings, &kafka);
        let client: Result<BaseConsumer, _> = settings.create();
        client.map(|_| Some(kafka)).map_err(|e| unusable(&settings, &e))
    }
}

/// The properties of a login are those of TLS and SASL.
fn is_of_login(name: &str) -> bool {
    name.starts_with("sasl.") || name.starts_with("ssl.")
}

fn with_login(kafka: &config::Kafka, login: &Properties) -> config::Kafka {
    let of = |properties: &Properties, wanted: bool| -> Properties {
        let chosen = properties.iter().filter(|(name, _)| is_of_login(name) == wanted);
        chosen.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let mut properties = of(&kafka.properties, false);
    properties.extend(of(login, true));
    config::Kafka { properties, ..kafka.clone() }
}

/// What the files hold, to tell when one has changed.
fn files(properties: &Properties) -> Vec<Vec<u8>> {
    let named = FILES.iter().filter_map(|name| properties.get(*name));
    named.map(|path| std::fs::read(path).unwrap_or_default()).collect()
}

fn lock() -> MutexGuard<'static, Option<Now>> {
    // Each field is whole at every moment, so a panic elsewhere does not spoil it.
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}
