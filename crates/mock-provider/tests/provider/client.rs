//! A client that sees every byte: HTTP/1.1 over a bare TCP stream.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use verbatim_mock_provider::{Config, Detail, LedgerOptions, MockProvider};

/// Long enough for a slow machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A mock that keeps bodies too.
pub(crate) async fn mock() -> MockProvider {
    let ledger = LedgerOptions { detail: Detail::Bodies, ..LedgerOptions::default() };
    MockProvider::start(Config { ledger, ..Config::default() }).await.unwrap()
}

/// Fails the test where something does not happen in time.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// How the connection looked after a response.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum After {
    Whole,
    Closed,
    Reset,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    /// The chunks of a chunked body.
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: String,
    pub(crate) after: After,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (have, value) = line.split_once(':')?;
            have.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The JSON of every event, `[DONE]` left out, with its name.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let text = self.text().replace("\r\n", "\n");
        let mut events = Vec::new();
        for event in text.split("\n\n").filter(|event| !event.trim().is_empty()) {
            let (mut name, mut data) = (String::new(), String::new());
            for line in event.lines() {
                if let Some(value) = line.strip_prefix("event: ") {
                    name = value.to_owned();
                } else if let Some(value) = line.strip_prefix("data: ") {
                    data.push_str(value);
                }
            }
            if !data.is_empty() && data != "[DONE]" {
                events.push((name, serde_json::from_str(&data).unwrap()));
            }
        }
        events
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(mock: &MockProvider) -> Self {
        Self::over(TcpStream::connect(mock.address()).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a request with a body of known length.
    pub(crate) async fn request(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) {
        let length = body.len();
        let head =
            format!("{method} {target} HTTP/1.1\r\nhost: mock\r\ncontent-length: {length}\r\n{headers}\r\n");
        self.send(head.as_bytes()).await;
        self.send(body).await;
    }

    /// Reads more; what the connection did instead.
    async fn more(&mut self) -> Result<(), After> {
        match soon(self.stream.read_buf(&mut self.buffer)).await {
            Ok(0) => Err(After::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Err(After::Reset),
            Err(error) => panic!("{error}"),
        }
    }

    /// The bytes up to and including `end`.
    async fn until(&mut self, end: &str) -> Result<Vec<u8>, After> {
        loop {
            let at = self.buffer.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = at {
                return Ok(self.buffer.drain(..at + end.len()).collect());
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, After> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads a response; an error where the connection ended before its head.
    pub(crate) async fn response(&mut self) -> Result<Received, After> {
        let head = String::from_utf8(self.until("\r\n\r\n").await?).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut received = Received {
            status,
            head,
            body: Vec::new(),
            chunks: Vec::new(),
            trailers: String::new(),
            after: After::Whole,
        };
        let read = match received.header("content-length").map(|length| length.parse().unwrap()) {
            Some(length) => self.sized(length, &mut received).await,
            None if received.header("transfer-encoding") == Some("chunked") => {
                self.chunked(&mut received).await
            }
            None => Ok(()),
        };
        received.after = read.err().unwrap_or(After::Whole);
        Ok(received)
    }

    async fn sized(&mut self, length: usize, received: &mut Received) -> Result<(), After> {
        let read = self.exactly(length).await;
        received.body = read.as_ref().map_or_else(|_| std::mem::take(&mut self.buffer), Clone::clone);
        read.map(|_| ())
    }

    async fn chunked(&mut self, received: &mut Received) -> Result<(), After> {
        loop {
            let line = String::from_utf8(self.until("\r\n").await?).unwrap();
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            if length == 0 {
                loop {
                    let line = String::from_utf8(self.until("\r\n").await?).unwrap();
                    if line == "\r\n" {
                        return Ok(());
                    }
                    received.trailers.push_str(&line);
                }
            }
            let chunk = self.exactly(length).await?;
            received.body.extend_from_slice(&chunk);
            received.chunks.push(chunk);
            self.exactly(2).await?;
        }
    }
}

/// One call on a connection of its own.
pub(crate) async fn call(
    mock: &MockProvider,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Received {
    let mut client = Client::connect(mock).await;
    client.request(method, target, headers, body).await;
    client.response().await.expect("a response")
}

/// A POST of JSON with directives.
pub(crate) async fn post(mock: &MockProvider, target: &str, directives: &str, body: &Value) -> Received {
    let headers = format!("content-type: application/json\r\nx-mock: {directives}\r\n");
    call(mock, "POST", target, &headers, body.to_string().as_bytes()).await
}

/// A chat with one question.
pub(crate) fn chat(question: &str, stream: bool) -> Value {
    serde_json::json!({"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": question}]})
}
