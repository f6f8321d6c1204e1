//! What logs in, as it is now: passwords and certificates are replaced while the daemon runs. They are read again when
//! a login is refused and on SIGHUP; a `password_command` is asked again besides, for what it prints may last minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio_postgres::Config;

use super::settings::{place, settings};
use super::tls::TlsMode;
use config::{Postgres, RootCert};
use outbound::command;
use rules::problem::{Code, Problem};

/// How long what a command printed is taken for the password without asking again.
const FRESH: Duration = Duration::from_secs(60);
/// How long a command may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often a refused login leads to another look at most.
const PAUSE: Duration = Duration::from_secs(1);

/// How often everything was to be read again.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Has every login read again before its next connection.
pub fn read_again() {
    ASKED.fetch_add(1, Ordering::Relaxed);
}

/// The settings for each host, and how connections to it are protected.
pub(super) type Each = Arc<Vec<(Config, TlsMode)>>;

/// A database's login.
pub(super) struct Login {
    name: String,
    now: Mutex<Now>,
}

struct Now {
    postgres: Postgres,
    each: Each,
    /// The bytes of the files of certificates, to tell when one has changed.
    files: Vec<Vec<u8>>,
    asked: u64,
    looked: Instant,
    printed: Option<Instant>,
}

impl Login {
    /// Connects to nothing, and runs no command yet.
    pub(super) fn new(postgres: &Postgres, name: &str) -> Result<Login, Problem> {
        let now = Now {
            each: each(postgres, name)?,
            files: files(postgres),
            asked: ASKED.load(Ordering::Relaxed),
            // A refusal right after the start may be of what is just being replaced.
            looked: Instant::now().checked_sub(PAUSE).unwrap_or_else(Instant::now),
            printed: None,
            postgres: postgres.clone(),
        };
        Ok(Login { name: name.to_owned(), now: Mutex::new(now) })
    }

    /// What to log in with.
    pub(super) async fn current(&self) -> Each {
        let mut now = self.now.lock().await;
        let has_command = !now.postgres.password_command.is_empty();
        let is_old = has_command && now.printed.is_none_or(|at| at.elapsed() > FRESH);
        if is_old || now.asked != ASKED.load(Ordering::Relaxed) {
            self.look(&mut now).await;
        }
        now.each.clone()
    }

    /// What to log in with instead, after this was refused; nothing where it is still the same.
    pub(super) async fn instead_of(&self, refused: &Each) -> Option<Each> {
        let mut now = self.now.lock().await;
        if Arc::ptr_eq(&now.each, refused) && now.looked.elapsed() >= PAUSE {
            self.look(&mut now).await;
        }
        (!Arc::ptr_eq(&now.each, refused)).then(|| now.each.clone())
    }

    async fn look(&self, now: &mut Now) {
        (now.asked, now.looked) = (ASKED.load(Ordering::Relaxed), Instant::now());
        match self.renewed(now).await {
            Ok(Some((postgres, each))) => {
                tracing::info!(
                    database = place(&postgres),
                    "the login to PostgreSQL was read again, and is another"
                );
                (now.files, now.each, now.postgres) = (files(&postgres), each, postgres);
            }
            Ok(None) => {}
            Err(problem) => {
                tracing::warn!(
                    code = problem.code.as_str(),
                    hint = problem.advice,
                    "{}",
                    problem.reason
                );
            }
        }
    }

    /// The login, if it has changed. Everything else stays what it was at the start.
    async fn renewed(&self, now: &mut Now) -> Result<Option<(Postgres, Each)>, Problem> {
        let mut postgres = now.postgres.clone();
        if let Some(read) =
            now.postgres.again.as_ref().map(|again| again.read()).transpose()?.flatten()
        {
            postgres.password = read.password;
            postgres.sslpassword = read.sslpassword;
        }
        if !postgres.password_command.is_empty() {
            postgres.password = Some(printed(&postgres.password_command).await?);
            now.printed = Some(Instant::now());
        }
        let same = |a: &Option<SecretString>, b: &Option<SecretString>| {
            a.as_ref().map(|s| s.expose_secret()) == b.as_ref().map(|s| s.expose_secret())
        };
        let is_same = same(&postgres.password, &now.postgres.password)
            && same(&postgres.sslpassword, &now.postgres.sslpassword)
            && files(&postgres) == now.files;
        if is_same {
            return Ok(None);
        }
        let each = each(&postgres, &self.name)?;
        Ok(Some((postgres, each)))
    }
}

/// The settings of each host.
fn each(p: &Postgres, application_name: &str) -> Result<Each, Problem> {
    let alone = |at: usize, host: &String| Postgres {
        hosts: vec![host.clone()],
        ports: p.ports.get(at).or(p.ports.first()).copied().into_iter().collect(),
        ..p.clone()
    };
    let mut each: Vec<Postgres> =
        p.hosts.iter().enumerate().map(|(at, host)| alone(at, host)).collect();
    if each.is_empty() {
        each.push(p.clone());
    }
    let named = |one: &Postgres| {
        settings(one).map(|(mut config, tls)| {
            config.application_name(p.application_name.as_deref().unwrap_or(application_name));
            (config, tls)
        })
    };
    each.iter().map(named).collect::<Result<_, _>>().map(Arc::new)
}

fn files(p: &Postgres) -> Vec<Vec<u8>> {
    let root = match &p.sslrootcert {
        Some(RootCert::File(path)) => Some(path),
        Some(RootCert::System) | None => None,
    };
    let named = [root, p.sslcert.as_ref(), p.sslkey.as_ref()];
    named.into_iter().flatten().map(|path| std::fs::read(path).unwrap_or_default()).collect()
}

/// The password that a command prints.
async fn printed(words: &[String]) -> Result<SecretString, Problem> {
    let program = words.first().map(String::as_str).unwrap_or_default();
    command::printed(words, PATIENCE).await.map(SecretString::from).map_err(|why| {
        let cause = format!("password_command {program} gives no password: {why}");
        Problem::new(Code::Config, cause)
            .advice("it prints the password on standard output and ends with 0 within 10 seconds")
    })
}
