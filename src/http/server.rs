//! The listener: bounded in connections, in the size of a request's head, and in the time it may take.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info};

use rules::problem::{Code, Problem};

/// Connections at the same time. One more takes the place of the oldest: whoever holds all of them, and reads nothing,
/// keeps no probe waiting.
const CONNECTIONS: usize = 128;
/// How long somebody may not take what is written to them.
const WRITE: Duration = Duration::from_secs(10);
/// How long a request's head may take to arrive.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head; no request here has a body that is read.
const HEAD_BYTES: usize = 16 << 10;
/// The pause between two attempts at an address that is taken.
const AGAIN: Duration = Duration::from_secs(5);

/// Answers at an address until `stop`. An address that cannot be had is said once and tried again: payments do
/// not depend on it, and on a machine with two daemons the second takes over when the first one ends.
pub async fn serve(listen: SocketAddr, router: Router, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = answer(listen, router) => {}
    }
}

async fn answer(listen: SocketAddr, router: Router) {
    let listener = bind(listen).await;
    let mut open: VecDeque<AbortOnDropHandle<()>> = VecDeque::with_capacity(CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() == CONNECTIONS {
                    open.pop_front();
                }
                let talk = tokio::spawn(converse(stream, router.clone()));
                open.push_back(AbortOnDropHandle::new(talk));
            }
            Err(error) => {
                // No file descriptor is left, for example; that passes.
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // One answer each: a thousand requests that are sent at once must not have a thousand pages written.
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        debug!(%error, "an HTTP connection ended");
    }
}

async fn bind(listen: SocketAddr) -> TcpListener {
    let mut told = None;
    loop {
        let error = match TcpListener::bind(listen).await {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(listen);
                info!(%address, "answers HTTP");
                return listener;
            }
            Err(error) => error,
        };
        if told != Some(error.kind()) {
            let problem = untaken(listen, &error);
            error!(code = problem.code.as_str(), hint = problem.advice, "{}", problem.reason);
            told = Some(error.kind());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn untaken(listen: SocketAddr, error: &io::Error) -> Problem {
    let cause = format!("nothing is answered by HTTP yet: cannot listen on {listen}: {error}");
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "payments are not affected; another program or daemon has this address: give one of them \
             another http.listen, or \"\" for none. It is tried again every 5 s"
        }
        _ => "payments are not affected; correct http.listen, and restart",
    };
    Problem::new(Code::System, cause).advice(hint)
}
