//! A TCP proxy in front of PostgreSQL that knows a COMMIT when it sees one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server commits, its answer is dropped, the connection is cut.
    SwallowAnswer,
    /// The connection is cut before the server sees the COMMIT.
    Lose,
}

/// The proxy; listens until it is dropped.
pub struct Proxy {
    port: u16,
    knobs: Arc<Knobs>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Knobs {
    refuse: AtomicBool,
    silent: AtomicBool,
    delay_ms: AtomicU64,
    withheld: Mutex<Option<&'static str>>,
    swallow: AtomicBool,
    lose: AtomicBool,
    swallowed: AtomicUsize,
    lost: AtomicUsize,
    cut: AtomicUsize,
    /// Counts the calls of [`Proxy::cut_all`]; every connection watches it.
    rounds: watch::Sender<usize>,
}

impl Proxy {
    /// A proxy on a port of its own that leads to PostgreSQL on `port` of this machine.
    pub async fn start(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let knobs = Arc::new(Knobs::default());
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let own = listener.local_addr().unwrap().port();
        let listening = tokio::spawn(listen(listener, target, knobs.clone()));
        Proxy { port: own, knobs, listening }
    }

    /// The connection string `url` (as [`super::rig::Rig::url`] gives it), led through the proxy.
    pub fn url(&self, url: &str) -> String {
        let (before, rest) = url.rsplit_once(':').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{before}:{}/{database}?sslmode=disable", self.port)
    }

    /// Lets the next COMMIT on any connection have this fate.
    pub fn next_commit(&self, fate: Fate) {
        match fate {
            Fate::SwallowAnswer => self.knobs.swallow.store(true, Ordering::SeqCst),
            Fate::Lose => self.knobs.lose.store(true, Ordering::SeqCst),
        }
    }

    /// How many COMMITs had this fate.
    pub fn met(&self, fate: Fate) -> usize {
        match fate {
            Fate::SwallowAnswer => self.knobs.swallowed.load(Ordering::SeqCst),
            Fate::Lose => self.knobs.lost.load(Ordering::SeqCst),
        }
    }

    /// Cuts every open connection.
    pub fn cut_all(&self) {
        self.knobs.rounds.send_modify(|rounds| *rounds += 1);
    }

    /// How many connections [`Proxy::cut_all`] has cut.
    pub fn cut(&self) -> usize {
        self.knobs.cut.load(Ordering::SeqCst)
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuse: bool) {
        self.knobs.refuse.store(refuse, Ordering::SeqCst);
    }
}

impl Proxy {
    /// Whether everything is swallowed: connections stay open, new ones are taken, nobody answers.
    pub fn silence(&self, silent: bool) {
        self.knobs.silent.store(silent, Ordering::SeqCst);
    }

    /// Nobody gets to know of a message with this text, nor of anything after it on its connection.
    pub fn withhold(&self, text: Option<&'static str>) {
        *self.knobs.withheld.lock().unwrap() = text;
    }

    /// Holds each answer back for a time.
    pub fn delay(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.knobs.delay_ms.store(ms, Ordering::SeqCst);
    }
}

impl Knobs {
    /// Waits while everything is swallowed.
    async fn heard(&self) {
        while self.silent.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn withholds(&self, message: &[u8]) -> bool {
        let text = *self.withheld.lock().unwrap();
        text.is_some_and(|t| message.windows(t.len()).any(|part| part == t.as_bytes()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_all();
    }
}

async fn listen(listener: TcpListener, target: SocketAddr, knobs: Arc<Knobs>) {
    while let Ok((client, _)) = listener.accept().await {
        if knobs.refuse.load(Ordering::SeqCst) {
            continue;
        }
        tokio::spawn(join(client, target, knobs.clone()));
    }
}

/// Carries one connection until either side closes it or somebody cuts it.
async fn join(client: TcpStream, target: SocketAddr, knobs: Arc<Knobs>) {
    let mut rounds = knobs.rounds.subscribe();
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let swallowing = Arc::new(AtomicBool::new(false));
    tokio::select! {
        _ = requests(from_client, to_server, &knobs, &swallowing) => {}
        _ = answers(from_server, to_client, &knobs, &swallowing) => {}
        _ = rounds.changed() => { knobs.cut.fetch_add(1, Ordering::SeqCst); }
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    knobs: &Knobs,
    swallowing: &AtomicBool,
) -> std::io::Result<()> {
    // The first message has no type: a length and what the client wants.
    let first = message(&mut from, Vec::new()).await?;
    knobs.heard().await;
    to.write_all(&first).await?;
    loop {
        let kind = from.read_u8().await?;
        let message = message(&mut from, vec![kind]).await?;
        knobs.heard().await;
        if knobs.withholds(&message) {
            std::future::pending::<()>().await;
        }
        if is_commit(&message) {
            if knobs.lose.swap(false, Ordering::SeqCst) {
                knobs.lost.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            if knobs.swallow.swap(false, Ordering::SeqCst) {
                swallowing.store(true, Ordering::SeqCst);
            }
        }
        to.write_all(&message).await?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    knobs: &Knobs,
    swallowing: &AtomicBool,
) -> std::io::Result<()> {
    loop {
        let kind = from.read_u8().await?;
        let message = message(&mut from, vec![kind]).await?;
        knobs.heard().await;
        // An answer ends with this message; those before it are of the same round trip.
        if kind == b'Z' {
            let ms = knobs.delay_ms.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        // Only the answer itself tells that the server has committed.
        if swallowing.load(Ordering::SeqCst) && message.ends_with(b"COMMIT\0") && kind == b'C' {
            knobs.swallowed.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        to.write_all(&message).await?;
    }
}

/// Reads a message's length and body behind what is there of it already.
async fn message(from: &mut OwnedReadHalf, mut message: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    message.extend(length.to_be_bytes());
    let head = message.len();
    message.resize(head + length as usize - 4, 0);
    from.read_exact(&mut message[head..]).await?;
    Ok(message)
}

/// A simple query of just that word.
fn is_commit(message: &[u8]) -> bool {
    message.first() == Some(&b'Q') && message.get(5..) == Some(b"COMMIT\0")
}
