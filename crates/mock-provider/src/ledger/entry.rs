//! What the ledger says about one exchange.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use verbatim_core::model::Timestamp;

/// One exchange as the mock saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The place of the request's head among all that came, from 1.
    pub sequence: u64,
    /// The request's `x-mock-id`, or one made here; the response carries it.
    pub id: String,
    /// When the request's head was there.
    pub at: Timestamp,
    /// From the request's head to the end of the exchange, in microseconds.
    pub duration_us: u64,
    /// The method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The request's headers; empty where the ledger does not keep them.
    pub request_headers: HeadLines,
    /// The request's body as far as it was received.
    pub request: BodyDigest,
    /// Whether the request's body was received to its end.
    pub request_complete: bool,
    /// The response's status; none if it never got that far.
    pub status: Option<u16>,
    /// The response's headers as they were given to the HTTP layer, which adds the framing and `date`.
    pub response_headers: HeadLines,
    /// The response's body as far as it was handed to the HTTP layer.
    pub response: BodyDigest,
    /// Of that, how many bytes are known to have been written to the socket. Less than `response.bytes` only
    /// where the exchange did not complete, or on HTTP/2, where it is not known and always 0.
    pub flushed: u64,
    /// How it ended.
    pub ending: Ending,
}

/// How an exchange ended, seen from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The response was written to its end.
    Completed,
    /// The caller went away, or broke off its request, before that.
    PeerLeft,
    /// The mock reset the connection, as it was asked to.
    Reset,
    /// The mock closed the connection before the end, as it was asked to.
    Closed,
    /// The mock was shut down in between.
    Stopped,
}

/// Length and hash of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyDigest {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its BLAKE3 hash.
    pub blake3: Digest,
    /// The body itself, where the ledger keeps bodies; never in the file.
    #[serde(skip)]
    pub body: Option<Bytes>,
}

/// A BLAKE3 hash; shown and serialised in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        blake3::Hash::from_hex(&text).map(|hash| Self(hash.into())).map_err(serde::de::Error::custom)
    }
}

/// Headers, packed into one allocation because there may be millions of them. Names are in lower case; of
/// one name the values keep their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeadLines(Box<[u8]>);

impl HeadLines {
    pub(crate) fn pack(headers: &HeaderMap) -> Self {
        let length = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
        let mut packed = Vec::with_capacity(length);
        for (name, value) in headers {
            Self::push(&mut packed, name.as_str().as_bytes(), value.as_bytes());
        }
        Self(packed.into_boxed_slice())
    }

    /// A header's name holds no colon and its value no line feed (RFC 9110, section 5), so these part them.
    fn push(packed: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        packed.extend_from_slice(name);
        packed.push(b':');
        packed.extend_from_slice(value);
        packed.push(b'\n');
    }

    /// Every header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, &line[colon + 1..]))
        })
    }

    /// The first value of this header (in lower case), if it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(have, _)| *have == name).and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

impl fmt::Debug for HeadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))))
            .finish()
    }
}

/// As a list of `[name, value]` pairs; what is not UTF-8 in a value is replaced.
impl Serialize for HeadLines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for (name, value) in self.iter() {
            list.serialize_element(&(name, String::from_utf8_lossy(value)))?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for HeadLines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(deserializer)?;
        let mut packed = Vec::new();
        for (name, value) in pairs {
            Self::push(&mut packed, name.as_bytes(), value.as_bytes());
        }
        Ok(Self(packed.into_boxed_slice()))
    }
}
