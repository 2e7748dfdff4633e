//! Opens connections.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::Origin;

/// A connection as it comes, TLS and all.
pub(crate) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A new connection.
pub(super) struct Connected {
    pub(super) io: Io,
    /// Whether both sides agreed on HTTP/2.
    pub(super) http2: bool,
}

/// Opens plain and TLS connections.
pub(super) struct Connector {
    any: HttpsConnector<HttpConnector>,
    http1: HttpsConnector<HttpConnector>,
}

impl Connector {
    pub(super) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let tls = tls();
        let builder = || HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        Self {
            any: builder().enable_http1().enable_http2().wrap_connector(tcp.clone()),
            http1: builder().enable_http1().wrap_connector(tcp),
        }
    }

    /// Connects, over TLS where the scheme says so.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        http1_only: bool,
    ) -> Result<Connected, Box<dyn std::error::Error + Send + Sync>> {
        let uri = Uri::builder()
            .scheme(origin.scheme.clone())
            .authority(origin.authority.clone())
            .path_and_query(PathAndQuery::from_static("/"))
            .build()?;
        let mut connector = if http1_only { self.http1.clone() } else { self.any.clone() };
        std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
        let io = connector.call(uri).await?;
        let http2 = io.connected().is_negotiated_h2();
        Ok(Connected { io, http2 })
    }
}

/// The machine's certificate authorities, or where it has none, Mozilla's.
fn tls() -> rustls::ClientConfig {
    let builder = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers for the default TLS versions")
    };
    match builder().with_native_roots() {
        Ok(native) => native,
        Err(error) => {
            tracing::info!(%error, "using the built-in certificate authorities");
            builder().with_webpki_roots()
        }
    }
    .with_no_client_auth()
}
