//! WebSocket frames (RFC 6455) of one direction of a tunnel, with permessage-deflate (RFC 7692).

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Bytes.
    Binary,
}

/// One message, its fragments joined, unmasked and decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Its payload.
    pub payload: Vec<u8>,
    /// The offset in the stream after its last byte.
    pub end: u64,
    /// Whether it was too large to be kept whole or could not be decompressed: the payload is a prefix.
    pub cut: bool,
}

impl Message {
    /// Its payload as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.payload)
    }
}

/// How a direction is compressed, as the two sides agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// Whether a message may refer to earlier ones.
    pub context_takeover: bool,
}

impl Deflate {
    /// What the answer's `sec-websocket-extensions` header says of the client's or the server's direction; `None`
    /// without compression.
    pub fn agreed(extensions: &str, from_client: bool) -> Option<Self> {
        let extension = extensions
            .split(',')
            .find(|extension| extension.trim_start().starts_with("permessage-deflate"))?;
        let without = if from_client { "client_no_context_takeover" } else { "server_no_context_takeover" };
        Some(Self { context_takeover: !extension.split(';').any(|parameter| parameter.trim() == without) })
    }
}

/// Control frames that passed, also between another message's fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Controls {
    /// Signs of life.
    pub pings: u64,
    /// Answers to them.
    pub pongs: u64,
    /// The first goodbye, with its code (RFC 6455, section 7.4), if one was given.
    pub close: Option<Option<u16>>,
}

/// The largest payload that is kept of a message, in bytes.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// The messages of one direction of a tunnel, one after the other: of a stream of two-byte frames no list is made.
pub struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
    inflater: Option<Inflater>,
    /// Of all messages together: small frames may blow up too.
    budget: usize,
    open: Option<Open>,
    controls: Controls,
    garbage: bool,
}

/// A message of which fragments came.
struct Open {
    kind: Kind,
    compressed: bool,
    payload: Vec<u8>,
    cut: bool,
}

/// Reads one direction of a tunnel: the bytes after the head of the 101 answer.
pub fn messages(bytes: &[u8], deflate: Option<Deflate>) -> Messages<'_> {
    Messages {
        bytes,
        at: 0,
        inflater: deflate.map(Inflater::new),
        budget: bytes.len().saturating_mul(200).clamp(1 << 20, 64 << 20),
        open: None,
        controls: Controls::default(),
        garbage: false,
    }
}

impl Iterator for Messages<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        while let Some(frame) = Frame::read(&self.bytes[self.at..]).filter(|_| !self.garbage) {
            self.at += frame.length;
            match frame.opcode {
                0 => {}
                1 | 2 => {
                    let kind = if frame.opcode == 1 { Kind::Text } else { Kind::Binary };
                    let compressed = frame.compressed;
                    self.open = Some(Open { kind, compressed, payload: Vec::new(), cut: false });
                }
                8..=10 => {
                    self.control(&frame);
                    continue;
                }
                _ => self.garbage = true,
            }
            let Some(open) = self.open.as_mut().filter(|_| !self.garbage) else {
                self.garbage = true;
                return None;
            };
            let room = MESSAGE_LIMIT.saturating_sub(open.payload.len());
            open.cut |= frame.payload.len() > room;
            frame.append_to(&mut open.payload, room);
            if frame.is_final
                && let Some(open) = self.open.take()
            {
                return Some(self.close(open));
            }
        }
        None
    }
}

impl Messages<'_> {
    /// The control frames that were passed so far.
    pub fn controls(&self) -> Controls {
        self.controls
    }

    /// After the last message: whether the bytes ended inside a frame or a message, or made no sense from some point
    /// on.
    pub fn is_cut(&self) -> bool {
        self.garbage || self.at < self.bytes.len() || self.open.is_some()
    }

    fn close(&mut self, open: Open) -> Message {
        let Open { kind, compressed, mut payload, mut cut } = open;
        if let Some(inflater) = self.inflater.as_mut().filter(|_| compressed) {
            let (inflated, whole) = inflater.inflate(&payload, self.budget.min(MESSAGE_LIMIT));
            self.budget -= inflated.len();
            cut |= !whole;
            payload = inflated;
        }
        Message { kind, payload, end: self.at as u64, cut }
    }

    fn control(&mut self, frame: &Frame<'_>) {
        match frame.opcode {
            8 => {
                let mut code = Vec::new();
                frame.append_to(&mut code, 2);
                let code = code.first_chunk().map(|code| u16::from_be_bytes(*code));
                self.controls.close.get_or_insert(code);
            }
            9 => self.controls.pings += 1,
            _ => self.controls.pongs += 1,
        }
    }
}

struct Frame<'a> {
    opcode: u8,
    is_final: bool,
    compressed: bool,
    mask: Option<[u8; 4]>,
    payload: &'a [u8],
    length: usize,
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of the bytes, if it is whole.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (payload_length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::try_from(u64::from_be_bytes(*length)).ok()?, rest)
            }
            short => (usize::from(short), rest),
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let (mask, rest) = rest.split_first_chunk()?;
            (Some(*mask), rest)
        };
        let (payload, rest) = rest.split_at_checked(payload_length)?;
        Some(Self {
            opcode: first & 0x0f,
            is_final: first & 0x80 != 0,
            compressed: first & 0x40 != 0,
            mask,
            payload,
            length: bytes.len() - rest.len(),
        })
    }

    fn append_to(&self, into: &mut Vec<u8>, room: usize) {
        let payload = &self.payload[..self.payload.len().min(room)];
        match self.mask {
            Some(mask) => {
                into.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            }
            None => into.extend_from_slice(payload),
        }
    }
}

struct Inflater {
    context_takeover: bool,
    state: Decompress,
}

impl Inflater {
    fn new(deflate: Deflate) -> Self {
        Self { context_takeover: deflate.context_takeover, state: Decompress::new(false) }
    }

    /// Decompresses a message; whether it was whole and within the limit.
    fn inflate(&mut self, payload: &[u8], limit: usize) -> (Vec<u8>, bool) {
        if !self.context_takeover {
            self.state.reset(false);
        }
        let mut inflated = Vec::new();
        // RFC 7692, section 7.2.2: the sender left these four bytes out.
        let whole =
            self.feed(payload, &mut inflated, limit) && self.feed(&[0, 0, 0xff, 0xff], &mut inflated, limit);
        (inflated, whole)
    }

    fn feed(&mut self, mut bytes: &[u8], into: &mut Vec<u8>, limit: usize) -> bool {
        let mut piece = [0; 8192];
        loop {
            let (taken, given) = (self.state.total_in(), self.state.total_out());
            let Ok(status) = self.state.decompress(bytes, &mut piece, FlushDecompress::Sync) else {
                return false;
            };
            let given = usize::try_from(self.state.total_out() - given).unwrap_or(piece.len());
            let room = limit - into.len();
            into.extend_from_slice(&piece[..given.min(room)]);
            if given > room {
                return false;
            }
            bytes = &bytes[usize::try_from(self.state.total_in() - taken).unwrap_or(bytes.len())..];
            let stuck = status != flate2::Status::Ok && given == 0;
            if stuck || (bytes.is_empty() && given < piece.len()) {
                return bytes.is_empty();
            }
        }
    }
}

#[cfg(test)]
mod tests;
