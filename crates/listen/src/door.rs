//! Lets callers in, as many as there is room for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

/// When the process has no file descriptors left, some will be free again soon.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);
/// That there is no room is told so often at most.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// A port, and the room behind it.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    connections: usize,
    told: Option<Instant>,
}

/// A caller that was let in.
#[derive(Debug)]
pub struct Arrived {
    /// Its connection.
    pub stream: TcpStream,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Its place; to be held until the connection is closed.
    pub slot: Slot,
}

/// One of the places for connections.
#[derive(Debug)]
pub struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Door {
    /// With room for so many connections at a time.
    pub fn new(listener: TcpListener, connections: usize) -> Self {
        let connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        Self { listener, slots: Arc::new(Semaphore::new(connections)), connections, told: None }
    }

    /// The next caller. While there is no room, callers wait in the system's queue. Nothing is lost where the result is
    /// dropped before it is there.
    pub async fn next(&mut self) -> Arrived {
        let permit = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.tell();
                // The slots are never closed.
                Arc::clone(&self.slots).acquire_owned().await.ok()
            }
        };
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => return Arrived { stream, address, slot: Slot { _permit: permit } },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    fn tell(&mut self) {
        if self.told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
            self.told = Some(Instant::now());
            tracing::warn!(
                "all {} connections are taken: further callers wait until one ends",
                self.connections
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_wait_while_there_is_no_room() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut door = Door::new(listener, 2);
        let _callers = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let (first, _second) = (door.next().await, door.next().await);
        let nobody = tokio::time::timeout(Duration::from_millis(50), door.next()).await;
        assert!(nobody.is_err(), "a third came in");
        drop(first);
        door.next().await;
    }
}
