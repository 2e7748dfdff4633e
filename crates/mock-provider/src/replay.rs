//! Recorded traffic, to be served again as the provider served it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::answer::{Answer, Payload};

/// The header (and, with underscores and without `x-`, the query parameter) that asks for a recording.
pub const REPLAY_HEADER: &str = "x-mock-replay";

/// Recorded exchanges by the number of their line.
#[derive(Debug, Default)]
pub struct Recordings(Vec<Recording>);

/// One recorded exchange.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its line in the file, from 1: what `x-mock-replay` asks for.
    pub line: usize,
    /// Who answered, such as `openai`.
    pub provider: String,
    /// What was called, such as `chat.completions`.
    pub api: String,
    /// The request's method.
    pub method: String,
    /// The request's path and query; what a redaction put there is percent-encoded where HTTP needs it.
    pub target: String,
    /// Some of the request's headers.
    pub request_headers: Vec<(String, String)>,
    /// The request's body.
    pub request_body: Bytes,
    /// The response's status.
    pub status: StatusCode,
    /// The response's headers as recorded, those of the connection included.
    pub response_headers: Vec<(String, String)>,
    /// The response's body, exactly as it will be served.
    pub response_body: Bytes,
    /// How exact the recording is: `bytes`, `decoded`, `reserialized` or `synthetic-framing`.
    pub wire: String,
    /// Whether it was streamed.
    pub streaming: bool,
    /// What it is an example of.
    pub features: Vec<String>,
}

/// Why recordings can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file can't be read.
    #[error("can't read it: {0}")]
    Read(#[from] io::Error),
    /// A line is no recording.
    #[error("line {line} is no recorded exchange: {why}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
struct Line {
    provider: String,
    api: String,
    method: String,
    url_path: String,
    request_headers: serde_json::Map<String, serde_json::Value>,
    request_body: Option<String>,
    request_body_b64: Option<String>,
    status: u16,
    response_headers: serde_json::Map<String, serde_json::Value>,
    response_body: String,
    wire: String,
    streaming: bool,
    #[serde(default)]
    features: Vec<String>,
}

impl Recordings {
    /// Reads recorded traffic, a JSON object a line.
    ///
    /// # Errors
    /// Where the file can't be read, or a line is no recorded exchange.
    pub fn load(path: &Path) -> Result<Self, ReplayError> {
        let mut recordings = Vec::new();
        for (line, text) in (1..).zip(BufReader::new(File::open(path)?).lines()) {
            let recording = Recording::read(line, &text?).map_err(|why| ReplayError::Line { line, why })?;
            recordings.push(recording);
        }
        Ok(Self(recordings))
    }

    /// Those that can be served: all but the ones with a status that HTTP gives no body, and yet a body.
    pub fn replayable(&self) -> impl Iterator<Item = &Recording> {
        self.0.iter().filter(|recording| recording.is_replayable())
    }

    /// The one of this line, if it can be served.
    pub fn get(&self, line: usize) -> Option<&Recording> {
        self.0.get(line.checked_sub(1)?).filter(|recording| recording.is_replayable())
    }
}

impl Recording {
    fn read(line: usize, text: &str) -> Result<Self, String> {
        let read: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|error| error.to_string());
        let request_body = match &read.request_body_b64 {
            Some(body) => decode(body)?,
            None => read.request_body.unwrap_or_default().into_bytes(),
        };
        let headers = |map: serde_json::Map<String, serde_json::Value>| {
            let text =
                |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            map.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect()
        };
        Ok(Self {
            line,
            provider: read.provider,
            api: read.api,
            method: read.method,
            target: as_target(&read.url_path),
            request_headers: headers(read.request_headers),
            request_body: request_body.into(),
            status: StatusCode::from_u16(read.status).map_err(|error| error.to_string())?,
            response_headers: headers(read.response_headers),
            response_body: decode(&read.response_body)?.into(),
            wire: read.wire,
            streaming: read.streaming,
            features: read.features,
        })
    }

    fn is_replayable(&self) -> bool {
        let bodiless = matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        !self.status.is_informational() && (!bodiless || self.response_body.is_empty())
    }

    /// Whether the body is still compressed as its head says. Recorders undo compression and leave the header.
    fn is_encoded(&self) -> bool {
        const GZIP: &[u8] = &[0x1f, 0x8b];
        self.wire == "bytes" || self.response_body.starts_with(GZIP)
    }

    /// The recorded headers that are served: without those of the connection (RFC 9110, section 7.6.1), and
    /// without a coding that is not there any more.
    pub fn served_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        const OF_THE_CONNECTION: &[HeaderName] = &[
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::PROXY_AUTHENTICATE,
            header::TE,
            header::TRAILER,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ];
        self.response_headers.iter().filter_map(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            let left_out = OF_THE_CONNECTION.contains(&name)
                || name == "keep-alive"
                || (name == header::CONTENT_ENCODING && !self.is_encoded());
            (!left_out).then_some(())?;
            Some((name, HeaderValue::from_str(value).ok()?))
        })
    }

    pub(crate) fn answer(&self) -> Answer {
        let headers: HeaderMap = self.served_headers().collect();
        let body = self.response_body.to_vec();
        let payload = if self.streaming { Payload::Frames(in_pieces(body)) } else { Payload::Whole(body) };
        Answer { status: self.status, headers, payload }
    }
}

/// A path and query in which only legal characters are left (RFC 3986, section 3.3).
fn as_target(recorded: &str) -> String {
    let mut target = String::with_capacity(recorded.len());
    for character in recorded.chars() {
        if character.is_ascii_graphic() && !"<>\"{}|\\^`#".contains(character) {
            target.push(character);
        } else {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                target.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    target
}

/// Cuts a recorded stream into writes, not where its frames end.
fn in_pieces(bytes: Vec<u8>) -> crate::answer::Frames {
    const MOST: usize = 1361;
    let piece = (bytes.len() / 7).clamp(1, MOST);
    let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]).collect();
    crate::answer::Frames { bytes, ends }
}
