//! A small HTTP client: for the running instance, for providers' reachability, and for sample traffic.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longer answers are nothing this program reads.
const LONGEST: usize = 8 << 20;

/// A client whose every call has a deadline.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Duration,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// `patience` is how long a whole call may take.
    pub(crate) fn new(patience: Duration) -> Result<Self> {
        let provider = rustls::crypto::ring::default_provider;
        let native = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider());
        let roots = match native {
            Ok(native) => native,
            // A machine without certificates of its own still reaches the well-known providers.
            Err(_) => HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider())?,
        };
        let connector = roots.https_or_http().enable_http1().build();
        Ok(Self { pool: Pool::builder(TokioExecutor::new()).build(connector), patience })
    }

    /// Sends a request; gives the answer once its head is there.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let answer = tokio::time::timeout(self.patience, self.pool.request(request)).await;
        answer
            .with_context(|| format!("{authority} did not answer within {} s", self.patience.as_secs()))?
            .map_err(|error| anyhow::anyhow!("{authority} can't be reached: {}", innermost(&error)))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let asking = async {
            let (head, body) = self.send(request).await?.into_parts();
            let body = Limited::new(body, LONGEST).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(self.patience, asking).await.context("the answer did not end in time")?
    }

    /// Gets a URL.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer> {
        self.ask(Request::builder().method(Method::GET).uri(url).body(Full::default())?).await
    }
}

/// The cause at the bottom: "connection refused" rather than "client error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
