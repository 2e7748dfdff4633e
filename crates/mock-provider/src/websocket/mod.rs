//! `/realtime`: a WebSocket (RFC 6455) that echoes messages.

mod frame;

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header, request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::Control;
use crate::directives::{Directives, Fault, FaultKind, FaultPoint};
use crate::ledger::{Ending, Record};
use frame::{CLOSE, Frame, PING, PONG};

/// What the key is hashed with (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Closed because of what the other side sent (RFC 6455, section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;

/// The response's headers to a request that asks for a WebSocket; `None` if it does not.
pub(crate) fn handshake(head: &request::Parts) -> Option<HeaderMap> {
    let asks = head.headers.get(header::UPGRADE)?.to_str().ok()?.eq_ignore_ascii_case("websocket");
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    let hash = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    let mut headers = HeaderMap::new();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&BASE64_STANDARD.encode(hash)).ok()?);
    // Of the protocols offered, the first; the others may be credentials.
    let protocol = head.headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok());
    if let Some(protocol) = protocol.and_then(|offered| offered.split(',').next()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol.trim()).ok()?);
    }
    Some(headers)
}

/// Echoes text and binary messages, frame for frame, answers pings, and answers a close with the same. Faults
/// strike after so many echoed frames. In the ledger the request's body is every byte that came after the
/// handshake, the response's every byte that was sent.
pub(crate) async fn echo(
    upgrade: OnUpgrade,
    mut record: Box<Record>,
    directives: Directives,
    control: Arc<Control>,
) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "the connection ended before it became a WebSocket");
            return;
        }
    };
    let mut stream = TokioIo::new(upgraded);
    let mut buffer = BytesMut::new();
    let (mut echoed, mut flushed) = (0, 0);
    loop {
        if let Some(Fault { kind, point: FaultPoint::Chunks(after) }) = directives.fault
            && after == echoed
        {
            match kind {
                FaultKind::Hang => wait_until_gone(&mut stream, &mut record).await,
                FaultKind::Reset => {
                    control.reset_on_close();
                    record.end(Ending::Reset);
                }
                FaultKind::Close => record.end(Ending::Closed),
            }
            return;
        }
        let frame = match frame::take(&mut buffer) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                let before = buffer.len();
                match stream.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => record.received(&Bytes::copy_from_slice(&buffer[before..])),
                }
                continue;
            }
            Err(problem) => {
                let mut payload = PROTOCOL_ERROR.to_be_bytes().to_vec();
                payload.extend_from_slice(problem.to_string().as_bytes());
                Frame { last: true, opcode: CLOSE, payload }
            }
        };
        let answer = match frame.opcode {
            PONG => continue,
            PING => Frame { opcode: PONG, ..frame },
            _ => {
                echoed += usize::from(frame.opcode != CLOSE);
                if !directives.chunk_delay.is_zero() {
                    tokio::time::sleep(directives.chunk_delay).await;
                }
                frame
            }
        };
        let bytes = Bytes::from(frame::encode(&answer));
        record.sent(&bytes);
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        flushed += bytes.len() as u64;
        record.flushed(flushed);
        if answer.opcode == CLOSE {
            record.request_complete();
            record.end(Ending::Completed);
            // The caller may be gone already, which is as good.
            let _ = stream.shutdown().await;
            return;
        }
    }
}

async fn wait_until_gone(stream: &mut TokioIo<hyper::upgrade::Upgraded>, record: &mut Record) {
    let mut buffer = BytesMut::new();
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        record.received(&buffer.split().freeze());
    }
}
