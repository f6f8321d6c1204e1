//! Tries the hosts of a database, the later ones soon beside those that do not answer.
//!
//! Somebody who asks has less time than one vanished host may take to be given up: one after the other,
//! none of them would ever come to the second host. And the driver's connect timeout ends when the address
//! answers; the login after it may take for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls};

use super::error::is_of_login;
use super::login::{Each, Login};
use super::tls::TlsMode;

/// How long a host that does not answer has for itself, before the next one is tried beside it: what
/// RFC 8305 gives an address. It is short because an extra login on a standby costs nothing.
pub(super) const HEAD_START: Duration = Duration::from_millis(250);

/// A database's hosts in the order in which they are tried.
pub(super) struct Hosts {
    /// What logs in to them.
    pub login: Login,
    /// How long each may take, login included, while there is another one.
    pub patience: Duration,
}

/// A connection, told of by `heard`, and the task that drives it.
pub(super) struct OpenConnection {
    pub client: Client,
    pub heard: Arc<Notify>,
    pub task: JoinHandle<()>,
}

impl Hosts {
    /// Connects to the first host that takes writes. If none answers at all this does not end; the caller
    /// has a time for the whole. What is refused is read again, in case it was replaced.
    pub async fn open(&self) -> Result<OpenConnection, Error> {
        let each = self.login.current().await;
        match self.first_of(&each).await {
            Err(error) if is_of_login(&error) => match self.login.instead_of(&each).await {
                Some(each) => self.first_of(&each).await,
                None => Err(error),
            },
            answer => answer,
        }
    }

    async fn first_of(&self, each: &Each) -> Result<OpenConnection, Error> {
        let mut others = each.iter();
        let mut trying = FuturesUnordered::new();
        let mut refusal = None;
        loop {
            trying.extend(others.next().map(|host| self.answer(host)));
            let alone = if others.len() > 0 { HEAD_START } else { Duration::MAX };
            match tokio::time::timeout(alone, trying.next()).await {
                Ok(Some(Some(Ok(open)))) => return Ok(open),
                Ok(Some(Some(Err(error)))) => refusal = Some(error),
                Ok(Some(None)) | Err(_) => {}
                Ok(None) => break,
            }
        }
        match refusal {
            Some(error) => Err(error),
            None => std::future::pending().await,
        }
    }

    /// What a host says within its time, if anything.
    async fn answer(
        &self,
        (host, tls): &(Config, TlsMode),
    ) -> Option<Result<OpenConnection, Error>> {
        let answer = tokio::time::timeout(self.patience, open_one(host, tls)).await;
        if answer.is_err() {
            let name = |host: &Host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(folder) => folder.display().to_string(),
            };
            let names: Vec<String> = host.get_hosts().iter().map(name).collect();
            tracing::debug!(host = names.join(","), "a host did not answer");
        }
        answer.ok()
    }
}

async fn open_one(host: &Config, tls: &TlsMode) -> Result<OpenConnection, Error> {
    match tls {
        TlsMode::Plain => host.connect(NoTls).await.map(drive),
        TlsMode::Opportunistic(tls) | TlsMode::Required(tls) => {
            host.connect(tls.clone()).await.map(drive)
        }
    }
}

impl Connect for Hosts {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async { self.open().await.map(|open| (open.client, open.task)) })
    }
}

/// Runs the connection beside its client. How it ends is the client's next error.
fn drive<S, T>(pair: (Client, Connection<S, T>)) -> OpenConnection
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, mut connection) = pair;
    let heard = Arc::new(Notify::new());
    let told = heard.clone();
    let task = tokio::spawn(async move {
        while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => told.notify_one(),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "a PostgreSQL connection ended");
                    break;
                }
            }
        }
        // Whoever waits learns of the end by asking.
        told.notify_one();
    });
    OpenConnection { client, heard, task }
}
