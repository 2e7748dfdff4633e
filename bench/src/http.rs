//! An HTTP/1.1 client that costs next to nothing, so that a load generator on the same two cores measures the
//! relay and not itself: one connection, prepared request bytes, a response parser that knows lengths and chunks.

use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection, used for one call after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Bytes of the body, chunk framing taken off.
    pub(crate) body: usize,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 32 * 1024], filled: 0 })
    }

    /// Sends the request and reads the whole answer.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        let (status, framing) = self.head().await?;
        let body = match framing {
            Framing::Length(length) => self.skip(length).await.map(|()| length)?,
            Framing::Chunked => self.chunks().await?,
        };
        Ok(Answer { status, body })
    }

    async fn head(&mut self) -> Result<(u16, Framing)> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer[..self.filled], b"\r\n\r\n") {
                let head = parse_head(&self.buffer[..end])?;
                self.consume(end + 4);
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    async fn chunks(&mut self) -> Result<usize> {
        let mut body = 0;
        loop {
            let line = loop {
                match memchr::memmem::find(&self.buffer[..self.filled], b"\r\n") {
                    Some(end) => break end,
                    None => self.fill().await?,
                }
            };
            let digits = std::str::from_utf8(&self.buffer[..line])?;
            let size = usize::from_str_radix(digits.split(';').next().unwrap_or_default().trim(), 16)
                .with_context(|| format!("chunk size {digits:?}"))?;
            self.consume(line + 2);
            self.skip(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body += size;
        }
    }

    async fn skip(&mut self, mut length: usize) -> Result<()> {
        loop {
            let here = length.min(self.filled);
            self.consume(here);
            length -= here;
            if length == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    fn consume(&mut self, length: usize) {
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
    }

    async fn fill(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]).await? {
            0 => bail!("the connection was closed before the answer was whole"),
            read => self.filled += read,
        }
        Ok(())
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

fn parse_head(head: &[u8]) -> Result<(u16, Framing)> {
    let text = std::str::from_utf8(head)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status line")?.parse()?;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok((status, Framing::Length(value.trim().parse()?)));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok((status, Framing::Chunked));
        }
    }
    Ok((status, Framing::Length(0)))
}

/// A prepared POST of a JSON body; `headers` are whole lines.
pub(crate) fn post(path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-bench-0123456789\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for line in headers {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.push_str(body);
    request.into_bytes()
}

/// A prepared GET.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}
