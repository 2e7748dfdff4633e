//! AWS event streams (`application/vnd.amazon.eventstream`): length, headers, payload and checksums, in binary.
//!
//! The checksums are not verified: the bytes are read to be shown, not acted on.

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its `:event-type`, or for an exception its `:exception-type`.
    pub kind: Option<&'a str>,
    /// Whether it tells of an error.
    pub is_exception: bool,
    /// Its payload.
    pub payload: &'a [u8],
    /// The offset in the stream after its last byte.
    pub end: u64,
}

/// The messages of a stream, until it ends or makes no sense any more.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Reads a stream.
pub fn messages(bytes: &[u8]) -> Messages<'_> {
    Messages { bytes, at: 0 }
}

impl<'a> Messages<'a> {
    /// The bytes that were not read: none, a message that was cut, or garbage.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

/// Lengths and their checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let rest = self.rest();
        let length = u32_at(rest, 0)?;
        let headers_length = u32_at(rest, 4)?;
        if length < PRELUDE + CHECKSUM || headers_length > length - PRELUDE - CHECKSUM {
            return None;
        }
        let message = rest.get(..length)?;
        let (headers, payload) = message[PRELUDE..length - CHECKSUM].split_at(headers_length);
        let (mut kind, mut is_exception) = (None, false);
        for (name, value) in string_headers(headers) {
            match name {
                b":event-type" | b":exception-type" => kind = std::str::from_utf8(value).ok(),
                b":message-type" => is_exception = value != b"event",
                _ => {}
            }
        }
        self.at += length;
        Some(Message { kind, is_exception, payload, end: self.at as u64 })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

/// The headers whose value is text (type 7), up to the first that makes no sense.
fn string_headers(mut headers: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let (&name_length, rest) = headers.split_first()?;
            let (name, rest) = rest.split_at_checked(usize::from(name_length))?;
            let (&kind, rest) = rest.split_first()?;
            let fixed = match kind {
                0 | 1 => Some(0),
                2 => Some(1),
                3 => Some(2),
                4 => Some(4),
                5 | 8 => Some(8),
                9 => Some(16),
                6 | 7 => None,
                _ => return None,
            };
            let (length, rest) = match fixed {
                Some(length) => (length, rest),
                None => {
                    let (length, rest) = rest.split_first_chunk()?;
                    (usize::from(u16::from_be_bytes(*length)), rest)
                }
            };
            let (value, rest) = rest.split_at_checked(length)?;
            headers = rest;
            if kind == 7 {
                return Some((name, value));
            }
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as AWS writes it, its checksums left out.
    pub(crate) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut list = vec![4, b':', b'n', b'u', b'm', 4, 0, 0, 0, 9];
        for (name, value) in headers {
            list.push(u8::try_from(name.len()).unwrap());
            list.extend(name.as_bytes());
            list.push(7);
            list.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            list.extend(value.as_bytes());
        }
        let length = PRELUDE + list.len() + payload.len() + CHECKSUM;
        let mut message = u32::try_from(length).unwrap().to_be_bytes().to_vec();
        message.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
        message.extend([0; 4]);
        message.extend(list);
        message.extend(payload);
        message.extend([0; 4]);
        message
    }

    #[test]
    fn messages_are_read_with_their_kind() {
        let mut stream = message(&[(":event-type", "contentBlockDelta"), (":message-type", "event")], b"{}");
        let first = stream.len();
        stream.extend(message(
            &[(":exception-type", "throttlingException"), (":message-type", "exception")],
            b"!",
        ));
        stream.extend([0, 0, 0, 99, 0]);
        let mut messages = messages(&stream);
        let read: Vec<_> = messages.by_ref().collect();
        assert_eq!(
            (read[0].kind, read[0].is_exception, read[0].end),
            (Some("contentBlockDelta"), false, first as u64)
        );
        assert_eq!((read[1].kind, read[1].is_exception), (Some("throttlingException"), true));
        assert_eq!((read[1].payload, messages.rest().len()), (&b"!"[..], 5));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..40, value: u8) {
            let _ = messages(&bytes).count();
            let mut stream = message(&[(":event-type", "chunk")], b"payload");
            stream[at] = value;
            let _ = messages(&stream).count();
        }
    }
}
