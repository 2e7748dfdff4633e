//! Takes callers' connections and serves the calls on them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client_io::ClientIo;
use crate::relay::{Peer, Relay, WatchedExecutor};

/// When the process has no file descriptors left, some will be free again soon.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

/// Serves connections.
pub(crate) struct Acceptor {
    pub(crate) relay: Arc<Relay>,
    pub(crate) connections: TaskTracker,
    /// Cancelled: calls under way may finish, no others begin.
    pub(crate) soft_stop: CancellationToken,
    /// Cancelled: every connection is dropped.
    pub(crate) hard_stop: CancellationToken,
}

impl Acceptor {
    /// Takes connections until the soft stop.
    pub(crate) async fn run(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.soft_stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, address)) => self.serve(stream, address),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, address: SocketAddr) {
        // Without it each small chunk would wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let reset = Arc::new(AtomicBool::new(false));
        let peer = Peer { address: address.ip(), reset: Arc::clone(&reset) };
        let relay = Arc::clone(&self.relay);
        let io = TokioIo::new(ClientIo::new(stream, reset, relay.timeouts.idle));
        let executor = WatchedExecutor(self.connections.clone());
        let (soft_stop, hard_stop) = (self.soft_stop.clone(), self.hard_stop.clone());
        self.connections.spawn(async move {
            let mut builder = Builder::new(executor);
            // What a provider says of its clock passes as it is; nothing is added.
            // A stream's small chunks are copied together: that costs less than a system call for every sixteen.
            builder.http1().auto_date_header(false).writev(false);
            builder.http2().auto_date_header(false);
            let (calls, caller) = (Arc::clone(&relay), peer.clone());
            let service = service_fn(move |request| {
                let (relay, peer) = (Arc::clone(&calls), caller.clone());
                async move { Ok::<_, Infallible>(relay.serve(peer, request).await) }
            });
            let connection = builder.serve_connection_with_upgrades(io, service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = soft_stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection => ended,
                        () = hard_stop.cancelled() => return,
                    }
                }
            };
            if let Err(error) = ended {
                relay.connection_failed(&peer, Instant::now(), error.as_ref());
            }
        });
    }
}
