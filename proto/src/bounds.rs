//! What a message may hold. It is looked at before it is decoded: a byte on the wire, of which a packed message has
//! hardly a bit, becomes eight and more in memory, and hostile bytes must not reserve them.

use prost::encoding::{WireType, decode_key, decode_varint};

use crate::DecodeError;

/// A message names at most so many others: below 256 KiB however far apart they stand.
pub const SEQUENCES: usize = 32 * 1024;
/// An end names at most so many manifests: with [`SEQUENCES`] in each, four parts a second for a month and a half.
pub const MANIFESTS: usize = 512;
/// A decoded message takes at most so much memory beside the bytes that it was read from. A part full of chunks of one
/// byte, as many of both legs as are recorded with their times, takes a quarter of it.
const MEMORY: usize = 32 << 20;
/// What a message inside another takes, about, and what a text does.
const NESTED: usize = 256;
const TEXT: usize = 32;
const ELEMENT: usize = size_of::<u64>();

/// The messages whose fields are looked at; those of [`Kind::Leaf`] hold texts and numbers alone.
#[derive(Clone, Copy)]
enum Kind {
    Envelope,
    Start,
    Part,
    End,
    Head,
    Summary,
    Piece,
    Leaf,
}

enum Field {
    Nested(Kind),
    Sequences,
    Manifests,
    /// A list of numbers.
    List,
    /// A text or bytes, which is also what is not known.
    Text,
}

/// As in `capture.proto`.
const fn field(kind: Kind, tag: u32) -> Field {
    match (kind, tag) {
        (Kind::Envelope, 5) | (Kind::End, 16) => Field::Nested(Kind::Start),
        (Kind::Envelope, 6) => Field::Nested(Kind::Part),
        (Kind::Envelope, 7) => Field::Nested(Kind::End),
        (Kind::Start, 16) | (Kind::Part, 1) | (Kind::End, 10) => Field::Nested(Kind::Piece),
        (Kind::Part, 2) | (Kind::End, 9) => Field::Nested(Kind::Head),
        (Kind::End, 8) => Field::Nested(Kind::Summary),
        (Kind::Start, 5 | 6) | (Kind::Head, 4) | (Kind::Summary, 5) | (Kind::End, 7 | 13) => {
            Field::Nested(Kind::Leaf)
        }
        (Kind::Part, 3) | (Kind::End, 11) => Field::Sequences,
        (Kind::End, 14) => Field::Manifests,
        (Kind::Part, 4) | (Kind::Piece, 4 | 5) => Field::List,
        _ => Field::Text,
    }
}

/// What an envelope takes in memory when it is decoded, beside its bytes.
#[derive(Default)]
struct Weight {
    memory: usize,
    sequences: usize,
    manifests: usize,
}

/// Bytes of memory that an envelope takes when it is decoded, these bytes included.
pub(crate) fn weigh(envelope: &[u8]) -> Result<usize, DecodeError> {
    let mut weight = Weight::default();
    weight.add(Kind::Envelope, envelope)?;
    Ok(weight.memory + envelope.len())
}

fn garbage(what: impl Into<String>) -> DecodeError {
    DecodeError::Garbage(what.into())
}

