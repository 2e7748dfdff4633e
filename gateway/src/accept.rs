//! Takes callers' connections and serves the calls on them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use verbatim_listen::{Arrived, Door, Limits, Line, attend};

use crate::client_io::ClientIo;
use crate::relay::{Peer, Relay, WatchedExecutor};

/// Serves connections.
pub(crate) struct Acceptor {
    pub(crate) relay: Arc<Relay>,
    pub(crate) connections: TaskTracker,
    pub(crate) limits: Limits,
    /// Cancelled: calls under way may finish, no others begin.
    pub(crate) soft_stop: CancellationToken,
    /// Cancelled: every connection is dropped.
    pub(crate) hard_stop: CancellationToken,
}

impl Acceptor {
    /// Takes connections until the soft stop.
    pub(crate) async fn run(&self, listener: TcpListener) {
        let mut door = Door::new(listener, self.limits.connections);
        loop {
            tokio::select! {
                arrived = door.next() => self.serve(arrived),
                () = self.soft_stop.cancelled() => return,
            }
        }
    }

    fn serve(&self, Arrived { stream, address, slot }: Arrived) {
        // Without it each small chunk would wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let reset = Arc::new(AtomicBool::new(false));
        let peer = Peer { address: address.ip(), reset: Arc::clone(&reset) };
        let relay = Arc::clone(&self.relay);
        let io = TokioIo::new(ClientIo::new(stream, slot, reset, relay.timeouts.idle));
        let executor = WatchedExecutor(self.connections.clone());
        let (soft_stop, hard_stop, limits) = (self.soft_stop.clone(), self.hard_stop.clone(), self.limits);
        self.connections.spawn(async move {
            let mut builder = Builder::new(executor);
            // What a provider says of its clock passes as it is; nothing is added.
            // A stream's small chunks are copied together: that costs less than a system call for every sixteen.
            builder.http1().auto_date_header(false).writev(false);
            builder.http2().auto_date_header(false);
            let line = Line::default();
            let (calls, caller) = (Arc::clone(&relay), peer.clone());
            let service = service_fn(|request| {
                let (relay, peer, busy) = (Arc::clone(&calls), caller.clone(), line.begin());
                async move { Ok::<_, Infallible>(relay.serve(peer, busy, request).await) }
            });
            let connection = builder.serve_connection_with_upgrades(io, service);
            let ended = attend(connection, &line, &limits, &soft_stop, &hard_stop).await;
            if let Some(Err(error)) = ended {
                relay.connection_failed(&peer, Instant::now(), error.as_ref());
            }
        });
    }
}
