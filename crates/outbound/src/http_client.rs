//! An HTTP client for the few requests that makegood makes: to a person's webhook, to a collector of
//! traces, to the daemon itself. HTTPS trusts the roots this machine trusts; redirects are not followed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

use rules::problem::{Code, Problem};

/// More than anything that is asked for here answers; the longest is a daemon's word on each of its routes.
const MAX_ANSWER: usize = 1 << 20;

/// A client with its connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that holds no connection yet.
    pub fn new() -> Result<HttpClient, Problem> {
        // A machine that trusts nobody can still speak HTTP, and hears the reason from HTTPS.
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let ring = rustls::crypto::ring::default_provider();
        let tls = ClientConfig::builder_with_provider(Arc::new(ring))
            .with_safe_default_protocol_versions()
            .map_err(|e| Problem::new(Code::System, format!("TLS cannot be set up: {e}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(HttpClient { pool: Pool::builder(TokioExecutor::new()).build(connector) })
    }

    /// Sends a request and returns the answer, whatever its status, if it begins within `patience`. The error
    /// says why there is none. A body that breaks off counts as empty: who answered has understood, and would
    /// be asked the same again otherwise.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        patience: Duration,
    ) -> Result<Response<Bytes>, String> {
        let answer = tokio::time::timeout(patience, self.pool.request(request.map(Full::new)));
        let answer =
            answer.await.map_err(|_| format!("no answer within {} s", patience.as_secs_f32()))?;
        let (head, body) = answer.map_err(|e| whole(&e))?.into_parts();
        let body = tokio::time::timeout(patience, Limited::new(body, MAX_ANSWER).collect());
        let body = body.await.ok().and_then(Result::ok).map(|body| body.to_bytes());
        Ok(Response::from_parts(head, body.unwrap_or_default()))
    }
}

/// An error with its causes: the first one alone says little more than "client error".
fn whole(error: &(dyn Error + 'static)) -> String {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What a client makes of an answer.
    async fn asked(answer: &'static str, patience: Duration) -> Result<u16, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            drop(stream);
            std::future::pending::<()>().await;
        };
        let request = Request::post(url).body(Bytes::from_static(b"{}")).unwrap();
        let client = HttpClient::new().unwrap();
        tokio::select! {
            () = server => unreachable!(),
            answer = client.send(request, patience) => answer.map(|a| a.status().as_u16()),
        }
    }

    #[tokio::test]
    async fn the_status_counts_also_if_the_body_breaks_off() {
        let patience = Duration::from_secs(10);
        let broken = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
        assert_eq!(asked(broken, patience).await, Ok(200));
        assert_eq!(asked("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", patience).await, Ok(404));
        let said = asked("", patience).await.unwrap_err();
        assert!(said.contains("connection closed before message completed"), "{said}");
    }
}
