//! Envelopes to bytes and back.

use std::cell::RefCell;

use bytes::Bytes;
use prost::Message as _;
use verbatim_core::model::ExchangeId;
use zstd::bulk::{Compressor, Decompressor};

use crate::bounds::weigh;
use crate::v1;

/// Envelopes from this size on are packed: below it, packing costs more than it saves.
const PACK_FROM: usize = 4096;
/// Negative: matches alone, found fast. What is archived is packed better.
const PACK_LEVEL: i32 = -1;
/// No envelope is larger; hostile bytes must not reserve more.
const LARGEST: usize = 16 << 20;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// The major version that this code writes and reads.
pub const MAJOR: u32 = 1;
/// The minor version that this code writes; any is read.
pub const MINOR: u32 = 0;

/// A decoded envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The exchange it belongs to.
    pub exchange: ExchangeId,
    /// The gateway process that wrote it.
    pub gateway: String,
    /// What it says.
    pub message: v1::envelope::Message,
    /// Bytes of memory that it takes, about, those that it shares included.
    pub memory: usize,
}

/// Bytes that are not an envelope this code can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer program: to be kept until one reads it.
    #[error("capture message of schema version {major}: this program reads version {MAJOR}; upgrade it")]
    UnknownMajor {
        /// The version it has.
        major: u32,
    },
    /// Not an envelope at all, or one without its parts.
    #[error("not a capture message: {0}")]
    Garbage(String),
}

/// Encodes one message of an exchange.
pub fn encode(exchange: ExchangeId, gateway: &str, message: v1::envelope::Message) -> Bytes {
    let mut envelope = v1::Envelope {
        major: MAJOR,
        minor: MINOR,
        exchange: exchange.as_bytes().to_vec(),
        gateway: gateway.to_owned(),
        message: Some(message),
        packed: Bytes::new(),
    };
    let plain = envelope.encode_to_vec();
    match pack(&plain) {
        None => plain.into(),
        Some(packed) => {
            envelope.message = None;
            envelope.packed = packed.into();
            envelope.encode_to_vec().into()
        }
    }
}

/// `None` where it would not be worth it.
fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < PACK_FROM {
        return None;
    }
    let packed = COMPRESSOR.with_borrow_mut(|compressor| {
        if compressor.is_none() {
            *compressor = Compressor::new(PACK_LEVEL).ok();
        }
        compressor.as_mut()?.compress(plain).ok()
    })?;
    (packed.len() < plain.len() - plain.len() / 8).then_some(packed)
}

fn unpack(packed: &[u8]) -> Result<(v1::Envelope, usize), DecodeError> {
    let garbage = |what: &str| DecodeError::Garbage(format!("what it has packed is {what}"));
    let size = Decompressor::upper_bound(packed).ok_or_else(|| garbage("no zstd frame"))?;
    if size > LARGEST {
        return Err(garbage("larger than any message"));
    }
    let plain = zstd::bulk::decompress(packed, size).map_err(|_| garbage("no whole zstd frame"))?;
    let memory = weigh(&plain)?;
    let envelope =
        v1::Envelope::decode(Bytes::from(plain)).map_err(|error| DecodeError::Garbage(error.to_string()))?;
    if envelope.packed.is_empty() { Ok((envelope, memory)) } else { Err(garbage("packed again")) }
}

/// Decodes an envelope; byte fields share the memory of `bytes`, or of what was packed in it.
pub fn decode(bytes: Bytes) -> Result<Decoded, DecodeError> {
    let mut memory = weigh(&bytes)?;
    let mut envelope =
        v1::Envelope::decode(bytes).map_err(|error| DecodeError::Garbage(error.to_string()))?;
    if envelope.major != MAJOR {
        return Err(match envelope.major {
            0 => DecodeError::Garbage("it has no schema version".to_owned()),
            major => DecodeError::UnknownMajor { major },
        });
    }
    if !envelope.packed.is_empty() {
        let (unpacked, takes) = unpack(&envelope.packed)?;
        envelope.message = unpacked.message;
        memory = takes;
    }
    let exchange = ExchangeId::try_from(envelope.exchange.as_ref())
        .map_err(|error| DecodeError::Garbage(error.to_string()))?;
    let message = envelope
        .message
        .ok_or_else(|| DecodeError::Garbage("it is neither start, part nor end".to_owned()))?;
    Ok(Decoded { exchange, gateway: envelope.gateway, message, memory })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end() -> v1::envelope::Message {
        v1::envelope::Message::End(v1::End { outcome: 1, duration_us: 7, ..Default::default() })
    }

    #[test]
    fn what_was_encoded_decodes() {
        let id = ExchangeId::mint();
        let decoded = decode(encode(id, "g1", end())).unwrap();
        assert_eq!((decoded.exchange, decoded.gateway.as_str(), decoded.message), (id, "g1", end()));
    }

    #[test]
    fn a_newer_major_is_told_apart_from_garbage() {
        let envelope = v1::Envelope { major: 9, ..Default::default() };
        assert_eq!(decode(envelope.encode_to_vec().into()), Err(DecodeError::UnknownMajor { major: 9 }));
        assert!(matches!(decode(Bytes::new()), Err(DecodeError::Garbage(_))));
    }

    #[test]
    fn what_repeats_itself_is_packed_and_what_does_not_is_left_as_it_is() {
        let id = ExchangeId::mint();
        let end = |data: Vec<u8>| {
            let pieces = vec![v1::Piece { data: data.into(), ..Default::default() }];
            v1::envelope::Message::End(v1::End { pieces, ..Default::default() })
        };
        let stream = end(b"data: {\"delta\":\"x\"}\n\n".repeat(1000));
        let encoded = encode(id, "g1", stream.clone());
        assert!(encoded.len() < 1000, "{} bytes", encoded.len());
        assert_eq!(decode(encoded).unwrap().message, stream);
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let noise = end((0..100_000).map(|_| noise()).collect());
        let encoded = encode(id, "g1", noise.clone());
        assert!(encoded.len() > 100_000);
        assert_eq!(decode(encoded).unwrap().message, noise);
    }

    #[test]
    fn a_packed_bomb_and_a_packed_envelope_in_another_are_refused() {
        let envelope = |packed: Vec<u8>| v1::Envelope {
            major: MAJOR,
            exchange: ExchangeId::mint().as_bytes().to_vec(),
            packed: packed.into(),
            ..Default::default()
        };
        let bomb = zstd::bulk::compress(&vec![0; LARGEST + 1], 1).unwrap();
        assert!(matches!(decode(envelope(bomb).encode_to_vec().into()), Err(DecodeError::Garbage(_))));
        let inner = envelope(vec![1, 2, 3]).encode_to_vec();
        let nested = envelope(zstd::bulk::compress(&inner, 1).unwrap());
        assert!(matches!(decode(nested.encode_to_vec().into()), Err(DecodeError::Garbage(_))));
    }

    proptest! {
        #[test]
        fn any_packed_bytes_decode_or_fail_without_panic(packed in proptest::collection::vec(any::<u8>(), 1..256)) {
            let envelope = v1::Envelope { major: MAJOR, packed: packed.into(), ..Default::default() };
            let _ = decode(envelope.encode_to_vec().into());
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode(bytes.into());
        }
    }
}
