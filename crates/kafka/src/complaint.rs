//! What a client complains of while it reaches nobody. A question that got no answer ends with the code of a time-out
//! or of a lost connection, whatever the reason was; the reason, such as a refused password, comes apart from it.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, warn};

use super::token;
use rules::error_policy::login;
use rules::problem::{Code, Problem};

/// The last complaint since something was answered.
#[derive(Default)]
pub(super) struct Complaint {
    last: Mutex<Option<String>>,
    /// Whether the group's coordinator is kept from this user. The client says it once, and then waits for it for ever.
    barred: AtomicBool,
}

impl Complaint {
    /// Takes down an error.
    pub(super) fn note(&self, error: &KafkaError, words: &str) {
        // That nobody is left to ask is what follows from the rest.
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::PartitionEOF) => {}
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => self.barred.store(true, Relaxed),
            _ => self.set(words),
        }
    }

    /// Writes a line of the client's log, and takes down why a connection ended: not all of that comes as an error.
    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        if facility == "FAIL" {
            self.set(words);
        }
        match level {
            // Who asked says that nobody answers, and this as the reason.
            _ if facility == "FAIL" => debug!(words, "kafka client"),
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                debug!(facility, words, "kafka client");
            }
            // About settings that are meant for another kind of client, and as they are.
            _ if facility == "CONFWARN" => debug!(words, "kafka client"),
            _ => warn!(facility, words, "kafka client"),
        }
    }

    /// Somebody has answered: what was complained of is over.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    /// The group has answered this user.
    pub(super) fn let_in(&self) {
        self.barred.store(false, Relaxed);
    }

    /// What a question about the group has come to, where this user may not ask it.
    pub(super) fn of_group(&self, doing: &str) -> Option<Problem> {
        let code = RDKafkaErrorCode::GroupAuthorizationFailed;
        let problem = || {
            Problem::new(Code::Kafka, format!("{doing}: {}", super::words(code)))
                .advice(super::advice(Some(code)))
        };
        self.barred.load(Relaxed).then(problem)
    }

    /// What to do where the client complains of a login, which does not pass by itself.
    pub(super) fn of_login(&self) -> Option<&'static str> {
        self.lock().as_deref().and_then(login::refused)
    }

    /// The problem of a question without an answer, with the reason for it.
    pub(super) fn explain(&self, mut problem: Problem) -> Problem {
        let said = self.lock().clone().filter(|_| problem.code == Code::KafkaUnreachable);
        if let Some(words) = said {
            if let Some(advice) = login::advice(&words) {
                problem.advice = advice.to_owned();
            }
            problem.reason = format!("{}: {words}", problem.reason);
        }
        problem
    }

    /// Takes down what is wrong in our own words.
    pub(super) fn set(&self, words: &str) {
        let words = login::trimmed(words);
        let mut last = self.lock();
        let is_known = last.as_deref().is_some_and(|last| login::advice(last).is_some());
        if !is_known || !login::is_less(&words) {
            *last = Some(words);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // It is whole at every moment, so a panic elsewhere does not spoil it.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of a client that asks, and is polled only when it reads records.
#[derive(Default)]
pub(super) struct Asker {
    pub(super) complaint: Arc<Complaint>,
}

impl ClientContext for Asker {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, of: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token::generate(of)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        self.complaint.log(level, facility, words);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.complaint.note(&error, words);
    }
}

impl ConsumerContext for Asker {}

/// Gives a client its token, if it logs in by one; where there is none, that is what it complains of.
pub(super) fn attend(client: &Client<Asker>, settings: &ClientConfig) {
    if let Err(why) = token::give(client, settings) {
        client.context().complaint.set(&format!("no OAUTHBEARER token: {why}"));
    }
}

/// Hears what a client that reads nothing has to say.
pub(super) fn listen(client: &BaseConsumer<Asker>) {
    // A poll of no time ends with the first line of the log. Bounded: nobody waits for a client that goes on and on.
    for _ in 0..100 {
        if client.poll(Duration::from_millis(2)).is_none() {
            return;
        }
    }
}
