//! A caller that sees every byte: HTTP/1.1 over a bare TCP stream.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// How the connection looked after an answer.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum After {
    /// The answer came to its end.
    Whole,
    /// The connection was closed before that.
    Closed,
    /// The connection was reset before that.
    Reset,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) after: After,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.lines().skip(1).filter_map(move |line| {
            let (have, value) = line.split_once(':')?;
            have.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn id(&self) -> &str {
        self.header("x-verbatim-id").expect("every answer names its exchange")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// A connection to a gateway.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    end: Option<After>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), end: None }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads more; `false` where nothing more comes.
    async fn more(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let mut chunk = vec![0; 64 * 1024];
        match soon(self.stream.read(&mut chunk)).await {
            Ok(0) => self.end = Some(After::Closed),
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.end = Some(After::Reset),
            Err(error) => panic!("{error}"),
        }
        false
    }

    async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Some(self.buffer.drain(..at + mark.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads a head; `None` if the connection ended before.
    pub(crate) async fn head(&mut self) -> Option<(u16, String)> {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await?).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        Some((status, head))
    }

    /// Reads at least so many bytes of whatever comes.
    pub(crate) async fn at_least(&mut self, bytes: usize) -> Vec<u8> {
        while self.buffer.len() < bytes && self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// How the connection ends, whatever comes before that.
    pub(crate) async fn ending(&mut self) -> After {
        while self.more().await {}
        self.end.unwrap_or(After::Whole)
    }

    /// Reads an answer to a request that was sent with `method`.
    pub(crate) async fn receive(&mut self, method: &str) -> Received {
        let Some((status, head)) = self.head().await else {
            let after = self.end.unwrap_or(After::Closed);
            return Received { status: 0, head: String::new(), body: Vec::new(), after };
        };
        let mut received = Received { status, head, body: Vec::new(), after: After::Whole };
        if method == "HEAD" || status == 204 || status == 304 {
            return received;
        }
        if received.header("transfer-encoding") == Some("chunked") {
            self.chunked(&mut received).await;
        } else if let Some(length) = received.header("content-length").and_then(|text| text.parse().ok()) {
            while self.buffer.len() < length && self.more().await {}
            received.body = self.buffer.drain(..length.min(self.buffer.len())).collect();
            if received.body.len() < length {
                received.after = self.end.unwrap_or(After::Closed);
            }
        } else {
            while self.more().await {}
            received.body = std::mem::take(&mut self.buffer);
            received.after = self.end.unwrap_or(After::Closed);
        }
        received
    }

    async fn chunked(&mut self, received: &mut Received) {
        loop {
            let Some(line) = self.until(b"\r\n").await else { break };
            let length = usize::from_str_radix(String::from_utf8(line).unwrap().trim(), 16).unwrap();
            while self.buffer.len() < length + 2 && self.more().await {}
            if self.buffer.len() < length + 2 {
                received.body.append(&mut self.buffer);
                break;
            }
            received.body.extend(self.buffer.drain(..length));
            self.buffer.drain(..2);
            if length == 0 {
                return;
            }
        }
        received.after = self.end.unwrap_or(After::Closed);
    }

    /// Sends a request with a body and reads its answer.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Received {
        self.send(head(method, path, headers, Some(body.len()))).await;
        self.send(body).await;
        self.receive(method).await
    }
}

/// A request's head; with a length where it has a body, and with a local host where none is given.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        head.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length.filter(|length| *length > 0 || method == "POST") {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head + "\r\n"
}

/// One call on a connection of its own.
pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Received {
    Connection::open(address).await.call("POST", path, headers, body).await
}

/// One call on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Received {
    Connection::open(address).await.call("GET", path, headers, b"").await
}
