//! A TCP proxy between the daemon and a server, which can be told to misbehave. In front of PostgreSQL it knows a COMMIT
//! when it sees one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rules::problem::{Code, Problem};

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

/// Which protocol passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// PostgreSQL's: message by message.
    Postgres,
    /// Any: bytes as they come.
    Plain,
}

/// The most bytes that are carried at once where messages do not count.
const PIECE: usize = 16 * 1024;

/// The proxy; listens until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    knobs: Arc<Knobs>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Knobs {
    target: AtomicU16,
    bytes_per_second: AtomicU64,
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
    pub async fn start(port: u16) -> Result<Proxy, Problem> {
        Proxy::on_free_port(port, Wire::Postgres).await
    }

    /// A proxy on a port of its own that leads to any server on `port` of this machine.
    pub async fn plain(port: u16) -> Result<Proxy, Problem> {
        Proxy::on_free_port(port, Wire::Plain).await
    }

    async fn on_free_port(port: u16, wire: Wire) -> Result<Proxy, Problem> {
        let failed =
            |e: std::io::Error| Problem::new(Code::System, format!("cannot start a proxy: {e}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let own = listener.local_addr().map_err(failed)?.port();
        let knobs = Arc::new(Knobs::default());
        knobs.target.store(port, Ordering::SeqCst);
        let listening = tokio::spawn(listen(listener, wire, knobs.clone()));
        Ok(Proxy { port: own, knobs, listening })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets new connections lead to another port.
    pub fn lead_to(&self, port: u16) {
        self.knobs.target.store(port, Ordering::SeqCst);
    }

    /// The connection string `url` (`postgres://user:password@host:port/database`), led through the proxy.
    pub fn url(&self, url: &str) -> String {
        let (before, rest) = url.rsplit_once(':').unwrap_or((url, ""));
        let (_, database) = rest.split_once('/').unwrap_or((rest, ""));
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
        *self.knobs.withheld.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Holds each answer back for a time.
    pub fn delay(&self, time: Duration) {
        self.knobs.delay_ms.store(time.as_millis() as u64, Ordering::SeqCst);
    }

    /// Lets at most so many bytes a second pass each way on each connection; 0 for as many as come. For plain connections.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.knobs.bytes_per_second.store(bytes_per_second, Ordering::SeqCst);
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
        let text = *self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        text.is_some_and(|t| message.windows(t.len()).any(|part| part == t.as_bytes()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_all();
    }
}

async fn listen(listener: TcpListener, wire: Wire, knobs: Arc<Knobs>) {
    while let Ok((client, _)) = listener.accept().await {
        if knobs.refuse.load(Ordering::SeqCst) {
            continue;
        }
        tokio::spawn(join(client, wire, knobs.clone()));
    }
}

/// Carries one connection until either side closes it or somebody cuts it.
async fn join(client: TcpStream, wire: Wire, knobs: Arc<Knobs>) {
    let mut rounds = knobs.rounds.subscribe();
    let target = SocketAddr::from(([127, 0, 0, 1], knobs.target.load(Ordering::SeqCst)));
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    if wire == Wire::Plain {
        tokio::select! {
            _ = bytes(from_client, to_server, &knobs, false) => {}
            _ = bytes(from_server, to_client, &knobs, true) => {}
            _ = rounds.changed() => { knobs.cut.fetch_add(1, Ordering::SeqCst); }
        }
        return;
    }
    let swallowing = Arc::new(AtomicBool::new(false));
    tokio::select! {
        _ = requests(from_client, to_server, &knobs, &swallowing) => {}
        _ = answers(from_server, to_client, &knobs, &swallowing) => {}
        _ = rounds.changed() => { knobs.cut.fetch_add(1, Ordering::SeqCst); }
    }
}

/// Carries bytes one way; answers are held back where that was asked for.
async fn bytes(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    knobs: &Knobs,
    answers: bool,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        knobs.heard().await;
        let delay = if answers { knobs.delay_ms.load(Ordering::SeqCst) } else { 0 };
        let pace = match knobs.bytes_per_second.load(Ordering::SeqCst) {
            0 => 0,
            most => read as u64 * 1000 / most,
        };
        tokio::time::sleep(Duration::from_millis(delay + pace)).await;
        to.write_all(&piece[..read]).await?;
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
