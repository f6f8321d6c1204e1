//! Tries the hosts of a database in turn, each for its own time.
//!
//! The driver's connect timeout ends when the address answers; the login after it may take for ever. A
//! frozen first host would keep everybody from the second one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls};

use super::TlsMode;

/// A database's hosts in the order in which they are tried.
pub(super) struct Hosts {
    /// The settings for each host, and how connections to it are protected.
    pub each: Vec<(Config, TlsMode)>,
    /// How long each may take, login included, while there is another one.
    pub patience: Duration,
}

/// A connection, told of by `heard`, and the task that drives it.
pub(super) struct Open {
    pub client: Client,
    pub heard: Arc<Notify>,
    pub task: JoinHandle<()>,
}

impl Hosts {
    /// Connects to the first host that takes writes. If none answers at all this does not end; the caller
    /// has a time for the whole.
    pub async fn open(&self) -> Result<Open, Error> {
        let mut refusal = None;
        for (host, tls) in &self.each {
            match tokio::time::timeout(self.patience, open_one(host, tls)).await {
                Ok(Ok(open)) => return Ok(open),
                Ok(Err(error)) => refusal = Some(error),
                Err(_) => tracing::debug!(host = ?host.get_hosts(), "a host did not answer"),
            }
        }
        match refusal {
            Some(error) => Err(error),
            None => std::future::pending().await,
        }
    }
}

async fn open_one(host: &Config, tls: &TlsMode) -> Result<Open, Error> {
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
fn drive<S, T>(pair: (Client, Connection<S, T>)) -> Open
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
    Open { client, heard, task }
}