impl Weight {
    fn add(&mut self, kind: Kind, mut bytes: &[u8]) -> Result<(), DecodeError> {
        let malformed = |error: prost::DecodeError| garbage(error.to_string());
        while !bytes.is_empty() {
            let (tag, wire_type) = decode_key(&mut bytes).map_err(malformed)?;
            match wire_type {
                WireType::Varint => {
                    decode_varint(&mut bytes).map_err(malformed)?;
                    self.count(&field(kind, tag), 1)?;
                }
                WireType::LengthDelimited => {
                    let length = decode_varint(&mut bytes).map_err(malformed)?;
                    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len());
                    let (inside, rest) = bytes.split_at(length.ok_or_else(|| garbage("a field is cut off"))?);
                    bytes = rest;
                    match field(kind, tag) {
                        Field::Nested(inner) => {
                            self.take(NESTED)?;
                            self.add(inner, inside)?;
                        }
                        Field::Text => self.take(TEXT)?,
                        // A number ends with the byte whose highest bit is not set.
                        list => self.count(&list, inside.iter().filter(|byte| **byte < 0x80).count())?,
                    }
                }
                // No field is one of these.
                _ => return Err(garbage(format!("its field {tag} is of no type that is known"))),
            }
        }
        Ok(())
    }

    fn count(&mut self, list: &Field, numbers: usize) -> Result<(), DecodeError> {
        match list {
            Field::Sequences => self.sequences += numbers,
            Field::Manifests => self.manifests += numbers,
            Field::List => {}
            Field::Nested(_) | Field::Text => return Ok(()),
        }
        if self.sequences > SEQUENCES {
            return Err(garbage(format!("it names more than {SEQUENCES} messages")));
        }
        if self.manifests > MANIFESTS {
            return Err(garbage(format!("it names more than {MANIFESTS} manifests")));
        }
        self.take(numbers.saturating_mul(ELEMENT))
    }

    fn take(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > MEMORY {
            return Err(garbage(format!("it would take more than {MEMORY} bytes of memory")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;

    use super::*;
    use crate::v1::envelope::Message;
    use crate::v1::{Attempt, End, Head, LegSummary, Part, Piece};
    use crate::{decode, encode};

    /// Why the message is refused.
    fn refused(message: Message) -> String {
        let encoded = encode(ExchangeId::mint(), "g1", message);
        assert!(encoded.len() < 16 << 10, "it is small on the wire: {} bytes", encoded.len());
        decode(encoded).expect_err("a message that is refused").to_string()
    }

    #[test]
    fn a_message_that_names_more_others_than_a_gateway_ever_writes_is_refused() {
        let end = |sequences, manifests| {
            Message::End(End {
                sequences: vec![0; sequences],
                manifests: vec![1; manifests],
                ..End::default()
            })
        };
        let most = encode(ExchangeId::mint(), "g1", end(SEQUENCES, MANIFESTS));
        let decoded = decode(most).unwrap();
        assert_eq!(decoded.message, end(SEQUENCES, MANIFESTS));
        assert!((SEQUENCES * 8..SEQUENCES * 16).contains(&decoded.memory), "{}", decoded.memory);
        assert!(refused(end(SEQUENCES + 1, 0)).contains("names more than 32768 messages"));
        assert!(refused(end(16_000_000, 0)).contains("names more than 32768 messages"));
        assert!(refused(end(0, MANIFESTS + 1)).contains("names more than 512 manifests"));
        let manifest = Part { sequences: vec![0; SEQUENCES + 1], ..Part::default() };
        assert!(refused(Message::Part(manifest)).contains("names more than 32768 messages"));
    }

    #[test]
    fn a_message_that_would_take_more_memory_than_any_is_refused() {
        const MANY: usize = 5_000_000;
        let piece = Piece { chunk_offsets: vec![0; MANY], ..Piece::default() };
        let messages = [
            Message::Part(Part { pieces: vec![piece], ..Part::default() }),
            Message::Part(Part { carried: vec![0; MANY], ..Part::default() }),
            Message::Part(Part { heads: vec![Head::default(); MANY / 20], ..Part::default() }),
            Message::End(End { legs: vec![LegSummary::default(); MANY / 20], ..End::default() }),
            Message::End(End { attempts: vec![Attempt::default(); MANY / 20], ..End::default() }),
            Message::End(End { notes: vec![String::new(); MANY / 3], ..End::default() }),
        ];
        for message in messages {
            assert!(refused(message).contains("bytes of memory"));
        }
    }

    #[test]
    fn a_part_full_of_the_shortest_chunks_is_taken() {
        let most = crate::TIMED_CHUNKS;
        let piece = |leg| Piece {
            leg,
            data: Bytes::from(vec![b'x'; most]),
            chunk_offsets: vec![1; most],
            chunk_times: vec![40_000; most],
            ..Piece::default()
        };
        let part = Message::Part(Part { pieces: vec![piece(1), piece(4)], ..Part::default() });
        assert_eq!(decode(encode(ExchangeId::mint(), "g1", part.clone())).unwrap().message, part);
    }
}
