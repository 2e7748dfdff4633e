//! HTTP to Meilisearch, on the same TLS as everything else here: rustls with ring.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::io::{AsyncRead, AsyncReadExt};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use meilisearch_sdk::errors::Error;
use meilisearch_sdk::request::{HttpClient, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use verbatim_core::ports::{PortError, PortResult};

use crate::config::Config;
use crate::trouble::{Refusal, Trouble};

/// The client of all requests. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Http {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    authorization: Option<HeaderValue>,
    patience: Duration,
}

impl Http {
    /// # Errors
    /// [`PortError::Permanent`] where the key can't stand in a header, or no certificates can be read.
    pub(crate) fn new(config: &Config) -> PortResult<Self> {
        let provider = rustls::crypto::ring::default_provider;
        let native = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider());
        let roots = match native {
            Ok(native) => native,
            // A machine without certificates of its own still knows the well-known authorities.
            Err(_) => HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(provider())
                .map_err(|error| PortError::permanent("could not prepare TLS for Meilisearch", error))?,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let connector = roots.https_or_http().enable_http1().wrap_connector(tcp);
        let authorization = config.api_key.secret().map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))?;
            value.set_sensitive(true);
            Ok::<_, http::header::InvalidHeaderValue>(value)
        });
        let authorization = authorization.transpose().map_err(|_| {
            PortError::Permanent("the key for Meilisearch has characters that no key has".to_owned())
        })?;
        let pool = Pool::builder(TokioExecutor::new()).build(connector);
        Ok(Self { pool, authorization, patience: config.request_timeout })
    }

    /// Posts lines of JSON, which may be many: they are not copied.
    pub(crate) async fn post_lines<T: DeserializeOwned>(
        &self,
        url: &str,
        lines: Bytes,
        expected: u16,
    ) -> Result<T, Trouble> {
        let (status, body) = self.call(http::Method::POST, url, "application/x-ndjson", lines).await?;
        read(status, &body, expected)
    }

    async fn call(
        &self,
        verb: http::Method,
        url: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<(u16, Bytes), Trouble> {
        let mut request = http::Request::builder().method(verb).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let unreachable = |error: &dyn std::error::Error| Trouble::Unreachable(innermost(error));
        let request = request.body(Full::new(body)).map_err(|error| unreachable(&error))?;
        let calling = async {
            let (head, body) =
                self.pool.request(request).await.map_err(|error| unreachable(&error))?.into_parts();
            let body = body.collect().await.map_err(|error| unreachable(&error))?.to_bytes();
            Ok((head.status.as_u16(), body))
        };
        tokio::time::timeout(self.patience, calling).await.map_err(|_| Trouble::Silent(self.patience))?
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn stream_request<Query, Body, Output>(
        &self,
        url: &str,
        method: Method<Query, Body>,
        content_type: &str,
        expected_status_code: u16,
    ) -> Result<Output, Error>
    where
        Query: Serialize + Send + Sync,
        Body: AsyncRead + Send + Sync + 'static,
        Output: DeserializeOwned + 'static,
    {
        let verb = match &method {
            Method::Get { .. } => http::Method::GET,
            Method::Post { .. } => http::Method::POST,
            Method::Patch { .. } => http::Method::PATCH,
            Method::Put { .. } => http::Method::PUT,
            Method::Delete { .. } => http::Method::DELETE,
        };
        let url = format!("{url}{}", query_string(method.query())?);
        let mut bytes = Vec::new();
        if let Some(body) = method.into_body() {
            let read = Box::pin(body).read_to_end(&mut bytes).await;
            read.map_err(|error| Error::Other(Box::new(error)))?;
        }
        let (status, body) = self.call(verb, &url, content_type, bytes.into()).await?;
        Ok(read(status, &body, expected_status_code)?)
    }

    fn is_tokio(&self) -> bool {
        true
    }
}

fn read<T: DeserializeOwned>(status: u16, body: &[u8], expected: u16) -> Result<T, Trouble> {
    if status != expected {
        return Err(Trouble::Refused(Refusal::read(status, body)));
    }
    let body: &[u8] = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(|error| Trouble::Unreadable(error.to_string()))
}

/// `?a=1&b=x,y`, or nothing.
fn query_string(query: &impl Serialize) -> Result<String, Error> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let serde_json::Value::Object(pairs) = serde_json::to_value(query)? else { return Ok(String::new()) };
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &pairs {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::Array(values) => {
                written.append_pair(name, &values.iter().map(text).collect::<Vec<_>>().join(","));
            }
            single => {
                written.append_pair(name, &text(single));
            }
        }
    }
    let written = written.finish();
    Ok(if written.is_empty() { written } else { format!("?{written}") })
}

/// The cause at the bottom: "connection refused" rather than "client error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_are_written_into_the_url() {
        assert_eq!(query_string(&()).unwrap(), "");
        assert_eq!(query_string(&json!({"a": null})).unwrap(), "");
        let query = json!({"uids": [1, 2], "q": "a&b", "n": null, "yes": true});
        assert_eq!(query_string(&query).unwrap(), "?q=a%26b&uids=1%2C2&yes=true");
    }

    #[test]
    fn a_key_that_cant_be_sent_is_refused_without_being_shown() {
        let config = Config::new("http://localhost", "se\ncret".to_owned()).unwrap();
        let Err(error) = Http::new(&config) else { panic!("no header can hold it") };
        assert!(!error.to_string().contains("cret"), "{error}");
    }
}
