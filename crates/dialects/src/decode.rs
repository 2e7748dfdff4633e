//! Undoing a body's content encoding, to read a copy of it (RFC 9110, section 8.4).

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, BufRead, Read};

use verbatim_core::model::Headers;

/// How much a body may grow when it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// At most so many bytes.
    pub bytes: usize,
    /// At most so many times its own size; bodies up to 1 MiB are always let through.
    pub ratio: usize,
}

impl Default for Limit {
    /// 64 MiB and 200 times: text compresses by 3 to 30, streams of near-identical frames by up to 100.
    fn default() -> Self {
        Self { bytes: 64 << 20, ratio: 200 }
    }
}

impl Limit {
    const ALWAYS: usize = 1 << 20;

    fn of(self, encoded: usize) -> usize {
        self.bytes.min(encoded.saturating_mul(self.ratio).max(Self::ALWAYS))
    }
}

/// A decoded body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Its bytes; a prefix where the notes say so.
    pub bytes: Cow<'a, [u8]>,
    /// What is odd: cut, corrupt from some point on, or larger than the limit.
    pub notes: Vec<String>,
    /// For a body of one encoding: how far it was decoded after how many encoded bytes.
    steps: Option<Vec<Step>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    encoded: u64,
    decoded: u64,
}

impl Decoded<'_> {
    /// Where on the wire the decoded byte at `offset` became readable; `None` where it can't be told.
    pub fn wire_offset(&self, offset: u64) -> Option<u64> {
        match (&self.steps, &self.bytes) {
            (Some(steps), _) => {
                let step = steps.partition_point(|step| step.decoded <= offset);
                steps.get(step)?.encoded.checked_sub(1)
            }
            (None, Cow::Borrowed(bytes)) => (offset < bytes.len() as u64).then_some(offset),
            (None, Cow::Owned(_)) => None,
        }
    }
}

/// Why a body can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An encoding that is not known.
    #[error("content-encoding {0:?} is not known: expected gzip, deflate, br, zstd or identity")]
    UnknownEncoding(String),
    /// The bytes are not what the header says.
    #[error("the body is not {0}, as its content-encoding says")]
    NotEncoded(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    fn from_token(token: &str) -> Option<Self> {
        [
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("br", Self::Brotli),
            ("zstd", Self::Zstd),
        ]
        .iter()
        .find(|(name, _)| token.eq_ignore_ascii_case(name))
        .map(|(_, encoding)| *encoding)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// Decodes a body as its headers' `content-encoding` says: gzip, deflate (with and without zlib's frame), br, zstd,
/// several of them stacked, or none.
///
/// A body that is cut, or corrupt from some point on, or larger than `limit`, gives what could be read of it and a
/// note. One that was decoded already, though its headers still name an encoding, is given as it is with a note.
///
/// # Errors
/// Where nothing can be read: an encoding that is not known, or bytes that are not what the header says.
pub fn body<'a>(headers: &Headers, bytes: &'a [u8], limit: Limit) -> Result<Decoded<'a>, DecodeError> {
    let encodings = encodings(headers)?;
    let mut decoded = Decoded { bytes: Cow::Borrowed(bytes), notes: Vec::new(), steps: None };
    if bytes.is_empty() {
        return Ok(decoded);
    }
    let most = limit.of(bytes.len());
    for encoding in encodings.iter().rev() {
        if is_plain(&decoded.bytes) {
            decoded.notes.push(format!("the headers say {}, but the body is not encoded", encoding.name()));
            continue;
        }
        let undone = undo(*encoding, &decoded.bytes, most, &mut decoded.notes)
            .ok_or(DecodeError::NotEncoded(encoding.name()))?;
        decoded.steps = (encodings.len() == 1).then_some(undone.1);
        decoded.bytes = Cow::Owned(undone.0);
    }
    Ok(decoded)
}

