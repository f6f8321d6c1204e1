//! An HTTP client for the few requests that makegood makes: to a person's webhook, to a collector of
//! traces. HTTPS trusts the roots this machine trusts; redirects are not followed.

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

use crate::pure::problem::{Code, Problem};

/// Nothing that is asked for here answers with more than a few words.
const MAX_ANSWER: usize = 64 << 10;

/// A client with its connections.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// A client that holds no connection yet.
    pub fn new() -> Result<Client, Problem> {
        let ring = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(Arc::new(ring))
            .map_err(|e| {
                Problem::new(Code::System, format!("no certificate authority can be read: {e}"))
                    .hint("install this system's ca-certificates")
            })?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Client { pool: Pool::builder(TokioExecutor::new()).build(connector) })
    }

    /// Sends a request and reads the answer, whatever its status, within `patience`. The error says why
    /// there is none.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        patience: Duration,
    ) -> Result<Response<Bytes>, String> {
        let exchange = async {
            let answer = self.pool.request(request.map(Full::new)).await;
            let (head, body) = answer.map_err(|e| whole(&e))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|e| whole(&*e))?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout(patience, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("no answer within {patience:?}")),
        }
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
