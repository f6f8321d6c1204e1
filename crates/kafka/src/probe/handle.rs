//! The probe's client, and its replacement. A client can hold to a view of the world that is over, and nothing in
//! it ends that: one that knew a topic before its broker restarted takes nothing from the topic that was made
//! anew, because the leader's epoch began again. So a question that fails time and again is asked by a new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::PerPartition;
use crate::complaint::{Asker, attend, listen};
use crate::{login, unusable};
use rules::backoff::Backoff;
use rules::problem::{Code, Problem};

/// So many failures of one question in a row are the client's own until a new one has failed too.
const FAILURES: u32 = 3;
/// How long a client is kept at least, while nothing helps.
const PATIENCE: Backoff = Backoff { first: Duration::from_secs(5), max: Duration::from_secs(300) };

/// What is asked; failures are counted for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Metadata,
    TopicId,
    Ends,
    Committed,
    Group,
    Times,
    Records,
}

impl Question {
    fn as_str(self) -> &'static str {
        match self {
            Question::Metadata => "metadata",
            Question::TopicId => "topic id",
            Question::Ends => "ends",
            Question::Committed => "committed offsets",
            Question::Group => "group",
            Question::Times => "times",
            Question::Records => "records",
        }
    }
}

/// The client.
pub(super) struct Handle {
    settings: Box<dyn Fn() -> ClientConfig + Send + Sync>,
    now: Mutex<Now>,
    /// Held while records are read: the client has one assignment, and two readers would take each other's.
    reading: Mutex<()>,
}

struct Now {
    client: Client,
    /// What it was made of.
    settings: ClientConfig,
    /// Its login.
    login: u64,
    born: Instant,
    failures: BTreeMap<Question, u32>,
    /// How many clients in a row were replaced for their failures.
    replaced: u32,
}

/// A client that nobody waits for when it is let go: closing one can hang (rust-rdkafka#453).
#[derive(Clone)]
struct Client(Option<Arc<BaseConsumer<Asker>>>);

impl Client {
    fn create(settings: &ClientConfig) -> Result<Client, Problem> {
        let client = settings.create_with_context(Asker::default());
        Ok(Client(Some(Arc::new(client.map_err(|e| unusable(settings, &e))?))))
    }

    fn get(&self) -> Result<&BaseConsumer<Asker>, Problem> {
        let gone = || Problem::new(Code::System, "the Kafka client is closed");
        self.0.as_deref().ok_or_else(gone)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The last one closes it. Without a thread for that, it is closed here.
        if let Some(last) = self.0.take().and_then(Arc::into_inner) {
            let closing = thread::Builder::new().name("kafka-retire".to_owned());
            let _ = closing.spawn(move || drop(last));
        }
    }
}

impl Handle {
    /// A handle on a client of these settings; they are asked for again with each new one.
    pub(super) fn open(
        settings: impl Fn() -> ClientConfig + Send + Sync + 'static,
    ) -> Result<Handle, Problem> {
        let (login, made_of) = (login::version(), settings());
        let now = Now {
            client: Client::create(&made_of)?,
            settings: made_of,
            login,
            born: Instant::now(),
            failures: BTreeMap::new(),
            replaced: 0,
        };
        let settings = Box::new(settings);
        Ok(Handle { settings, now: Mutex::new(now), reading: Mutex::new(()) })
    }

    /// Asks the client.
    pub(super) fn ask<T>(
        &self,
        question: Question,
        asking: impl FnOnce(&BaseConsumer<Asker>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let client = self.client()?;
        let answer = asking(client.get()?);
        self.note(question, answer.is_ok());
        self.hear(client.get()?, answer.is_ok());
        explained(client.get()?, question, answer)
    }

    /// Asks the client something about each of some partitions.
    pub(super) fn ask_each<T>(
        &self,
        question: Question,
        asking: impl FnOnce(&BaseConsumer<Asker>) -> Result<PerPartition<T>, Problem>,
    ) -> Result<PerPartition<T>, Problem> {
        let client = self.client()?;
        let answer = asking(client.get()?);
        let is_answered = answer.as_ref().is_ok_and(|found| found.failed.is_empty());
        self.note(question, is_answered);
        self.hear(client.get()?, is_answered);
        let mut found = explained(client.get()?, question, answer)?;
        let complaint = &client.get()?.context().complaint;
        let explain = |problem| complaint.explain(problem);
        found.failed = found.failed.into_iter().map(|(p, problem)| (p, explain(problem))).collect();
        Ok(found)
    }

    /// The client, with a token if it logs in by one.
    fn client(&self) -> Result<Client, Problem> {
        let (mut client, login) = self.at_hand();
        let is_refused = client.get()?.context().complaint.of_login().is_some();
        if is_refused && login::is_newer_than(login) {
            self.renew();
            (client, _) = self.at_hand();
        }
        attend(client.get()?.client(), &self.lock().settings);
        Ok(client)
    }

    fn at_hand(&self) -> (Client, u64) {
        let now = self.lock();
        (now.client.clone(), now.login)
    }

    /// Waits for the turn to read records.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        // There is nothing in it that a panic could have spoilt.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what the client complained of meanwhile. Where records are read, it is heard there.
    fn hear(&self, client: &BaseConsumer<Asker>, is_answered: bool) {
        if let Ok(_turn) = self.reading.try_lock() {
            listen(client);
        }
        if is_answered {
            client.context().complaint.clear();
        }
    }

    /// Goes on with a new client.
    pub(super) fn renew(&self) {
        // Settings that were good once are good again; if not, the old client does what it can.
        let (login, settings) = (login::version(), (self.settings)());
        let Ok(client) = Client::create(&settings) else { return };
        let mut now = self.lock();
        (now.client, now.settings, now.login) = (client, settings, login);
        now.born = Instant::now();
        now.failures.clear();
    }

    fn note(&self, question: Question, is_answered: bool) {
        let mut now = self.lock();
        if is_answered {
            if now.failures.remove(&question).is_some() && now.failures.is_empty() {
                now.replaced = 0;
            }
            return;
        }
        let failures = now.failures.entry(question).or_default();
        *failures = failures.saturating_add(1);
        let is_tired =
            *failures >= FAILURES && now.born.elapsed() >= PATIENCE.delay(now.replaced, 1.0);
        if is_tired {
            now.replaced = now.replaced.saturating_add(1);
            drop(now);
            tracing::debug!(
                question = question.as_str(),
                "the client that looks at Kafka is replaced"
            );
            self.renew();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Each field is whole at every moment, so a panic elsewhere does not spoil it.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer, or why there is none as far as the client has said it.
fn explained<T>(
    client: &BaseConsumer<Asker>,
    question: Question,
    answer: Result<T, Problem>,
) -> Result<T, Problem> {
    let complaint = &client.context().complaint;
    let of_group = match question {
        Question::Committed if answer.is_ok() => {
            complaint.let_in();
            None
        }
        // A group that this user may not see is described as one without members.
        Question::Committed | Question::Group => complaint.of_group("cannot ask for the group"),
        _ => None,
    };
    match of_group {
        Some(problem) => Err(problem),
        None => answer.map_err(|problem| complaint.explain(problem)),
    }
}