/// Whether these are plainly JSON or server-sent events: bytes that an encoder could hardly have made.
fn is_plain(bytes: &[u8]) -> bool {
    let begins = matches!(bytes, [b'{' | b'[' | b':', ..])
        || bytes.starts_with(b"data:")
        || bytes.starts_with(b"event:");
    let sample = &bytes[..bytes.len().min(256)];
    let is_text = match std::str::from_utf8(sample) {
        Ok(_) => true,
        // Cut inside a character.
        Err(error) => error.error_len().is_none() && sample.len() < bytes.len(),
    };
    begins && is_text && sample.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}

/// The encodings in the order they were applied.
fn encodings(headers: &Headers) -> Result<Vec<Encoding>, DecodeError> {
    let mut encodings = Vec::new();
    for (name, value) in headers.iter() {
        if !name.eq_ignore_ascii_case("content-encoding") {
            continue;
        }
        for token in String::from_utf8_lossy(value).split(',').map(str::trim) {
            if token.is_empty() || token.eq_ignore_ascii_case("identity") {
                continue;
            }
            let known = Encoding::from_token(token);
            encodings
                .push(known.ok_or_else(|| DecodeError::UnknownEncoding(token.chars().take(40).collect()))?);
        }
    }
    // Nobody stacks more than two in earnest; a long list only multiplies the work.
    if encodings.len() > 4 {
        return Err(DecodeError::UnknownEncoding(format!("{} of them stacked", encodings.len())));
    }
    Ok(encodings)
}

/// Undoes one encoding; `None` if there is nothing to be had.
fn undo(
    encoding: Encoding,
    bytes: &[u8],
    most: usize,
    notes: &mut Vec<String>,
) -> Option<(Vec<u8>, Vec<Step>)> {
    let consumed = Cell::new(0);
    let source = Morsels { bytes, consumed: &consumed };
    let mut reader: Box<dyn Read + '_> = match encoding {
        Encoding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        Encoding::Deflate if has_zlib_frame(bytes) => Box::new(flate2::bufread::ZlibDecoder::new(source)),
        Encoding::Deflate => Box::new(flate2::bufread::DeflateDecoder::new(source)),
        // Its buffer is what it reads ahead by, hence how fine the steps are.
        Encoding::Brotli => Box::new(brotli::Decompressor::new(source, Morsels::FINE)),
        Encoding::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(source).ok()?),
    };
    let mut decoded = Vec::new();
    let mut steps = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                let room = most - decoded.len();
                decoded.extend_from_slice(&piece[..read.min(room)]);
                steps.push(Step { encoded: consumed.get() as u64, decoded: decoded.len() as u64 });
                if read > room {
                    notes.push(format!(
                        "decoded only the first {most} bytes: {} grew beyond what is read of a body",
                        encoding.name()
                    ));
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error)
                if consumed.get() == bytes.len()
                    && (error.kind() == io::ErrorKind::UnexpectedEof || !decoded.is_empty()) =>
            {
                notes.push(format!("the body ends inside its {} encoding", encoding.name()));
                break;
            }
            Err(_) if decoded.is_empty() => return None,
            Err(_) => {
                notes.push(format!(
                    "the {} encoding is corrupt after {} bytes",
                    encoding.name(),
                    consumed.get()
                ));
                break;
            }
        }
    }
    Some((decoded, steps))
}

/// RFC 1950, section 2.2: compression method 8, and a check that makes the first two bytes a multiple of 31.
fn has_zlib_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..]
        if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31))
}

/// Hands out a body in small pieces, so that it can be told which byte made which output readable.
struct Morsels<'a> {
    bytes: &'a [u8],
    consumed: &'a Cell<usize>,
}

impl Morsels<'_> {
    const FINE: usize = 16;
    const COARSE: usize = 4096;
    /// Where a stream's first token is looked for closely.
    const NEAR: usize = 16 * 1024;
}

impl BufRead for Morsels<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let at = self.consumed.get();
        let step = if at < Self::NEAR { Self::FINE } else { Self::COARSE };
        Ok(&self.bytes[at..self.bytes.len().min(at + step)])
    }

    fn consume(&mut self, amount: usize) {
        self.consumed.set(self.consumed.get() + amount);
    }
}

impl Read for Morsels<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
