//! Binding and serving.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use verbatim_listen::{Arrived, Busy, Door, Limits, Line, Watched, attend};

use crate::config::{ConfigError, WebConfig};
use crate::error::too_late;
use crate::live::Hub;
use crate::ports::Ports;
use crate::router::router;

/// Why the web role could not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The configuration will not be served.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address can't be listened at.
    #[error(
        "can't listen on {address}: {source}; is another program using that port? choose another with --web-addr"
    )]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it can't.
        source: io::Error,
    },
}

/// The web role, listening and not yet serving.
pub struct Web {
    listener: TcpListener,
    local_addr: SocketAddr,
    config: WebConfig,
    ports: Ports,
}

impl Web {
    /// Checks the configuration and opens the socket.
    pub async fn bind(config: WebConfig, ports: Ports) -> Result<Self, BindError> {
        config.validate()?;
        let listen = |source| BindError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, local_addr, config, ports })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stop` is cancelled and the requests that are under way are answered.
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, config, ports, .. } = self;
        let hub = Hub::new();
        let mut tasks = JoinSet::new();
        if let Some(live) = &ports.live {
            let (live, archive) = (Arc::clone(live), Arc::clone(&ports.archive));
            tasks.spawn(Arc::clone(&hub).run(live, archive, stop.clone()));
        }
        let deadlines = Deadlines {
            connection: config.connections,
            answer: config.answer_within,
            unread: config.unread_for,
        };
        let door = Door::new(listener, config.connections.connections);
        let router = router(config, ports, hub, stop.clone());
        serve(door, router, deadlines, &stop).await;
        while tasks.join_next().await.is_some() {}
    }
}

/// How long a browser may take.
#[derive(Clone, Copy)]
struct Deadlines {
    connection: Limits,
    answer: Duration,
    unread: Duration,
}

/// Serves connections until `stop` is cancelled and the requests that are under way are answered.
async fn serve(mut door: Door, router: Router, deadlines: Deadlines, stop: &CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let Arrived { stream, address, slot } = tokio::select! {
            arrived = door.next() => arrived,
            () = stop.cancelled() => break,
        };
        // A live page's small events would wait for the acknowledgement of the ones before.
        let io = stream.set_nodelay(true).map(|()| Watched::new(stream));
        let (router, stop) = (router.clone(), stop.clone());
        let executor = TrackedExecutor(connections.clone());
        connections.spawn(async move {
            let _slot = slot;
            let Ok((io, stalled)) = io else { return };
            let line = Line::default();
            let service = service_fn(|mut request: Request<Incoming>| {
                let busy = line.begin();
                request.extensions_mut().insert(ConnectInfo(address));
                let has_body = !request.body().is_end_stream();
                let answered = timeout(deadlines.answer, router.clone().oneshot(request));
                async move {
                    let answer = match answered.await {
                        Ok(answer) => answer?,
                        Err(_) => too_late(has_body, deadlines.answer),
                    };
                    Ok::<_, Infallible>(answer.map(|body| UntilEnd { body, _busy: busy }))
                }
            });
            let builder = Builder::new(executor);
            let connection = builder.serve_connection(TokioIo::new(io), service);
            // Requests that are under way are waited for: nothing ends them at once but the process's end.
            let never = CancellationToken::new();
            tokio::select! {
                ended = attend(connection, &line, &deadlines.connection, &stop, &never) => {
                    if let Some(Err(error)) = ended {
                        tracing::debug!(%error, "a browser's connection ended early");
                    }
                }
                () = stalled.lasts(deadlines.unread) => {
                    tracing::debug!("a browser took nothing of its answer for too long");
                }
            }
        });
    }
    drop(door);
    connections.close();
    connections.wait().await;
}

/// An answer's body, for as long as which its request is under way.
struct UntilEnd {
    body: axum::body::Body,
    _busy: Busy,
}

impl Body for UntilEnd {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs what HTTP/2 connections need beside them, owned like the connections.
#[derive(Clone)]
struct TrackedExecutor(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for TrackedExecutor {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
