//! The listening socket and the tasks behind it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::connection::{Connection, Control};
use crate::ledger::Ledger;
use crate::replay::{Recordings, ReplayError};
use crate::service::Service;

/// Why a mock provider could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The ledger's file can't be made.
    #[error("can't create the ledger's file {path}: {source}")]
    LedgerFile {
        /// The file asked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The recorded traffic can't be loaded.
    #[error("can't load the recorded traffic {path}: {source}")]
    Replay {
        /// The file asked for.
        path: PathBuf,
        /// Why not.
        source: ReplayError,
    },
}

/// A running mock provider. Dropped without [`MockProvider::shutdown`], it stops as soon as its runtime lets
/// it, and nobody waits for that.
pub struct MockProvider {
    address: SocketAddr,
    ledger: Ledger,
    recordings: Arc<Recordings>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl MockProvider {
    /// Listens, and answers from now on, on the runtime this is called on.
    ///
    /// # Errors
    /// Where the address or the ledger's file can't be had, or the recorded traffic can't be loaded.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let ledger = Ledger::open(&config.ledger, config.clock.clone()).map_err(|source| {
            StartError::LedgerFile { path: config.ledger.file.clone().unwrap_or_default(), source }
        })?;
        let recordings = match config.replay.clone() {
            Some(path) => Recordings::load(&path).map_err(|source| StartError::Replay { path, source })?,
            None => Recordings::default(),
        };
        let recordings = Arc::new(recordings);
        let listen = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let service = Service::new(&config, ledger.clone(), recordings.clone(), tasks.clone(), stop.clone());
        let service = Arc::new(service);
        tasks.spawn(accept(listener, service, tasks.clone(), stop.clone()));
        Ok(Self { address, ledger, recordings, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://<address>`, without a slash or a version at its end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it received and sent.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The recorded traffic that it was given.
    pub fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// Closes every connection at once, whatever is under way, and returns when all exchanges are in the
    /// ledger and the ledger's file is written.
    pub async fn shutdown(self) {
        self.ledger.stopping();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let ledger = self.ledger.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || ledger.close_file()).await {
            tracing::error!(%error, "the ledger's file may be incomplete");
        }
    }
}

impl Drop for MockProvider {
    fn drop(&mut self) {
        self.ledger.stopping();
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, service: Arc<Service>, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(serve(stream, service.clone(), tasks.clone(), stop.clone()));
            }
            Err(error) => {
                // Out of descriptors, as a rule; the next may find one.
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Runs the HTTP layer's own tasks (HTTP/2 has one for each stream) among ours.
#[derive(Clone)]
struct Tracked {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled_owned(future).await.is_some() });
    }
}

async fn serve(stream: TcpStream, service: Arc<Service>, tasks: TaskTracker, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection is gone already");
        return;
    }
    let control = Arc::new(Control::default());
    let connection = Connection::new(stream, control.clone());
    let tracked = Tracked { tasks, stop: stop.clone() };
    let mut server = auto::Builder::new(tracked.clone());
    // One write of many small chunks is half the work of one vectored write of each with its framing.
    server.http1().writev(false);
    server.http1().timer(TokioTimer::new()).header_read_timeout(None);
    server.http2().timer(TokioTimer::new());
    let answer = service_fn(move |request| {
        let (service, control) = (service.clone(), control.clone());
        async move { service.answer(request, control).await }
    });
    let serving = server.serve_connection_with_upgrades(connection, answer);
    // An error here is a connection that ended early, and is in the ledger.
    if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
