//! A line between processes and an engine that can be slow, or keep from arriving what a test wants to be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engines::Engines;

/// Bytes that are taken from a connection at once.
const PIECE: usize = 4096;

/// What a line does to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing.
    Passes,
    /// Each connection takes so many bytes a second towards the engine.
    Slow { bytes_a_second: usize },
    /// A commit reaches PostgreSQL; its answer, and whatever follows on that connection, reaches nobody.
    SwallowsAnswersToCommits,
    /// Nothing that recorders acknowledge reaches NATS. From a connection's first byte on.
    SwallowsAcknowledgements,
}

/// The line; it ends with the test.
pub(crate) struct Wire {
    engine: String,
    address: String,
    manner: watch::Sender<Manner>,
    swallowed: Arc<Mutex<Vec<u16>>>,
    _serving: JoinSet<()>,
}

/// What a connection's two directions share.
#[derive(Clone)]
struct Connection {
    manner: watch::Receiver<Manner>,
    /// The port that the engine knows it by.
    port: u16,
    is_deaf: Arc<AtomicBool>,
    swallowed: Arc<Mutex<Vec<u16>>>,
}

impl Wire {
    /// A line to PostgreSQL.
    pub(crate) async fn to_postgres(engines: &Engines, manner: Manner) -> Self {
        Self::to(format!("127.0.0.1:{}", engines.postgres.port()), manner).await
    }

    /// A line to NATS.
    pub(crate) async fn to_nats(engines: &Engines, manner: Manner) -> Self {
        Self::to(engines.nats.address(), manner).await
    }

    async fn to(engine: String, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (manner, told) = watch::channel(manner);
        let swallowed = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, engine.clone(), told, Arc::clone(&swallowed)));
        Self { engine, address, manner, swallowed, _serving: serving }
    }

    /// The URL of its engine, over this line.
    pub(crate) fn instead_of(&self, url: &str) -> String {
        url.replace(&self.engine, &self.address)
    }

    /// Does something else from now on to what passes.
    pub(crate) fn set(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// What was swallowed, one entry each: the ports by which the engine knows the connections concerned.
    pub(crate) fn swallowed(&self) -> Vec<u16> {
        self.swallowed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    listener: TcpListener,
    engine: String,
    manner: watch::Receiver<Manner>,
    swallowed: Arc<Mutex<Vec<u16>>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        // Where the engine is down, whoever called finds the line dead, too.
        let Ok(server) = TcpStream::connect(&engine).await else { continue };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let port = server.local_addr().unwrap().port();
        let connection = Connection {
            manner: manner.clone(),
            port,
            is_deaf: Arc::default(),
            swallowed: Arc::clone(&swallowed),
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        connections.spawn(async move {
            // Where one direction ends, the other does: both ends see a broken connection.
            tokio::select! {
                () = connection.clone().there(from_client, to_server) => {}
                () = connection.back(from_server, to_client) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Connection {
    async fn there(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut piece, mut frames) = (vec![0; PIECE], Frames::default());
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let (bytes, manner) = (&piece[..length], *self.manner.borrow());
            let passes = match manner {
                Manner::SwallowsAcknowledgements => {
                    let (passes, swallowed) = frames.without_acknowledgements(bytes);
                    self.swallow(swallowed);
                    passes
                }
                Manner::SwallowsAnswersToCommits if bytes.windows(7).any(|seven| seven == b"COMMIT\0") => {
                    self.is_deaf.store(true, Ordering::Release);
                    self.swallow(1);
                    bytes.to_vec()
                }
                _ => [&std::mem::take(&mut frames.begun)[..], bytes].concat(),
            };
            if to.write_all(&passes).await.is_err() {
                return;
            }
            if let Manner::Slow { bytes_a_second } = manner {
                // It is slow by taking time: there is no condition to wait for.
                tokio::time::sleep(Duration::from_secs_f64(length as f64 / bytes_a_second as f64)).await;
            }
        }
    }

    async fn back(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            if !self.is_deaf.load(Ordering::Acquire) && to.write_all(&piece[..length]).await.is_err() {
                return;
            }
        }
    }

    fn swallow(&self, count: usize) {
        let mut swallowed = self.swallowed.lock().unwrap_or_else(PoisonError::into_inner);
        swallowed.extend(std::iter::repeat_n(self.port, count));
    }
}

/// What a client tells NATS, message by message.
#[derive(Default)]
struct Frames {
    /// The beginning of one whose end has not come yet.
    begun: Vec<u8>,
}

impl Frames {
    /// What is whole by now, without the recorders' acknowledgements, and how many of those there were.
    fn without_acknowledgements(&mut self, bytes: &[u8]) -> (Vec<u8>, usize) {
        self.begun.extend_from_slice(bytes);
        let (mut passes, mut swallowed, mut at) = (Vec::with_capacity(self.begun.len()), 0, 0);
        while let Some(length) = frame(&self.begun[at..]) {
            let whole = &self.begun[at..at + length];
            if is_acknowledgement(whole) {
                swallowed += 1;
            } else {
                passes.extend_from_slice(whole);
            }
            at += length;
        }
        self.begun.drain(..at);
        (passes, swallowed)
    }
}

/// The length of the first message, once it is there: a line, and behind `PUB` and `HPUB` as many bytes as it says.
fn frame(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    let words = std::str::from_utf8(&bytes[..line]).unwrap();
    let length = match words.split(' ').next() {
        Some("PUB" | "HPUB") => line + 2 + words.rsplit(' ').next()?.parse::<usize>().unwrap() + 2,
        _ => line + 2,
    };
    (bytes.len() >= length).then_some(length)
}

fn is_acknowledgement(message: &[u8]) -> bool {
    message.starts_with(b"PUB $JS.ACK.CAP.recorder.") && message.ends_with(b"\r\n+ACK\r\n")
}
