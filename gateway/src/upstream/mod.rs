//! The provider's side: connections, and calls on them.
//!
//! An HTTP/1.1 connection is driven by the task of the call that uses it, so that a chunk passes from one socket to
//! the other without waking another task. HTTP/2 connections are shared, and have tasks of their own.

mod answer;
mod connect;
mod driver;
mod failure;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub(crate) use answer::UpstreamBody;
pub(crate) use failure::{Failure, chain, is_reset};

use self::connect::{Connected, Connector, Io};
use self::driver::{Driver, NotAnswered};
use self::pool::Pool;
use crate::relay::RequestBody;

/// Calls providers.
pub(crate) struct Upstream {
    connector: Connector,
    pool: Arc<Pool>,
    tasks: TaskTracker,
    connect: Duration,
}

/// What a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    /// Where a URI's provider is; nothing where it names no host.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        Some(Self { scheme: uri.scheme()?.clone(), authority: uri.authority()?.clone() })
    }
}

/// A connection that can take a call.
enum Channel {
    Http1(Box<Driver>),
    Http2(http2::SendRequest<RequestBody>),
}

/// A call that got no answer.
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    /// What was asked, where nothing of it was sent anywhere.
    pub(crate) unsent: Option<Box<RequestBody>>,
}

impl Unanswered {
    fn unsent(failure: Failure, request: Request<RequestBody>) -> Self {
        Self { failure, unsent: Some(Box::new(request.into_body())) }
    }
}

impl Upstream {
    /// Connects on demand; `connect` is the time for that. Tasks of shared connections go to `tasks`.
    pub(crate) fn new(connect: Duration, tasks: TaskTracker) -> Self {
        Self { connector: Connector::new(), pool: Arc::default(), tasks, connect }
    }

    /// Calls. A connection that was kept is used where there is one; if that one turns out to be closed before the
    /// call was written to it, another is used.
    pub(crate) async fn call(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<http::Response<UpstreamBody>, Unanswered> {
        let Some(origin) = Origin::of(request.uri()) else {
            return Err(Unanswered::unsent(Failure::NoOrigin, request));
        };
        loop {
            let (channel, kept) = match self.pool.take(&origin) {
                Some(channel) => (channel, true),
                None => match self.connect(&origin).await {
                    Ok(channel) => (channel, false),
                    Err(failure) => return Err(Unanswered::unsent(failure, request)),
                },
            };
            let sent = match channel {
                Channel::Http1(driver) => driver.send(request, &origin, &self.pool).await,
                Channel::Http2(sender) => driver::send_http2(sender, request).await,
            };
            match sent {
                Ok(response) => return Ok(response),
                Err(NotAnswered::Unsent(again)) if kept => {
                    // It was written nowhere, so that another connection may have it.
                    self.pool.forget(&origin);
                    request = *again;
                }
                Err(NotAnswered::Unsent(back)) => {
                    return Err(Unanswered::unsent(Failure::ClosedAtOnce, *back));
                }
                Err(NotAnswered::Failed(error)) => {
                    return Err(Unanswered { failure: Failure::Call(error), unsent: None });
                }
            }
        }
    }

    /// Calls on a connection of its own, which can leave HTTP.
    pub(crate) async fn call_upgrade(
        &self,
        request: Request<RequestBody>,
    ) -> Result<http::Response<Incoming>, Failure> {
        let origin = Origin::of(request.uri()).ok_or(Failure::NoOrigin)?;
        let io = self.io(&origin, true).await?.io;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(Failure::Call)?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection that may leave HTTP ended");
            }
        });
        let request = driver::origin_form(request);
        sender.send_request(request).await.map_err(Failure::Call)
    }

    /// Closes connections that nobody used for a while; to be called now and then.
    pub(crate) fn tidy(&self) {
        self.pool.tidy();
    }

    async fn connect(&self, origin: &Origin) -> Result<Channel, Failure> {
        let Connected { io, http2 } = self.io(origin, false).await?;
        if !http2 {
            return Ok(Channel::Http1(Driver::open(io).await.map_err(Failure::Call)?));
        }
        Ok(Channel::Http2(self.share(origin, io).await.map_err(Failure::Call)?))
    }

    /// Makes an HTTP/2 connection out of `io`, for this call and those that come.
    pub(crate) async fn share(
        &self,
        origin: &Origin,
        io: Io,
    ) -> Result<http2::SendRequest<RequestBody>, hyper::Error> {
        let executor = TrackedExecutor(self.tasks.clone());
        let (sender, connection) = http2::Builder::new(executor).adaptive_window(true).handshake(io).await?;
        self.pool.share(origin.clone(), sender.clone());
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection to a provider ended");
            }
        });
        Ok(sender)
    }

    async fn io(&self, origin: &Origin, http1_only: bool) -> Result<Connected, Failure> {
        let connecting = self.connector.connect(origin, http1_only);
        match timeout(self.connect, connecting).await {
            Ok(connected) => connected.map_err(Failure::Connect),
            Err(_) => Err(Failure::ConnectTimeout(self.connect)),
        }
    }
}

/// Runs what HTTP/2 has to run beside a call, as tasks that somebody waits for.
#[derive(Clone)]
struct TrackedExecutor(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for TrackedExecutor {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
